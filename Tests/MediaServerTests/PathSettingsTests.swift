import ClusterConfig
import Domain
import MediaServer
import Testing

struct PathSettingsTests {
    @Test func aWorkersPathHasHooksThatNeedNoShell() throws {
        let path = try Samples.path("front")
        #expect(path.name == "front")
        #expect(path.values["source"] == .text("publisher"))
        #expect(path.values["record"] == .flag(false))
        #expect(
            path.values["runOnDemand"]
                == .text(
                    "curl --silent --show-error --noproxy * --max-time 5 --output /dev/null --request POST "
                        + "http://127.0.0.1:9921/v1/demand/front"))
        #expect(path.values["runOnUnDemand"]?.json.contains("/v1/undemand/front") == true)
        #expect(path.values["runOnRead"]?.json.contains("/v1/read/front") == true)
        // Zero would end the publisher before the reader that it came for has asked for the stream.
        #expect(path.values["runOnDemandCloseAfter"] == .text("2s"))
        #expect(path.values["runOnDemandStartTimeout"] == .text("15s"))
        for case .text(let text) in path.values.values {
            #expect(!text.contains { "$;|&<>`\"'\\".contains($0) })
        }
    }

    @Test func whenAWorkerAlwaysPublishesNobodyHasToAskForIt() throws {
        let path = try Samples.path("front", .always)
        #expect(path.values["runOnDemand"] == nil && path.values["runOnUnDemand"] == nil)
        #expect(path.values["runOnRead"]?.json.contains("/v1/read/front") == true)
        #expect(path.values["source"] == .text("publisher"))
        #expect(PathSettings(try Samples.camera("front"), fleet: Samples.fleet(.never)) == nil)
    }

    @Test func aPulledPathIsConnectedWhileSomebodyReads() throws {
        let camera = try Samples.camera("door", source: "rtsp://viewer:secret@10.0.0.9/live", ingest: .mediaServer)
        let path = try #require(PathSettings(camera, fleet: Samples.fleet(.never)))
        #expect(path.values["source"] == .text("rtsp://viewer:secret@10.0.0.9/live"))
        #expect(path.values["sourceOnDemand"] == .flag(true))
        #expect(path.values["runOnRead"] == nil, "its key frames are the camera's own")
        #expect(path.values["rtspTransport"] == .text("tcp"))
        #expect("\(path)" == "path door")
    }

    @Test func aLoginIsSeen() throws {
        for (source, hasLogin) in [
            ("rtsp://viewer:secret@10.0.0.9/live", true), ("rtsp://10.0.0.9/live?user=a&password=b", true),
            ("rtsp://10.0.0.9/user=a_Passwd=b", true), ("rtsp://10.0.0.9/cam?channel=1", false),
            ("rtsp://10.0.0.9/me@home", false),
        ] {
            let camera = try Samples.camera("door", source: source, ingest: .mediaServer)
            #expect(PathSettings(camera, fleet: Samples.fleet())?.hasLogin == hasLogin)
        }
        #expect(try !Samples.path("front").hasLogin)
    }

    @Test func whatTheServerWritesDifferentlyIsNoDifference() throws {
        let camera = try Samples.camera("front", startTimeout: .seconds(86_395))
        let path = try #require(PathSettings(camera, fleet: Samples.fleet()))
        var shown = path.values
        shown["runOnDemandStartTimeout"] = .text("1d")
        shown["maxReaders"] = .number(3)
        #expect(path.values["runOnDemandStartTimeout"] == .text("24h0m0s"))
        #expect(path.differences(from: shown) == [])
        shown["runOnDemandCloseAfter"] = .text("")
        #expect(path.differences(from: shown) == ["runOnDemandCloseAfter"])
        shown["runOnDemandCloseAfter"] = .text("2000ms")
        #expect(path.differences(from: shown) == [])
        shown["record"] = .flag(true)
        shown["source"] = nil
        #expect(path.differences(from: shown) == ["record", "source"])
    }

    @Test func aPathIsKnownByItsMaker() throws {
        let path = try Samples.path("front", .always)
        #expect(PathSettings.isMade(by: Samples.node, path.values))
        #expect(!PathSettings.isMade(by: NodeID(unchecked: "cellar"), path.values))
        #expect(!PathSettings.isMade(by: Samples.node, ["source": .text("publisher")]))
    }

    @Test func noSecretIsLeftInWhatTheServerSays() {
        let said = "invalid source: 'rtsp://viewer:se/cr@et@10.0.0.9/live', 'x' and http://a:b@c/d"
        #expect(MediaServerFault.masked(said) == "invalid source: 'rtsp://(hidden)', 'x' and http://(hidden)")
        #expect(MediaServerFault.masked(String(repeating: "a", count: 9999)).count < 500)
    }
}
