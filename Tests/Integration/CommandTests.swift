import Bus
import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Promise 8 and the contract's commands, with real processes and a real broker.
extension NodeTests {
    @Suite struct CommandTests {
        static let cameras = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                groups: [yard]
                encoder: {gop: 1s}
              back:
                source: "test://pattern?size=160x120&fps=10"
                groups: [yard]
            """

        // MARK: Every form of every command

        @Test func commandsInEveryForm() async throws {
            // Seldom: a rotation that is wanted near a boundary is that boundary.
            try await Cluster.run(cameras: Self.cameras, rotation: "12h") { cluster in
                try await cluster.ready("front")
                try await cluster.ready("back")
                for (start, stop) in [
                    ("ON", "OFF"), ("on", " off "),
                    (
                        #"{"command":"start","duration":"10m","holder":"motion:hall","preroll":"5s"}"#,
                        #"{"command":"stop","holder":"motion:hall"}"#
                    ),
                    (#"{"command":"start","duration":600}"#, #"{"command":"stop"}"#),
                ] {
                    let begun: Reply<RecordingResult> = try await cluster.ask(start, on: "cameras/front/recording/set")
                    #expect(begun.status == .ok && begun.result?.state == .recording, "\(start): \(begun)")
                    try await rotate(cluster, "ROTATE")
                    try await rotate(cluster, #"{"command":"rotate"}"#)
                    let wish = WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000) + 2000)
                    try await rotate(cluster, #"{"command":"rotate","at":"\#(wish.rfc3339)"}"#)
                    let ended: Reply<RecordingResult> = try await cluster.ask(stop, on: "cameras/front/recording/set")
                    #expect(ended.status == .ok && ended.result?.state == .off, "\(stop): \(ended)")
                }
                let restart = try await cluster.ask(
                    "RESTART", on: "cameras/front/restart/set", expecting: RestartResult.self)
                #expect(restart.status == .ok)
                try await group(cluster)
                try await oldClient(cluster)
                let repair = try await cluster.ask("REPAIR", on: "storage/node1/set", expecting: StorageResult.self)
                #expect(repair.status == .ok, "\(repair)")
            }
        }

        private func rotate(_ cluster: Cluster, _ payload: String) async throws {
            let index = try #require(cluster.recording("front")?.segment?.index)
            let reply = try await cluster.ask(payload, on: "cameras/front/rotation/set", expecting: RotationResult.self)
            #expect(reply.status == .ok && reply.result?.rotated == true, "\(payload): \(reply)")
            let offset = try #require(reply.result?.offsetSeconds)
            // The pattern makes a key frame for the boundary; the rest is the reply's own rounding and one frame.
            #expect(offset >= 0 && offset <= 1.1, "\(payload): \(reply)")
            try await eventually("the next segment", within: .seconds(10)) {
                (cluster.recording("front")?.segment?.index ?? -1) > index
            }
        }

        private func group(_ cluster: Cluster) async throws {
            for name in ["yard", "all"] {
                let replies: [Reply<RecordingResult>] = try await cluster.bus.requestAll(
                    Array("ON".utf8), to: "groups/\(name)/recording/set", expecting: RecordingResult.self,
                    timeout: .seconds(20), count: 2)
                #expect(Set(replies.compactMap { $0.result?.camera.rawValue }) == ["front", "back"])
                let stops: [Reply<RecordingResult>] = try await cluster.bus.requestAll(
                    Array("OFF".utf8), to: "groups/\(name)/recording/set", expecting: RecordingResult.self,
                    timeout: .seconds(20), count: 2)
                #expect(stops.count == 2 && stops.allSatisfy { $0.status == .ok })
            }
        }

        /// A client of MQTT 3.1.1 names its response topic in the payload.
        private func oldClient(_ cluster: Cluster) async throws {
            let topic = "framekeeper/replies/old-client"
            let answer = Task {
                try await Tool.run(
                    "mosquitto_sub",
                    [
                        "-V", "311", "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "1", "-C", "1", "-W", "20", "-t",
                        topic,
                    ],
                    within: .seconds(30))
            }
            // mosquitto_sub cannot say when it has subscribed: ask again until one answer has come.
            let number = Counter()
            let asking = Task {
                while !Task.isCancelled {
                    let payload =
                        #"{"command":"start","response_topic":"\#(topic)","request_id":"r\#(await number.next())"}"#
                    _ = try await Tool.run(
                        "mosquitto_pub",
                        [
                            "-V", "311", "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "1", "-t",
                            "framekeeper/cameras/front/recording/set", "-m", payload,
                        ])
                }
            }
            let text = try await answer.value
            asking.cancel()
            #expect(text.contains(#""status":"ok""#) && text.contains(#""request_id":"r"#), "\(text)")
            let off: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/front/recording/set")
            #expect(off.status == .ok)
        }

        // MARK: Hostile input

        struct Hostile: CustomStringConvertible {
            var topic = "cameras/front/recording/set"
            var payload: [UInt8]
            var code: ErrorCode
            var isRetained = false
            var qos = 1
            var name: String
            var description: String { name }

            init(
                _ name: String, _ text: String, _ code: ErrorCode, topic: String = "cameras/front/recording/set",
                retained: Bool = false, qos: Int = 1
            ) {
                self.init(name, bytes: Array(text.utf8), code, topic: topic, retained: retained, qos: qos)
            }

            init(
                _ name: String, bytes: [UInt8], _ code: ErrorCode, topic: String = "cameras/front/recording/set",
                retained: Bool = false, qos: Int = 1
            ) {
                self.name = name
                self.topic = topic
                payload = bytes
                self.code = code
                isRetained = retained
                self.qos = qos
            }
        }

        static let hostile: [Hostile] = [
            Hostile("1 MiB", bytes: [UInt8](repeating: 0x41, count: 1 << 20), .payloadTooLarge),
            Hostile("64 KiB and one", bytes: [UInt8](repeating: 0x20, count: 65_537), .payloadTooLarge),
            Hostile(
                "1 MiB of JSON", "{\"command\":\"" + String(repeating: "x", count: 1 << 20) + "\"}", .payloadTooLarge),
            Hostile("invalid UTF-8", bytes: [0xFF, 0xFE, 0x4F, 0x4E], .invalidPayload),
            Hostile(
                "broken UTF-8 in JSON", bytes: Array("{\"command\":\"".utf8) + [0xC3, 0x28] + Array("\"}".utf8),
                .invalidPayload),
            Hostile("overlong UTF-8", bytes: [0xC0, 0xAF], .invalidPayload),
            Hostile(
                "deep arrays",
                "{\"command\":" + String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000) + "}",
                .invalidPayload),
            Hostile(
                "deep objects",
                String(repeating: "{\"a\":", count: 10_000) + "1" + String(repeating: "}", count: 10_000),
                .invalidPayload),
            Hostile("unclosed", "{\"command\":\"start\"", .invalidPayload),
            Hostile("NaN", #"{"command":"start","duration":NaN}"#, .invalidPayload),
            Hostile("Infinity", #"{"command":"start","duration":Infinity}"#, .invalidPayload),
            Hostile("1e999", #"{"command":"start","duration":1e999}"#, .invalidPayload),
            Hostile("array", "[1,2]", .invalidPayload),
            Hostile("string", "\"ON\"", .invalidPayload),
            Hostile("no command", "{}", .invalidPayload),
            Hostile("NUL", bytes: [0x4F, 0x4E, 0x00], .invalidPayload),
            Hostile("NUL alone", bytes: [0x00], .invalidPayload),
            Hostile("negative duration", #"{"command":"start","duration":-1}"#, .invalidArgument),
            Hostile("no duration", #"{"command":"start","duration":0}"#, .invalidArgument),
            Hostile("for ever", #"{"command":"start","duration":"100000d"}"#, .invalidArgument),
            Hostile("huge number", #"{"command":"start","duration":1e300}"#, .invalidArgument),
            Hostile("duration of words", #"{"command":"start","duration":"soon"}"#, .invalidArgument),
            Hostile("duration as array", #"{"command":"start","duration":[10]}"#, .invalidArgument),
            Hostile("duration as true", #"{"command":"start","duration":true}"#, .invalidArgument),
            Hostile("pre-roll too long", #"{"command":"start","preroll":"2h"}"#, .invalidArgument),
            Hostile("holder with a path", #"{"command":"start","holder":"../../etc/passwd"}"#, .invalidArgument),
            Hostile("holder with a newline", #"{"command":"start","holder":"a\nb"}"#, .invalidArgument),
            Hostile(
                "long holder", "{\"command\":\"start\",\"holder\":\"" + String(repeating: "h", count: 65) + "\"}",
                .invalidArgument),
            Hostile("empty holder", #"{"command":"start","holder":""}"#, .invalidArgument),
            Hostile("holder of a number", #"{"command":"start","holder":7}"#, .invalidArgument),
            Hostile("misspelt field", #"{"command":"start","duraton":"10m"}"#, .invalidArgument),
            Hostile(
                "response topic elsewhere",
                #"{"command":"start","response_topic":"framekeeper/cameras/front/recording"}"#,
                .invalidArgument),
            Hostile(
                "response topic with a wildcard", #"{"command":"start","response_topic":"framekeeper/replies/#"}"#,
                .invalidArgument),
            Hostile("request id of an object", #"{"command":"start","request_id":{}}"#, .invalidArgument),
            Hostile("empty", "", .unknownCommand),
            Hostile("other word", "RECORD", .unknownCommand),
            Hostile("shell", "$(reboot)", .unknownCommand),
            Hostile("SQL", "ON'; DROP TABLE segments;--", .unknownCommand),
            Hostile("other command", #"{"command":"format"}"#, .unknownCommand),
            Hostile("other noun", "ON", .unknownCommand, topic: "cameras/front/destroy/set"),
            Hostile("retained", "ON", .retainedCommand, retained: true),
            Hostile("retained JSON", #"{"command":"start"}"#, .retainedCommand, retained: true),
            Hostile("QoS 2", "nonsense", .unknownCommand, qos: 2),
            Hostile("QoS 0", "nonsense", .unknownCommand, qos: 0),
            Hostile(
                "rotate at no time", #"{"command":"rotate","at":"tomorrow"}"#, .invalidArgument,
                topic: "cameras/front/rotation/set"),
            Hostile(
                "rotate in the year 9999", #"{"command":"rotate","at":"2199-01-01T00:00:00Z"}"#, .notReady,
                topic: "cameras/front/rotation/set"),
            Hostile("rotate what is off", "ROTATE", .notReady, topic: "cameras/front/rotation/set"),
            Hostile("no such camera", "ON", .unknownCamera, topic: "cameras/nobody/recording/set"),
            Hostile("camera of dots", "ON", .unknownCamera, topic: "cameras/../recording/set"),
            Hostile("camera in capitals", "ON", .unknownCamera, topic: "cameras/FRONT/recording/set"),
            Hostile("camera with spaces", "ON", .unknownCamera, topic: "cameras/a b/recording/set"),
            Hostile(
                "long camera", "ON", .unknownCamera,
                topic: "cameras/" + String(repeating: "a", count: 64) + "/recording/set"),
            Hostile("camera of a snowman", "ON", .unknownCamera, topic: "cameras/☃/recording/set"),
            Hostile("no such group", "ON", .unknownCamera, topic: "groups/nobody/recording/set"),
            Hostile("group of dots", "ON", .invalidArgument, topic: "groups/../recording/set"),
            Hostile("no such node", "REPAIR", .invalidArgument, topic: "storage/moon/set"),
            Hostile("empty camera", "ON", .unknownCamera, topic: "cameras//recording/set"),
        ]

        @Test func hostileInputIsRefusedAndChangesNothing() async throws {
            try await Cluster.run(cameras: Self.cameras) { cluster in
                try await cluster.ready("front")
                try await cluster.ready("back")
                cluster.bus.subscribe(["replies/hostile"])
                let before = try await Picture.atRest(cluster)
                for (number, hostile) in Self.hostile.enumerated() {
                    let id = "c\(number)"
                    try await send(hostile, correlation: id, to: cluster)
                    let reply = try await answer(to: id, from: cluster)
                    #expect(reply.error?.code == hostile.code, "\(hostile): \(reply)")
                    if hostile.isRetained { try await clear(hostile.topic, cluster) }
                }
                #expect(try await Picture(cluster) == before)
                #expect(try cluster.files("front").isEmpty && cluster.partialFiles().isEmpty)
                #expect(FileManager.default.fileExists(atPath: cluster.storage))
                print("hostile input: \(Self.hostile.count) refused with the right code, nothing changed")
            }
        }

        /// A thousand starts and stops in a second: each is answered or refused, and the last one holds.
        @Test func aFloodOfStartsAndStopsSettlesOnTheLast() async throws {
            try await Cluster.run(cameras: Self.cameras) { cluster in
                try await cluster.ready("front")
                let pids = try processes(cluster)
                let lines = (0..<1000).map { $0.isMultiple(of: 2) ? "ON" : "OFF" }.joined(separator: "\n")
                let file = "\(cluster.folder)/flood"
                let topic = "framekeeper/cameras/front/recording/set"
                try lines.write(toFile: file, atomically: true, encoding: .utf8)
                _ = try await Tool.run(
                    "sh",
                    [
                        "-c",
                        "exec mosquitto_pub -h 127.0.0.1 -p \(cluster.port) -q 1 -l -t \(topic) < \(file)",
                    ])
                let last: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/front/recording/set")
                #expect(last.status == .ok, "\(last)")
                let off: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/front/recording/set")
                #expect(off.status == .ok, "\(off)")
                try await eventually("the stream stops by itself", within: .seconds(20)) {
                    cluster.recording("front")?.state == .off
                        && cluster.log.state(StreamState.self, at: CameraID(unchecked: "front"))?.state == .idle
                }
                #expect(try processes(cluster) == pids)
            }
        }

        private func processes(_ cluster: Cluster) throws -> [Int32] {
            try ["broker", "rotation-service", "capture-worker.front", "capture-worker.back"].map(cluster.pid(of:))
        }

        private func send(_ hostile: Hostile, correlation: String, to cluster: Cluster) async throws {
            let file = "\(cluster.folder)/payload"
            try Data(hostile.payload).write(to: URL(fileURLWithPath: file))
            // An empty file is not a message for mosquitto_pub; -n is.
            let payload = hostile.payload.isEmpty ? ["-n"] : ["-f", file]
            _ = try await Tool.run(
                "mosquitto_pub",
                [
                    "-V", "mqttv5", "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "\(hostile.qos)", "-t",
                    "framekeeper/\(hostile.topic)", "-D", "publish", "response-topic", "framekeeper/replies/hostile",
                    "-D",
                    "publish", "correlation-data", correlation,
                ] + payload + (hostile.isRetained ? ["-r"] : []))
        }

        private func clear(_ topic: String, _ cluster: Cluster) async throws {
            _ = try await Tool.run(
                "mosquitto_pub",
                ["-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "1", "-t", "framekeeper/\(topic)", "-r", "-n"])
        }

        private func answer(to correlation: String, from cluster: Cluster) async throws -> Reply<RecordingResult> {
            let message = try await eventually("an answer to \(correlation)", within: .seconds(10)) {
                cluster.log.messages(on: "replies/hostile").first { $0.correlation == Array(correlation.utf8) }
            }
            return try BusCodec.value(Reply<RecordingResult>.self, from: message.payload)
        }
    }

}

/// Numbers, one after the other.
private actor Counter {
    private var value = 0
    func next() -> Int {
        value += 1
        return value
    }
}
