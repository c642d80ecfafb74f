import ClusterConfig
import Domain
import Testing

@Suite("What a configuration means")
struct ResolutionTests {
    @Test("An empty file is a configuration of defaults beside itself")
    func defaults() throws {
        let fixture = try ConfigurationFixture("# nothing yet\n")
        let configuration = try fixture.load().get()
        #expect(configuration.broker.url == .embedded(host: "127.0.0.1", port: 1883))
        #expect(configuration.broker.topicRoot == "framekeeper")
        #expect(configuration.stateDir == fixture.folder + "/state")
        #expect(configuration.storage.path == fixture.folder + "/recordings")
        #expect(configuration.storage.durability == .powerCut)
        #expect(configuration.rotation.interval == .seconds(1800))
        #expect(configuration.rotation.align == .clock)
        #expect(configuration.lifecycle.viewing.closeAfter == .seconds(300))
        #expect(configuration.lifecycle.snapshot.restart == false)
        #expect(configuration.cameras.isEmpty)
        #expect(configuration.file == fixture.file)
    }

    @Test("A camera takes the fleet's settings and overrides single keys of them")
    func overrides() throws {
        let fixture = try ConfigurationFixture(
            """
            node: attic
            storage: {path: /srv/video, retention: {max_age: 7d, min_free: 10GB}}
            rotation: {interval: 10m, align: session}
            lifecycle:
              viewing: {close_after: 1m}
            cameras:
              front:
                source: rtsp://user:pw@10.0.0.2:8554/main
                record: always
                preroll: 5s
                groups: [outside, doors]
                rotation: {interval: 30}
                storage: {retention: {max_size: 500GB}, durability: process_crash}
              back:
                source: test://pattern?size=320x240&fps=10
                node: cellar
                audio: no
                encoder: {preset: veryfast, bitrate: 2M, gop: 1s}
                storage: {path: clips/back}
            """)
        let configuration = try fixture.load().get()
        let front = try #require(configuration.camera(CameraID(unchecked: "front")))
        #expect(front.rotation == RotationSettings(interval: .seconds(30), align: .session))
        #expect(front.lifecycle.viewing.closeAfter == .seconds(60))
        #expect(front.record == .always)
        #expect(front.preroll == .seconds(5))
        #expect(front.audio)
        #expect(front.storage.path == "/srv/video")
        #expect(front.storage.durability == .processCrash)
        #expect(
            front.storage.retention
                == RetentionLimits(
                    maxAge: .seconds(7 * 86_400), maxSize: ByteCount(500_000_000_000),
                    minFree: ByteCount(10_000_000_000)))
        #expect(front.belongs(to: GroupID(unchecked: "doors")) && front.belongs(to: .all))
        let back = try #require(configuration.camera(CameraID(unchecked: "back")))
        #expect(back.storage.path == fixture.folder + "/clips/back")
        #expect(back.encoder == EncoderSettings(preset: "veryfast", bitrate: 2_000_000, gop: .seconds(1)))
        #expect(!back.audio)
        #expect(configuration.ownCameras.map(\.id.rawValue) == ["front"])
    }

    @Test("Anchors, aliases, merge keys and keys of the user's own work")
    func anchors() throws {
        let configuration = try configuration(
            """
            x-common: &common
              record: always
              preroll: 3s
            cameras:
              a: {<<: *common, source: "test://pattern"}
              b: {<<: *common, source: "test://pattern", preroll: 9s}
            """)
        #expect(configuration.cameras.map(\.preroll) == [.seconds(3), .seconds(9)])
        #expect(configuration.cameras.allSatisfy { $0.record == .always })
    }

    @Test("Sections of later parts of the product are known and not read")
    func foreignSections() throws {
        _ = try configuration(
            "home_assistant: {a: 1}\ntriggers: []\nschedules: {}")
        #expect(
            try errors("triggers: 3") == [
                "framekeeper.yml:1:11: triggers: expected a mapping or a list, found a single value"
            ])
    }

    @Test("The metrics section, and what listens beyond loopback")
    func metrics() throws {
        #expect(try configuration("metrics:").metrics == MetricsSettings())
        let token = "abcdefghij-123456"
        let text = """
            metrics: {listen: "0.0.0.0:9000", token: \(token), history: no, read_only: yes,
              allow_origins: ["https://a.lan"]}
            """
        let settings = try configuration(text).metrics
        #expect(settings.listen == HostAndPort(host: "0.0.0.0", port: 9000))
        #expect(settings.token?.reveal() == token && settings.readOnly && !settings.history)
        #expect(settings.allowOrigins == ["https://a.lan"])
        #expect(
            try errors("metrics: {listen: 0.0.0.0:9000, tokn: x}") == [
                "framekeeper.yml:1:19: metrics.listen: a listener beyond loopback needs metrics.token",
                "framekeeper.yml:1:33: metrics.tokn: no such key; did you mean \"token\"?",
            ])
        let short = try errors("metrics: {token: hunter2, allow_origins: [panel.lan/x]}")
        #expect(short.count == 2 && short.allSatisfy { !$0.contains("hunter2") }, "\(short)")
        #expect(try !configuration(text).shown.yaml.contains(token))
    }

    @Test("The media server's section, and what follows from it")
    func mediaServer() throws {
        #expect(try configuration("node: a").mediaServer == nil)
        #expect(try configuration("mediamtx:").mediaServer == MediaServerSettings())
        let text = """
            mediamtx:
              api: http://nas.lan
              rtsp: rtsp://[::1]:554
              public_rtsp: rtsp://cams.lan
              username: fk
              password: hush
              publish: always
              hook_listen: 0.0.0.0:9000
              hook_url: http://10.0.0.2:9000
            cameras:
              door: {source: "rtsp://10.0.0.7/s", ingest: mediamtx}
            """
        let configuration = try configuration(text)
        let settings = try #require(configuration.mediaServer)
        #expect(settings.api == "http://nas.lan:9997")
        #expect(settings.rtsp == "rtsp://[::1]:554")
        #expect(settings.publicAddress(of: CameraID(unchecked: "door")) == "rtsp://cams.lan:8554/door")
        #expect(settings.hookListen == HostAndPort(host: "0.0.0.0", port: 9000))
        #expect(settings.hookURL == "http://10.0.0.2:9000")
        #expect(configuration.cameras.map(\.ingest) == [.mediaServer])
        #expect(!configuration.shown.yaml.contains("hush"))
    }

    @Test(
        "What is wrong with the media server's section",
        arguments: [
            ("mediamtx: {api: \"http://u:p@h\"}", "api"), ("mediamtx: {rtsp: \"rtsp://h/path\"}", "rtsp"),
            ("mediamtx: {username: a}", "mediamtx"), ("mediamtx: {hook_listen: \"0.0.0.0:1\"}", "hook_listen"),
            ("mediamtx: {hook_listen: \"9921\"}", "hook_listen"), ("mediamtx: {publish: sometimes}", "publish"),
            ("cameras: {a: {source: \"rtsp://h/x\", ingest: mediamtx}}", "ingest"),
            ("mediamtx:\ncameras: {a: {source: \"test://pattern\", ingest: mediamtx}}", "ingest"),
            // What RTSP cannot carry.
            ("mediamtx: {username: \"a:b\", password: x}", "1:22: mediamtx.username"),
            ("mediamtx: {username: \"\", password: sesame}", "1:22: mediamtx.username"),
            ("mediamtx: {username: a, password: \(String(repeating: "é", count: 21))}", "1:22: mediamtx.username"),
        ])
    func wrongMediaServer(_ text: String, key: String) throws {
        let errors = try errors(text)
        #expect(errors.count == 1 && errors[0].contains("\(key):") && !errors[0].contains("sesame"), "\(errors)")
    }

    @Test(
        "A camera that the media server pulls has an address that the server takes",
        arguments: [
            ("rtsp://u:pa#ss@10.0.0.9/x", false), ("rtsp://10.0.0.9/%zz", false), ("rtsp://10.0.0.9/a%2", false),
            ("rtsp://10.0.0.9:port/x", false), ("rtsp://10.0.0.9:70000/x", false), ("rtsp://u@10.0.0.9/x", false),
            ("rtsp://u:@10.0.0.9/x", false), ("rtsp://u:p/w@10.0.0.9/x", false), ("rtsp://u:p<w@10.0.0.9/x", false),
            ("rtsp://u:pä@10.0.0.9/x", false), ("rtsp://10.0.0.9/x", true), ("rtsp://cam.lan:8554", true),
            ("rtsps://u:p%23w@[fe80::1]:322/s?a=1%&b=@", true), ("rtsp://u:p@w@10.0.0.9/ä", true),
        ])
    func pulledSource(_ source: String, isTaken: Bool) throws {
        let text = "mediamtx:\ncameras: {a: {source: \"\(source)\", ingest: worker}}"
        #expect(try errors(text) == [])
        let pulled = try errors(text.replacing("worker", with: "mediamtx"))
        #expect(pulled.isEmpty == isTaken, "\(pulled)")
        guard !isTaken else { return }
        #expect(pulled.count == 1 && pulled[0].contains("2:23: cameras.a.source:") && !pulled[0].contains("10.0.0"))
    }

    @Test(
        "Broker addresses",
        arguments: [
            ("embedded", BrokerURL.embedded(host: "127.0.0.1", port: 1883)),
            ("embedded://127.0.0.1:2000", .embedded(host: "127.0.0.1", port: 2000)),
            ("mqtt://broker.lan", .tcp(host: "broker.lan", port: 1883, tls: false)),
            ("mqtts://10.0.0.1:9999/", .tcp(host: "10.0.0.1", port: 9999, tls: true)),
            ("mqtts://[fe80::1]", .tcp(host: "fe80::1", port: 8883, tls: true)),
            ("unix:///run/mosquitto.sock", .unix(path: "/run/mosquitto.sock")),
        ])
    func brokerAddresses(text: String, url: BrokerURL) {
        #expect(BrokerURL(written: text) == url)
        #expect(BrokerURL(written: url.description) == url)
    }

    @Test(
        "What is no broker address",
        arguments: [
            "", "mqtt://", "mqtt://user:pw@host", "http://host", "mqtt://host:0", "mqtt://host:70000",
            "unix://relative",
            "mqtt://ho st", "mqtt://[::1", "embedded:1883", "unix:///" + String(repeating: "x", count: 120),
        ])
    func wrongBrokerAddresses(text: String) { #expect(BrokerURL(written: text) == nil) }

    @Test("Flag before environment before file before default")
    func precedence() throws {
        let fixture = try ConfigurationFixture("broker: {url: mqtt://file}\nrotation: {interval: 1m}\n")
        let environment = ["FRAMEKEEPER_BROKER_URL": "mqtt://environment", "FRAMEKEEPER_NODE": "n7"]
        func host(_ result: Result<ClusterConfiguration, ConfigurationErrors>) throws -> String {
            try result.get().broker.url.description
        }
        #expect(try host(fixture.load()) == "mqtt://file:1883")
        #expect(try host(fixture.load(environment)) == "mqtt://environment:1883")
        #expect(try host(fixture.load(environment, broker: "mqtt://flag")) == "mqtt://flag:1883")
        let configuration = try fixture.load(environment).get()
        #expect(configuration.node.rawValue == "n7")
        #expect(configuration.rotation.interval == .seconds(60))
        let none = try ConfigurationLoader.load(path: nil, environment: environment).get()
        #expect(none.broker.url == .tcp(host: "environment", port: 1883, tls: false))
        #expect(none.file == nil)
    }

    @Test("The private socket of a deep state folder still fits in a socket address")
    func socketPaths() {
        let near = EmbeddedBrokerPaths(stateDir: "/srv/state")
        #expect(near.socket == "/srv/state/broker/socket/mqtt")
        let deep = EmbeddedBrokerPaths(stateDir: "/" + String(repeating: "deep/", count: 40))
        #expect(deep.socket.utf8.count <= BrokerURL.socketPathBytesMax)
        #expect(deep == EmbeddedBrokerPaths(stateDir: "/" + String(repeating: "deep/", count: 40)))
        #expect(deep.socket != EmbeddedBrokerPaths(stateDir: "/" + String(repeating: "deep/", count: 41)).socket)
    }
}
