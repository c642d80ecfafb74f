import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// A node that is stopped in order, or killed, while it records.
extension NodeTests {
    @Suite struct NodeLifeTests {
        static let cameras = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
              yard:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
                record: always
            """
        static let children = ["broker", "rotation-service", "capture-worker.front", "capture-worker.yard"]

        @Test func stoppedInOrderAndStartedAgain() async throws {
            try await Cluster.run(cameras: Self.cameras, rotation: "2s") { cluster in
                try await begin(cluster)
                let sessions = try sessions(cluster)
                let pids = try Self.children.map(cluster.pid(of:))
                let asked = Date()
                #expect(try await cluster.stop() == 0)
                #expect(Date().timeIntervalSince(asked) < 10)
                let stopped = asked.ago
                #expect(cluster.partialFiles().isEmpty)
                #expect(pids.filter(ProcessTable.isAlive) == [])
                try await cluster.probe(cluster.files("front") + cluster.files("yard"))
                let started = try await startAgain(cluster, sessions)
                print("node stopped in", stopped, "and recording again", started, "after its start")
                try await endsWell(cluster)
            }
        }

        @Test func aKilledSupervisorLeavesNothingBehind() async throws {
            try await Cluster.run(cameras: Self.cameras, rotation: "2s") { cluster in
                try await begin(cluster)
                let sessions = try sessions(cluster)
                let pids = try Self.children.map(cluster.pid(of:))
                let killed = Date()
                kill(cluster.supervisor, SIGKILL)
                // Their standard input ends with the supervisor. A broker does not look at it.
                try await eventually("services and workers end by themselves", within: .seconds(20)) {
                    pids.dropFirst().allSatisfy { !ProcessTable.isAlive($0) }
                }
                let ended = killed.ago
                #expect(cluster.partialFiles().isEmpty)
                let started = try await startAgain(cluster, sessions)
                #expect(pids.filter(ProcessTable.isAlive) == [])
                print(
                    "supervisor killed: children ended after", ended, "and recording again", started, "after the start")
                try await endsWell(cluster)
                let last = try Self.children.map(cluster.pid(of:))
                #expect(try await cluster.stop() == 0)
                #expect(last.filter(ProcessTable.isAlive) == [])
            }
        }

        private func begin(_ cluster: Cluster) async throws {
            try await cluster.startRecording("front")
            try await cluster.ready("yard")
            try await cluster.passSegments(1, of: "front")
            try await cluster.passSegments(1, of: "yard")
        }

        private func sessions(_ cluster: Cluster) throws -> [SessionID] {
            try ["front", "yard"].map { try #require(cluster.recording($0)?.session) }
        }

        private func startAgain(_ cluster: Cluster, _ sessions: [SessionID]) async throws -> String {
            cluster.log.forgetStates()
            let begin = Date()
            try cluster.launch()
            try await eventually("both sessions go on", within: .seconds(40)) {
                zip(["front", "yard"], sessions).allSatisfy { camera, session in
                    let state = cluster.recording(camera)
                    return state?.state == .recording && state?.session == session
                }
            }
            return begin.ago
        }

        private func endsWell(_ cluster: Cluster) async throws {
            try await cluster.passSegments(2, of: "front")
            // The worker may tell its gap before the rotation-service is back. The next scan reads it from the file;
            // a command does not wait for that.
            let repair = try await cluster.ask("REPAIR", on: "storage/node1/set", expecting: StorageResult.self)
            #expect(repair.status == .ok, "\(repair)")
            try await cluster.stopAndVerify("front", "yard")
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: WallTime(milliseconds: 0))
            for camera in ["front", "yard"] {
                // Events are told once, perhaps before this test's client was back: the ledger has them.
                let query = LedgerQuery(camera: CameraID(unchecked: camera))
                #expect(try ledger.gaps(query).map(\.cause) == [.workerDied])
                let rows = try ledger.segments(query).filter { $0.lastFrame != nil }.sorted { $0.index < $1.index }
                let holes = zip(rows, rows.dropFirst()).filter { $0.lastFrame.map { $0 + 1 } != $1.firstFrame }
                #expect(holes.count == 1)
            }
        }
    }
}
