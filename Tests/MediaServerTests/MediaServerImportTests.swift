import ClusterConfig
import Domain
import MediaServer
import TestSupport
import Testing

/// A file of the server's, translated, and read back by the product's own loader.
struct MediaServerImportTests {
    private func translate(_ text: String) throws -> MediaServerImport {
        try MediaServerImport([UInt8](text), name: "mediamtx.yml", folder: "/etc/mediamtx")
    }

    /// Loads what the translation says.
    private func load(
        _ text: String, environment: [String: String] = [:]
    ) throws -> ClusterConfiguration {
        let folder = try TestFolder()
        try folder.write([UInt8](text), to: "framekeeper.yml")
        return try ConfigurationLoader.load(path: folder.path("framekeeper.yml"), environment: environment).get()
    }

    private static let everything = """
        api: yes
        rtspAddress: :8555
        authInternalUsers:
          - user: any
            permissions: [{action: read}]
          - {user: admin, pass: geheim, permissions: [{action: api}]}
        pathDefaults:
          recordDeleteAfter: 7d
        paths:
          Front Door:
            source: rtsp://viewer:pa$$w${x}rd@10.0.0.9/live
            record: yes
            recordSegmentDuration: 30m
            maxReaders: 5
          front-door:
            source: rtsp://10.0.0.10/live?user=a&password=b
          webcam:
            runOnInit: >-
              ffmpeg -f v4l2 -framerate 30 -video_size hd720 -i /dev/video0 -c:v libx264
              -f rtsp rtsp://localhost:$RTSP_PORT/$MTX_PATH
            runOnInitRestart: yes
          clip:
            runOnDemand: >-
              sh -c 'ffmpeg -re -stream_loop -1 -i "holiday clip.mp4" -c copy -f rtsp rtsp://localhost/$MTX_PATH'
          test:
            runOnInit: ffmpeg -re -f lavfi -i testsrc=size=1280x720:rate=10 -f rtsp rtsp://localhost/test
          after:
            runOnReady: ffmpeg -i rtsp://localhost/after -c copy -f rtsp rtsp://backup.lan/after
          always:
            runOnAvailable: ffmpeg -i rtsp://localhost/always -c copy -f rtsp rtsp://backup.lan/always
          relay:
            runOnDemand: /usr/bin/ffmpeg -rtsp_transport tcp -i rtsp://cam.lan/1 -c copy -f rtsp rtsp://localhost/relay
          gst:
            runOnDemand: >-
              gst-launch-1.0 v4l2src device=/dev/video2 ! video/x-raw,width=640,height=480,framerate=15/1
              ! x264enc ! rtspclientsink location=rtsp://localhost/gst
          obs:
          pi:
            source: rpiCamera
          old: {source: rtmp://10.0.0.1/x}
          script: {runOnDemand: /usr/local/bin/start.sh}
          alsa: {runOnInit: ffmpeg -f alsa -i hw:0 -f rtsp rtsp://localhost/alsa}
          "~^cam(.+)$": {source: rtsp://10.0.0.1/$G1}
          all_others:

        """

