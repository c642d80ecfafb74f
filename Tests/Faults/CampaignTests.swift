import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// Every process of a node is killed, held and hung at random moments while four cameras record, rotate and publish.
extension FaultTests {
    @Suite struct CampaignTests {
        /// All states settle within this of a fault's end.
        static let settleMax = 10.0
        /// After as many that came to no end there is nothing more to learn.
        private static let unsettledMax = 3

        private static var runs: Int { environment("FRAMEKEEPER_TEST_RUNS") ?? (isFullRun ? 20 : 1) }
        private static var seed: Int { environment("FRAMEKEEPER_TEST_SEED") ?? 4 }
        /// The supervisor takes 10 s to find one that hangs; the bounded form hangs the one that matters most.
        private static var faults: [Fault] {
            Fault.all.filter { isFullRun || $0.kind != .hung || $0.target == .worker }
        }

        private static func environment(_ name: String) -> Int? {
            ProcessInfo.processInfo.environment[name].flatMap(Int.init)
        }

        @Test func noFaultCostsMoreThanThePromisesSay() async throws {
            let server = try MediaServerProcess()
            try await server.start()
            let text = Campaign.cameras.map { name in
                """
                  \(name):
                    source: "test://pattern?size=160x120&fps=\(Int(Campaign.fps))"
                    encoder: {gop: 1s}
                """
            }
            let section = """
                mediamtx:
                  api: \(server.api)
                  rtsp: \(server.rtsp)
                  publish: always
                  hook_listen: 127.0.0.1:\(try MosquittoBroker.freePort())
                """
            try await Cluster.run(cameras: text.joined(separator: "\n"), rotation: "3s", extra: section) { cluster in
                for camera in Campaign.cameras { try await cluster.startRecording(camera) }
                var campaign = Campaign(cluster: cluster, server: server, seed: UInt64(Self.seed))
                try await campaign.settle(since: Date(), after: nil)
                var order = (0..<Self.runs).flatMap { _ in Self.faults }
                order.shuffle(using: &campaign.random)
                var table = FaultTable()
                var unsettled = 0
                for fault in order {
                    let cost: FaultCost
                    do {
                        cost = try await campaign.run(fault)
                    } catch {
                        // One that costs too much should not hide what the others cost.
                        unsettled += 1
                        Issue.record("\(error)")
                        guard unsettled < Self.unsettledMax else { throw error }
                        continue
                    }
                    table.add(cost, of: fault)
                    check(cost, of: fault)
                    // The long form takes an hour: what it came to so far.
                    if table.runs.isMultiple(of: 60) { print("\(table)") }
                }
                print("\(table)")
                #expect(table.runs == order.count && table.recoveryMax <= Self.settleMax, "\n\(table)")
                try await finish(cluster, campaign)
            }
        }

        private func check(_ cost: FaultCost, of fault: Fault) {
            if !fault.mayCostFrames {
                #expect(cost.framesLost == 0 && cost.gapSeconds == 0, "\(fault): promise 2")
            }
            if fault.kind == .killed { #expect(cost.lostBefore <= 1, "\(fault): promise 5, \(cost.lostBefore) s") }
        }

        /// Every file can be played, files and ledger agree, and every hole in the numbers is a gap that was told.
        private func finish(_ cluster: Cluster, _ campaign: Campaign) async throws {
            for camera in Campaign.cameras {
                let reply: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/\(camera)/recording/set")
                #expect(reply.status == .ok, "\(reply)")
            }
            try await cluster.verify()
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: WallTime(milliseconds: 0))
            try await eventually("ledger and files agree without being asked to", within: .seconds(60)) {
                let paths = try ledger.segments(LedgerQuery()).map { "\(cluster.storage)/\($0.path)" }
                return Set(paths) == Set(try Campaign.cameras.flatMap { try cluster.files($0) })
            }
            let repair = try await cluster.ask("REPAIR", on: "storage/node1/set", expecting: StorageResult.self)
            #expect(repair.status == .ok, "\(repair)")
            let mended = repair.result.map { $0.recovered + $0.imported + $0.missing }
            #expect(mended == 0, "nothing was left to repair: \(repair)")
            var files = 0
            for camera in Campaign.cameras {
                let query = LedgerQuery(camera: CameraID(unchecked: camera))
                let rows = try ledger.segments(query)
                let names = try cluster.files(camera)
                #expect(Set(rows.map(\.session)).count == 1, "\(camera): one session over all faults")
                try await cluster.probe(names)
                files += names.count
                #expect(try ledger.gaps(query).count == campaign.gapsSeen[camera]?.count ?? 0, "\(camera): gaps")
            }
            #expect(cluster.partialFiles() == [])
            print("\(files) files played, ledger and files agree")
        }
    }
}
