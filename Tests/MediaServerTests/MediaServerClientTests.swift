import ClusterConfig
import Domain
import MediaServer
import TestSupport
import Testing

/// The control API's client against a server.
struct MediaServerClientTests {
    @Test func readsAndWritesPaths() async throws {
        let server = try MediaServerProcess(paths: "  mine: {source: publisher}\n")
        try await server.start()
        let client = MediaServerClient(api: server.api)
        let info = try await client.info()
        #expect(info.version.hasPrefix("v"))
        #expect(!info.started.isEmpty)
        #expect(try await client.globalConfiguration()["api"] == .flag(true))

        let path = try Samples.path("front")
        try await client.add(path)
        await #expect(throws: MediaServerFault.self) { try await client.add(path) }
        try await eventually("the path shows") { try? await client.pathConfiguration("front") }
        let shown = try await client.pathConfiguration("front")
        #expect(path.differences(from: shown.values) == [])
        #expect(PathSettings.isMade(by: Samples.node, shown.values))
        let reading = try await client.path("front")
        #expect(!reading.ready && reading.readers == [])

        let other = try Samples.path("front", .always)
        try await client.replace(other)
        try await eventually("it is replaced") {
            try await client.pathConfiguration("front").values["runOnDemand"] == .text("")
        }
        try await client.patch(path)
        try await eventually("it is patched") {
            path.differences(from: try await client.pathConfiguration("front").values) == []
        }
        try await client.delete("front")
        try await eventually("it is gone") {
            try await client.pathConfigurations().map(\.name) == ["mine"]
        }
        await #expect(throws: MediaServerFault.notFound) { try await client.delete("front") }
        await #expect(throws: MediaServerFault.notFound) { try await client.path("front") }
    }

    @Test func listsHaveManyPages() async throws {
        let names = (0..<250).map { "cam\($0)" }
        let server = try MediaServerProcess(paths: names.map { "  \($0):\n" }.joined())
        try await server.start()
        let client = MediaServerClient(api: server.api)
        #expect(Set(try await client.paths().map(\.name)) == Set(names))
        #expect(try await client.pathConfigurations().count == 250)
    }

    @Test func aRefusalHasTheServersReasonAndNoSecret() async throws {
        let server = try MediaServerProcess()
        try await server.start()
        let client = MediaServerClient(api: server.api)
        let bad = PathSettings(name: "front", values: ["recordFormat": .text("avi")])
        await #expect(throws: MediaServerFault.rejected("invalid record format 'avi'")) {
            try await client.replace(bad)
        }
        let odd = PathSettings(name: "front", values: ["source": .text("xyz://viewer:geheim@10.0.0.9/x")])
        do {
            try await client.replace(odd)
            Issue.record("not refused")
        } catch {
            #expect(!"\(error)".contains("geheim"))
        }
        for name in ["a/../b", "", "a b", "~x"] {
            await #expect(throws: MediaServerFault.self) { try await client.path(name) }
        }
    }

    @Test func credentialsAreSentAndMissed() async throws {
        let server = try MediaServerProcess(user: ("keeper", "ge@heim"))
        try await server.start()
        let settings = MediaServerSettings(api: server.api, username: "keeper", password: Secret("ge@heim"))
        #expect(try await MediaServerClient(settings).paths() == [])
        for (name, password) in [("keeper", "wrong"), ("any", "")] {
            let client = MediaServerClient(api: server.api, username: name, password: Secret(password))
            await #expect(throws: MediaServerFault.unauthorized) { try await client.paths() }
        }
        await #expect(throws: MediaServerFault.unauthorized) { try await MediaServerClient(api: server.api).info() }
    }

    @Test func aServerThatIsAwayOrHangsIsToldApart() async throws {
        let port = try MosquittoBroker.freePort()
        do {
            _ = try await MediaServerClient(api: "http://127.0.0.1:\(port)").info()
            Issue.record("answered")
        } catch {
            guard case .unreachable = error else { return #expect("\(error)" == "unreachable") }
        }
        let peer = try SilentPeer()
        let client = MediaServerClient(api: "http://127.0.0.1:\(peer.port)", deadline: .milliseconds(300))
        await #expect(throws: MediaServerFault.silent) { try await client.info() }
        await #expect(throws: MediaServerFault.silent) { try await client.replace(try Samples.path("front")) }
    }

    @Test func anotherKindOfServerIsUnreadable() async throws {
        let server = try MediaServerProcess(isAPIOn: false)
        try await server.start(isAPIOn: false)
        // RTSP where HTTP was expected.
        let client = MediaServerClient(api: "http://127.0.0.1:\(server.rtspPort)", deadline: .seconds(3))
        await #expect(throws: MediaServerFault.self) { try await client.info() }
    }
}
