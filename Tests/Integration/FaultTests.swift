import Bus
import BusContract
import Domain
import Foundation
import Ledger
import Logging
import Media
import TestSupport
import Testing

/// Promises 2, 4, 5 and 6 with real processes: killed, stopped, brought back.
extension NodeTests {
    @Suite struct FaultTests {
        static let pattern = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
            """

        private func startRecording(_ cluster: Cluster) async throws {
            try await cluster.ready("front")
            let reply: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/front/recording/set")
            #expect(reply.status == .ok, "\(reply)")
        }

        /// Stops the recording, then lets the command line prove continuity.
        private func verify(_ cluster: Cluster) async throws {
            let reply: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/front/recording/set")
            #expect(reply.status == .ok, "\(reply)")
            // The ledger hears of the last file a moment after the reply.
            let last = try #require(cluster.closed("front").last)
            var verdict = try await cluster.framekeeper("recordings", "verify")
            try await eventually("verify agrees", within: .seconds(20)) {
                verdict = try await cluster.framekeeper("recordings", "verify")
                return verdict.status == 0
            }
            #expect(verdict.status == 0, "after segment \(last.index): \(verdict.output)")
        }

        @Test func aKilledWorkerLosesAtMostOnePart() async throws {
            let kills = isFullRun ? 50 : 5
            // In memory: what is lost is what the worker has not written, and not what a busy disk has not taken yet.
            let memory = "/dev/shm"
            let storage = FileManager.default.fileExists(atPath: memory) ? "\(memory)/framekeeper-\(UUID())" : nil
            try await Cluster.run(cameras: Self.pattern, rotation: "3s", storage: storage) { cluster in
                try await startRecording(cluster)
                var random = SeededRandom(seed: 42)
                var resumed: [Double] = []
                var lost: [Double] = []
                for _ in 0..<kills {
                    try await passFrames(cluster, seconds: Double.random(in: 0.3...4, using: &random))
                    let cost = try await killAndResume(cluster)
                    resumed.append(cost.resumed)
                    lost.append(cost.lost)
                }
                try await passFrames(cluster, seconds: 2)
                try await verify(cluster)
                for file in try cluster.files("front") {
                    _ = try await Tool.run("ffprobe", ["-v", "error", "-show_format", file])
                }
                let gaps = cluster.log.events(GapEvent.self, at: CameraID(unchecked: "front"))
                #expect(gaps.count == kills)
                #expect(gaps.allSatisfy { $0.cause == .workerDied })
                // Promise 5, and what the supervisor promises.
                #expect((lost.max() ?? 0) <= 1, "seconds before the kill that were lost: \(lost)")
                #expect((resumed.max() ?? 0) <= 2, "seconds until it went on: \(resumed)")
                print(
                    "killed \(kills) times: files \(try cluster.files("front").count);",
                    String(
                        format: "lost before the kill %.2f s median, %.2f s most; "
                            + "resumed within %.2f s median, %.2f s most; longest gap %.2f s",
                        median(lost), lost.max() ?? 0, median(resumed), resumed.max() ?? 0,
                        gaps.map(\.seconds).max() ?? 0))
            }
        }

        /// Lets real time pass by waiting for that much video on disk or on its way.
        private func passFrames(_ cluster: Cluster, seconds: Double) async throws {
            let end = Date().addingTimeInterval(seconds)
            try await eventually("time passes", within: .seconds(60)) { Date() >= end }
        }

        /// The seconds of recording from before the kill that are on no disk, and those until the session went on.
        private func killAndResume(_ cluster: Cluster) async throws -> (lost: Double, resumed: Double) {
            let camera = CameraID(unchecked: "front")
            let session = try #require(cluster.log.events(SegmentEvent.self, at: camera).last?.session)
            let gaps = cluster.log.events(GapEvent.self, at: camera).count
            let killed = Date()
            try cluster.signal("capture-worker.front", SIGKILL)
            try await eventually("the session resumes", within: .seconds(30)) {
                cluster.log.events(GapEvent.self, at: camera).count > gaps
            }
            let resumed = Date().timeIntervalSince(killed)
            let gap = try #require(cluster.log.events(GapEvent.self, at: camera).last)
            #expect(gap.session == session)
            return (killed.timeIntervalSince1970 - Double(gap.from.milliseconds) / 1000, resumed)
        }

        private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

        /// How a broker is away.
        enum Absence: String, CaseIterable {
            /// Its connections stay and nothing answers.
            case hangs
            /// It is dead and its port refuses.
            case refuses
        }

        @Test(arguments: Absence.allCases)
        func theBrokerIsAwayAndComesBackWithoutItsMemory(absence: Absence) async throws {
            let seconds = isFullRun ? 60.0 : 8
            let broker = try await MosquittoBroker.start()
            try await Cluster.run(cameras: Self.pattern, rotation: "2s", broker: broker) { cluster in
                try await startRecording(cluster)
                try await passFrames(cluster, seconds: 3)
                switch absence {
                case .hangs: broker.pause()
                case .refuses: broker.kill()
                }
                try await passFrames(cluster, seconds: seconds)
                broker.kill()
                cluster.log.forgetStates()
                try await broker.start(isForgetting: true)
                let settled = try await settle(cluster, broker)
                #expect(settled <= 5, "retained state was complete after \(settled) s")
                try await passFrames(cluster, seconds: 5)
                try await verify(cluster)
                let segments = try await compareLedger(cluster, spanning: seconds + 8)
                print(
                    "broker \(absence) \(seconds) s: \(segments) segments, no gap;",
                    "state complete after", String(format: "%.2f s", settled))
            }
        }

        /// Waits until all retained state is on the bus again; returns how many seconds that took. What counts is what
        /// the broker tells somebody who comes only now: whoever listened before hears more.
        private func settle(_ cluster: Cluster, _ broker: MosquittoBroker) async throws -> Double {
            let back = Date()
            let camera = CameraID(unchecked: "front")
            try await eventually("retained state is complete again", within: .seconds(20)) {
                let told = try await retained(broker)
                return told.state(RecordingState.self, at: camera)?.state == .recording
                    && told.state(StreamState.self, at: camera)?.state == .active
                    && told.state(CameraAvailability.self, at: camera) == .online
                    && told.state(RotationState.self, at: camera) != nil
                    && told.state(StorageState.self, at: NodeID(unchecked: "node1")) != nil
                    && Self.services.allSatisfy { service in
                        told.topics.contains { $0.hasPrefix("services/\(service)/") }
                    }
            }
            return Date().timeIntervalSince(back)
        }

        private static let services = [
            "capture-worker", "rotation-service", "config-writer", "metrics", "framekeeper",
        ]

        /// What the broker retains, as one who comes now hears it.
        private func retained(_ broker: MosquittoBroker) async throws -> MessageLog {
            let told = MessageLog()
            let fresh = BusClient(
                settings: BusSettings(endpoint: broker.tcpEndpoint, clientID: "fresh-\(UUID().uuidString)"),
                now: { WallTime(milliseconds: 0) }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let listener = Task { for await input in fresh.inputs { told.take(input) } }
            fresh.subscribe(["cameras/#", "services/#", "storage/#", "config"])
            fresh.start()
            // Retained messages come at once; what does not come soon is not there yet, and somebody looks again.
            let deadline = Date().addingTimeInterval(0.3)
            try await eventually("the broker has told", within: .seconds(20)) {
                told.connects > 0 && Date() >= deadline
            }
            await fresh.stop()
            listener.cancel()
            return told
        }

        /// Boundaries on time although nobody could say when, no gap, and each segment in the ledger as in its file.
        /// What the broker took before this test's client was back, the client never hears: the ledger is asked.
        /// - Returns: how many segments there are.
        private func compareLedger(_ cluster: Cluster, spanning seconds: Double) async throws -> Int {
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: WallTime(milliseconds: 0))
            let query = LedgerQuery(camera: CameraID(unchecked: "front"))
            let rows = try ledger.segments(query).sorted { $0.index < $1.index }
            #expect(Double(rows.count) >= seconds / 2 - 1, "\(rows.count) segments in \(seconds) s")
            #expect(rows.allSatisfy { $0.state == .closed && $0.session == rows[0].session })
            // The key frames of the source lie 1 s apart: a file begins that much behind its boundary at most, and the
            // boundaries lie 2 s apart.
            let starts = rows.dropFirst().map { Double($0.startedAt.milliseconds) / 1000 }
            let offsets = starts.enumerated().map { $1 - starts[0] - 2 * Double($0) }
            #expect(offsets.allSatisfy { (-1.1...1.1).contains($0) }, "\(offsets)")
            let told = rows.compactMap(\.offsetSeconds) + cluster.segments("front").compactMap(\.offsetSeconds)
            #expect(told.allSatisfy { (0...1.1).contains($0) }, "\(told)")
            #expect(try ledger.gaps(query).isEmpty && cluster.gaps("front").isEmpty)
            let follow = zip(rows, rows.dropFirst()).map { $0.lastFrame.map { $0 + 1 } == $1.firstFrame }
            #expect(follow.allSatisfy { $0 })
            let files = try cluster.files("front")
            #expect(cluster.partialFiles().isEmpty)
            #expect(rows.map { "\(cluster.storage)/\($0.path)" }.sorted() == files)
            let frames = try files.map { try SegmentFileReader.verify($0).videoFrames }
            #expect(rows.map { $0.frames.map(Int.init) } == frames)
            let list = try await cluster.framekeeper("recordings", "list", "--json")
            #expect(list.status == 0, "\(list.output)")
            let sessions = try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]]
            #expect(sessions?.count == 1)
            #expect(sessions?.first?["frames"] as? Int == frames.reduce(0, +))
            return rows.count
        }

        @Test func aStoppedRotationServiceMissesNothing() async throws {
            try await Cluster.run(cameras: Self.pattern, rotation: "2s") { cluster in
                try await startRecording(cluster)
                try await passFrames(cluster, seconds: 2)
                let before = cluster.closed("front").count
                try cluster.signal("rotation-service", SIGSTOP)
                try await eventually("the worker rotates by itself", within: .seconds(20)) {
                    cluster.closed("front").count >= before + 3
                }
                try cluster.signal("rotation-service", SIGCONT)
                try await passFrames(cluster, seconds: 3)
                try await verify(cluster)
                let indices = cluster.closed("front").map(\.index)
                #expect(Set(indices).count == indices.count, "no segment twice: \(indices)")
                let list = try await cluster.framekeeper("recordings", "list", "--json")
                let rows = try JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]]
                #expect(rows?.count == 1)
                let frames = cluster.closed("front").reduce(0) { $0 + Int($1.frames ?? 0) }
                #expect(rows?.first?["frames"] as? Int == frames)
            }
        }
    }
}
