import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Two workers for one camera: the newer one goes on, and never do both write.
extension NodeTests {
    @Suite struct FencingTests {
        static let pattern = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
            """

        @Test func theNewerWorkerTakesTheSessionOver() async throws {
            try await Cluster.run(cameras: Self.pattern, rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                let older = try cluster.pid(of: "capture-worker.front")
                let begin = Date()
                let newer = try secondWorker(cluster)
                try await takesOver(newer, from: older, cluster)
                print("fencing: the newer worker writes", begin.ago, "after its start")
                try await endsWell(newer, cluster)
            }
        }

        @Test func withoutABrokerTheFolderLockDecides() async throws {
            try await Cluster.run(cameras: Self.pattern, rotation: "1s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                let older = try cluster.pid(of: "capture-worker.front")
                let broker = try cluster.pid(of: "broker")
                kill(broker, SIGSTOP)
                defer { kill(broker, SIGCONT) }
                let before = try cluster.files("front").count
                let newer = try secondWorker(cluster)
                try await eventually("the older one rotates on", within: .seconds(30)) {
                    #expect(ProcessTable.openSegments(newer.pid).isEmpty)
                    return try cluster.files("front").count >= before + 3
                }
                #expect(newer.exitStatus() == nil, "the newer one waits")
                try await eventually("it says what it waits for") {
                    try String(contentsOfFile: "\(cluster.folder)/newer.log", encoding: .utf8)
                        .contains("another process holds the camera's folder")
                }
                let begin = Date()
                kill(broker, SIGCONT)
                try await takesOver(newer, from: older, cluster)
                print("fencing: the newer worker writes", begin.ago, "after the broker is back")
                try await endsWell(newer, cluster)
            }
        }

        private func secondWorker(_ cluster: Cluster) throws -> ChildProcess {
            try ChildProcess(
                [Products.path("capture-worker"), "--camera", "front", "--config", cluster.config],
                output: "\(cluster.folder)/newer.log")
        }

        /// Waits until the newer one writes the session; looks all the while that only one of them does.
        private func takesOver(_ newer: ChildProcess, from older: Int32, _ cluster: Cluster) async throws {
            let session = try #require(cluster.recording("front")?.session)
            try await eventually("the newer one writes", within: .seconds(30)) {
                // The newer one first: what it writes now, the older one must have let go of before.
                let newerWrites = !ProcessTable.openSegments(newer.pid).isEmpty
                let olderWrites = !ProcessTable.openSegments(older).isEmpty
                #expect(!(newerWrites && olderWrites), "both write")
                return newerWrites && !olderWrites
            }
            // The folder is free a moment before the process has ended.
            try await eventually("the older one ends", within: .seconds(20)) { !ProcessTable.isAlive(older) }
            try await eventually("the gap is told", within: .seconds(20)) { !cluster.gaps("front").isEmpty }
            try await eventually("the session is recorded", within: .seconds(20)) {
                cluster.recording("front")?.state == .recording && cluster.recording("front")?.session == session
            }
            let lines = try cluster.upLog().split(separator: "\n")
            let end = lines.last { $0.contains("child ended") && $0.contains("capture-worker/front") } ?? ""
            #expect(end.contains("another process owns its camera") && end.contains("again_in=30s"), "\(end)")
        }

        private func endsWell(_ newer: ChildProcess, _ cluster: Cluster) async throws {
            try await cluster.passSegments(2, of: "front")
            try await cluster.stopAndVerify("front")
            let gaps = cluster.gaps("front")
            #expect(gaps.map(\.cause) == [.workerDied])
            #expect(cluster.holes("front").count == 1)
            newer.signal(SIGTERM)
            #expect(try await newer.wait(within: .seconds(15)) == 0)
            print("fencing: gap", gaps.map(\.seconds))
        }
    }
}
