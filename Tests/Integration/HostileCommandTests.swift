import Bus
import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Promise 8 beyond single commands: what is sent in a worker's name, twice, a thousand times, or by old clients.
extension NodeTests {
    @Suite struct HostileCommandTests {
        private typealias Answer = Reply<RecordingResult>

        /// An event for one camera that names another's file, sizes that overflow, a path that leads out, and a pipe.
        @Test func forgedEventsChangeNothing() async throws {
            let limited = CommandTests.cameras.replacingOccurrences(
                of: "groups: [yard]", with: "groups: [yard]\n    storage: {retention: {max_age: 300d, max_size: 1GB}}")
            try await Cluster.run(cameras: limited) { cluster in
                for camera in ["front", "back"] {
                    try await cluster.ready(camera)
                    try await cluster.startRecording(camera)
                }
                for camera in ["front", "back"] {
                    let off: Answer = try await cluster.ask("OFF", on: "cameras/\(camera)/recording/set")
                    #expect(off.status == .ok, "\(off)")
                }
                try await cluster.verify()
                let before = try await Picture.atRest(cluster)
                let own = try #require(cluster.closed("front").last)
                let other = try #require(cluster.closed("back").last)
                for (file, bytes, frames) in [
                    (other.file, own.bytes ?? 0, own.frames ?? 0), (own.file, UInt64(Int64.max), own.frames ?? 0),
                    (own.file, UInt64(1) << 49, own.frames ?? 0), (own.file, own.bytes ?? 0, UInt64.max),
                    ("../../../etc/passwd", 10, 1), ("front/pipe", 10, 1),
                ] {
                    let payload = """
                        {"at":"\(own.startedAt.rfc3339)","seq":1,"event":"closed","session":"\(own.session)",\
                        "index":\(own.index),"node":"\(own.node)","file":"\(file)",\
                        "started_at":"\(own.startedAt.rfc3339)","ended_at":"\(own.startedAt.rfc3339)",\
                        "frames":\(frames),"first_frame":\(own.firstFrame),\
                        "last_frame":\(own.firstFrame &+ frames &- 1),"bytes":\(bytes),"reason":"stop"}
                        """
                    try await publish(payload, to: "cameras/front/segment", cluster)
                }
                let gap = """
                    {"at":"\(own.startedAt.rfc3339)","seq":1,"session":"\(own.session)","cause":"overrun",\
                    "from":"\(own.startedAt.rfc3339)","to":"\(own.startedAt.rfc3339)","seconds":0,\
                    "frames_lost":18446744073709551615}
                    """
                try await publish(gap, to: "cameras/front/gap", cluster)
                for topic in ["recording", "rotation"] {
                    try await publish(#"{"at":1,"state":[]}"#, to: "cameras/front/\(topic)", cluster)
                }
                // Answered after all of the above, by the same loop.
                let repair = try await cluster.ask("REPAIR", on: "storage/node1/set", expecting: StorageResult.self)
                #expect(repair.status == .ok && repair.result?.missing == 0, "\(repair)")
                #expect(try await Picture(cluster) == before)
                try await cluster.verify()
            }
        }

        /// Each of a thousand is answered, with success or with a code of the closed list.
        @Test func everyCommandOfAFloodIsAnswered() async throws {
            try await Cluster.run(cameras: CommandTests.cameras) { cluster in
                try await cluster.ready("front")
                cluster.bus.subscribe(["replies/flood"])
                let before = try await Picture.atRest(cluster).pids
                let lines = (0..<1000).map { $0.isMultiple(of: 2) ? "ON" : "OFF" }.joined(separator: "\n")
                let file = "\(cluster.folder)/flood"
                try lines.write(toFile: file, atomically: true, encoding: .utf8)
                _ = try await Tool.run(
                    "sh",
                    [
                        "-c",
                        "exec mosquitto_pub -V mqttv5 -h 127.0.0.1 -p \(cluster.port) -q 1 -l "
                            + "-t framekeeper/cameras/front/recording/set "
                            + "-D publish response-topic framekeeper/replies/flood < \(file)",
                    ])
                try await eventually("a thousand answers", within: .seconds(60)) {
                    cluster.log.messages(on: "replies/flood").count >= 1000
                }
                let answers = cluster.log.messages(on: "replies/flood")
                #expect(answers.count == 1000)
                // Decoding refuses any other code.
                for answer in answers { _ = try BusCodec.value(Answer.self, from: answer.payload) }
                let off: Answer = try await cluster.ask("OFF", on: "cameras/front/recording/set")
                #expect(off.status == .ok, "\(off)")
                #expect(try await Picture(cluster).pids == before)
            }
        }

        /// The same message twice does what one does, at either class of delivery.
        @Test func aCommandThatArrivesTwiceDoesWhatOneDoes() async throws {
            try await Cluster.run(cameras: CommandTests.cameras) { cluster in
                try await cluster.ready("front")
                for qos in [1, 2] {
                    let replies = "replies/twice\(qos)"
                    cluster.bus.subscribe([TopicTemplate(pattern: replies)])
                    for (number, command) in ["ON", "OFF"].enumerated() {
                        _ = try await Tool.run(
                            "mosquitto_pub",
                            [
                                "-V", "mqttv5", "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "\(qos)",
                                "--repeat", "2", "-t", "framekeeper/cameras/front/recording/set", "-m", command, "-D",
                                "publish", "response-topic", "framekeeper/\(replies)",
                            ])
                        try await eventually("two answers to \(command)", within: .seconds(20)) {
                            cluster.log.messages(on: replies).count >= 2 * (number + 1)
                        }
                    }
                    let answers = try cluster.log.messages(on: replies).map {
                        try BusCodec.value(Answer.self, from: $0.payload)
                    }
                    #expect(answers.count == 4 && answers.allSatisfy { $0.status == .ok }, "\(answers)")
                    #expect(Set(answers.prefix(2).compactMap { $0.result?.session }).count == 1, "\(answers)")
                }
                try await eventually("two sessions are complete", within: .seconds(20)) {
                    Set(cluster.closed("front").map(\.session)).count == 2
                }
                #expect(cluster.recording("front")?.leases.isEmpty == true)
            }
        }

        /// Every command in the form of MQTT 3.1.1: where to answer stands in the payload.
        @Test func oldClientsAreAnsweredToEveryCommand() async throws {
            try await Cluster.run(cameras: CommandTests.cameras) { cluster in
                try await cluster.ready("front")
                try await cluster.ready("back")
                cluster.bus.subscribe(["replies/old"])
                for (topic, command, count) in [
                    ("cameras/front/recording/set", "start", 1), ("cameras/front/rotation/set", "rotate", 1),
                    ("cameras/front/viewing/set", "start", 1), ("cameras/front/viewing/set", "stop", 1),
                    ("cameras/front/restart/set", "restart", 1), ("cameras/front/recording/set", "stop", 1),
                    ("groups/yard/recording/set", "stop", 2), ("storage/node1/set", "repair", 1),
                    ("groups/nobody/recording/set", "stop", 1), ("storage/elsewhere/set", "repair", 1),
                ] {
                    let id = "\(topic) \(command)"
                    let payload =
                        #"{"command":"\#(command)","response_topic":"framekeeper/replies/old","request_id":"\#(id)"}"#
                    try await publish(payload, to: topic, cluster)
                    let answers = try await eventually("\(count) answers to \(id)", within: .seconds(20)) {
                        let texts = cluster.log.messages(on: "replies/old").map {
                            String(decoding: $0.payload, as: UTF8.self)
                        }.filter { $0.contains("\"request_id\":\"\(id)\"") }
                        return texts.count >= count ? texts : nil
                    }
                    let isKnown = !topic.contains("nobody") && !topic.contains("elsewhere")
                    #expect(answers.count == count)
                    #expect(answers.allSatisfy { $0.contains(#""status":"ok""#) } == isKnown, "\(answers)")
                }
            }
        }

        /// To clear a retained command is what its refusal asks for, and no second mistake.
        @Test func clearingARetainedCommandIsNoError() async throws {
            try await Cluster.run(cameras: CommandTests.cameras) { cluster in
                try await cluster.ready("front")
                func send(_ payload: String...) async throws {
                    _ = try await Tool.run(
                        "mosquitto_pub",
                        [
                            "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "1", "-t",
                            "framekeeper/cameras/nobody/recording/set",
                        ] + payload)
                }
                func refusals() -> [CameraErrorEvent] {
                    cluster.log.events(CameraErrorEvent.self, at: CameraID(unchecked: "nobody"))
                }
                try await send("-r", "-m", "ON")
                try await eventually("the retained one is refused", within: .seconds(10)) { !refusals().isEmpty }
                try await send("-r", "-n")
                // Heard by the same loop after the clearing, and events keep their order.
                try await send("-m", #"{"command":"start","request_id":"last"}"#)
                try await eventually("the last one is refused", within: .seconds(10)) {
                    refusals().contains { $0.requestId == "last" }
                }
                #expect(refusals().map(\.code) == [.unknownCamera, .unknownCamera])
            }
        }

        private func publish(_ payload: String, to topic: String, _ cluster: Cluster) async throws {
            _ = try await Tool.run(
                "mosquitto_pub",
                [
                    "-V", "mqttv311", "-h", "127.0.0.1", "-p", "\(cluster.port)", "-q", "1", "-t",
                    "framekeeper/\(topic)", "-m", payload,
                ])
        }
    }

    /// Everything that hostile input must not change.
    struct Picture: Equatable {
        /// What the broker retains of the cameras, as one who comes now hears it.
        var cameras: String
        var ledger: String
        var files: [[String]]
        var partialFiles: [String]
        var pids: [Int32]

        /// Once everybody has said what they say of a node at rest: a first verdict takes seconds.
        static func atRest(_ cluster: Cluster) async throws -> Picture {
            try await eventually("plans and verdicts are there", within: .seconds(60)) {
                ["front", "back"].map(CameraID.init(unchecked:)).allSatisfy {
                    cluster.log.state(CameraHealth.self, at: $0)?.status == .ok
                        && cluster.log.state(RotationState.self, at: $0) != nil
                }
            }
            return try await Picture(cluster)
        }

        init(_ cluster: Cluster) async throws {
            let status = try await cluster.framekeeper("status", "--json")
            let board = try JSONSerialization.jsonObject(with: Data(status.output.utf8)) as? [String: Any]
            cameras = String(
                decoding: try JSONSerialization.data(
                    withJSONObject: try #require(board?["cameras"]), options: .sortedKeys), as: UTF8.self)
            let listed = try await cluster.framekeeper("recordings", "list", "--json")
            ledger = listed.output
            files = try ["front", "back"].map(cluster.files)
            partialFiles = cluster.partialFiles()
            pids = try ["broker", "rotation-service", "capture-worker.front", "capture-worker.back"].map(cluster.pid)
        }
    }
}