    @Test func camerasComeOutAsTheProductReadsThem() throws {
        let imported = try translate(Self.everything)
        let configuration = try load(imported.text(.written))
        func source(_ id: String) -> SourceAddress? { configuration.camera(CameraID(unchecked: id))?.source }
        #expect(
            configuration.cameras.map(\.id.rawValue)
                == ["front-door", "front-door-2", "webcam", "clip", "test", "relay", "gst"])
        #expect(source("front-door") == .rtsp(url: "rtsp://viewer:pa$$w${x}rd@10.0.0.9/live"))
        #expect(source("webcam") == (try SourceAddress("v4l2:///dev/video0?size=1280x720&fps=30")))
        #expect(source("clip") == .file(.init(path: "/etc/mediamtx/holiday clip.mp4", loops: true)))
        #expect(source("test") == .testPattern(.init(width: 1280, height: 720, fps: 10)))
        #expect(source("relay") == .rtsp(url: "rtsp://cam.lan/1"))
        #expect(source("gst") == (try SourceAddress("v4l2:///dev/video2?size=640x480&fps=15")))
        let front = try #require(configuration.camera(CameraID(unchecked: "front-door")))
        #expect(front.record == .always)
        #expect(front.rotation.interval == .seconds(1800))
        #expect(front.storage.retention.maxAge == .seconds(7 * 86_400))
        #expect(configuration.mediaServer?.api == "http://127.0.0.1:9997")
        #expect(configuration.mediaServer?.rtsp == "rtsp://127.0.0.1:8555")
        #expect(imported.username == "admin")
    }

    @Test func whatIsLeftOutIsSaidWithItsReason() throws {
        let imported = try translate(Self.everything)
        let losses = Dictionary(grouping: imported.remarks.filter(\.isLoss), by: { $0.path ?? "" })
        let lost = ["after", "always", "obs", "pi", "old", "script", "alsa", "~^cam(.+)$", "all_others"]
        #expect(Set(losses.keys) == Set(lost))
        // These run once somebody publishes, and are no source.
        #expect(losses["after"]?.first?.text.contains("runOnReady") == true)
        #expect(losses["always"]?.first?.text.contains("runOnAvailable") == true)
        #expect(losses["script"]?.first?.text.contains("/usr/local/bin/start.sh") == true)
        #expect(losses["old"]?.first?.text.contains("rtmp") == true)
        let said = imported.remarks.map { "\($0.path ?? ""): \($0.text)" }
        #expect(said.contains { $0.hasPrefix("Front Door: ") && $0.contains("maxReaders") })
        #expect(said.contains { $0.hasPrefix("Front Door: ") && $0.contains("called front-door") })
        #expect(said.contains { $0.hasPrefix("clip: ") && $0.contains("/etc/mediamtx") })
    }

    @Test func noPasswordIsShownUnlessAskedFor() throws {
        let imported = try translate(Self.everything)
        let shown = imported.text(.fromEnvironment)
        for secret in ["pa$$", "rd@", "password=b", "geheim"] { #expect(!shown.contains(secret)) }
        #expect(imported.variables == ["CAMERA_FRONT_DOOR_SOURCE", "CAMERA_FRONT_DOOR_2_SOURCE"])
        let plain = try translate("paths:\n  front: {source: 'rtsp://viewer:geheim@10.0.0.9/live'}\n")
        #expect(plain.text(.fromEnvironment).contains("rtsp://viewer:${CAMERA_FRONT_PASSWORD}@10.0.0.9/live"))
        let loaded = try load(plain.text(.fromEnvironment), environment: ["CAMERA_FRONT_PASSWORD": "geheim"])
        #expect(loaded.cameras.first?.source == .rtsp(url: "rtsp://viewer:geheim@10.0.0.9/live"))
        for remark in imported.remarks { #expect(!remark.text.contains("pa$$")) }
    }

    @Test func anEmptyFileIsNoCameras() throws {
        let imported = try translate("")
        #expect(imported.cameras == [])
        #expect(try load(imported.text(.written)).cameras == [])
        #expect(throws: CodedError.self) { try translate("paths: [a]\n") }
        #expect(throws: CodedError.self) { try translate("a: [") }
    }

    /// Names from anywhere become ids, all different.
    @Test func namesCollideWithoutHarm() throws {
        let names = [
            "A", "a", "All", "Ä", "-", "_x", "a/b", "a.b", String(repeating: "n", count: 90),
            String(repeating: "N", count: 90),
        ]
        let paths = names.map { "  \"\($0)\": {source: rtsp://h/x}\n" }.joined()
        let imported = try translate("paths:\n\(paths)")
        #expect(imported.cameras.count == names.count)
        #expect(Set(imported.cameras.map(\.id)).count == names.count)
        #expect(try load(imported.text(.written)).cameras.count == names.count)
    }
}
