import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// The files are the truth: a ledger that is lost or damaged comes back from them.
extension NodeTests {
    @Suite struct LedgerLossTests {
        static let pattern = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
            """

        @Test func aLostLedgerIsRebuilt() async throws {
            try await rebuilds { ledger in
                for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: ledger + suffix) }
                return false
            }
        }

        @Test func aDamagedLedgerIsKeptAsideAndRebuilt() async throws {
            try await rebuilds { ledger in
                let file = try FileHandle(forUpdating: URL(fileURLWithPath: ledger))
                let size = try file.seekToEnd()
                var random = SeededRandom(seed: 7)
                // The page in the middle.
                try file.seek(toOffset: size / 4096 / 2 * 4096)
                try file.write(contentsOf: (0..<4096).map { _ in UInt8.random(in: 0...255, using: &random) })
                try file.close()
                return true
            }
        }

        /// - Parameter harm: what happens to the ledger while the node is down; returns whether a copy must be kept.
        private func rebuilds(_ harm: (String) throws -> Bool) async throws {
            try await Cluster.run(cameras: Self.pattern, rotation: "1s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(2, of: "front")
                // A gap, which only the files remember then.
                try cluster.signal("capture-worker.front", SIGKILL)
                try await eventually("the gap", within: .seconds(20)) { !cluster.gaps("front").isEmpty }
                try await cluster.passSegments(2, of: "front")
                try await cluster.stopAndVerify("front")
                #expect(try await cluster.stop() == 0)
                let before = try rows(cluster)
                #expect(before.segments.count >= 4 && before.gaps.count == 1)
                let keeps = try harm("\(cluster.storage)/\(LedgerStore.fileName)")
                let begin = Date()
                cluster.log.forgetStates()
                try cluster.launch()
                try await eventually("the ledger is rebuilt", within: .seconds(40)) {
                    // Not the damaged one, which may still be readable in part.
                    cluster.log.state(StorageState.self, at: NodeID(unchecked: "node1")) != nil
                        && (try? rows(cluster)) == before
                }
                print("ledger rebuilt of \(before.segments.count) files", begin.ago, "after the start")
                try await cluster.verify()
                let kept = try databasesMovedAside(in: cluster.storage)
                #expect(keeps ? kept.count == 1 : kept.isEmpty, "\(kept)")
            }
        }

        /// What must be the same in the end. A segment whose worker died before its first part has a row and no file.
        private struct Rows: Equatable {
            struct Segment: Equatable {
                var session: SessionID
                var index: Int
                var path: String
                var firstFrame: UInt64
                var lastFrame: UInt64?
                var bytes: Int64?
                var startedAt: WallTime
            }
            struct Gap: Equatable {
                var from: WallTime
                var to: WallTime
                var cause: GapCause
            }
            var segments: [Segment]
            var gaps: [Gap]
        }

        private func rows(_ cluster: Cluster) throws -> Rows {
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: .init(milliseconds: 0))
            let segments = try ledger.segments(LedgerQuery(states: [.closed])).sorted { $0.index < $1.index }
            let gaps = try ledger.gaps(LedgerQuery()).sorted { $0.from < $1.from }
            return Rows(
                segments: segments.map {
                    Rows.Segment(
                        session: $0.session, index: $0.index, path: $0.path, firstFrame: $0.firstFrame,
                        lastFrame: $0.lastFrame, bytes: $0.bytes, startedAt: $0.startedAt)
                }, gaps: gaps.map { Rows.Gap(from: $0.from, to: $0.to, cause: $0.cause) })
        }
    }
}
