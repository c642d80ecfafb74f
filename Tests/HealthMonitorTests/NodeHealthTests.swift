import BusContract
import Domain
import HealthMonitorCore
import Testing

/// The verdicts on hosts: their clocks and their disks.
@Suite struct NodeHealthTests {
    private static let gigabyte: Int64 = 1_000_000_000

    @Test func aNodeWhoseClockIsWrongIsTold() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(20), clock: .seconds(-4))
        #expect(bench.nodeVerdict()?.reasons.map(\.code) == [.clockOffset])
        #expect(bench.nodeVerdict()?.clockOffsetSeconds == -4)
        // This host's own clock is put right by 4 s: that is no fault of the other.
        bench.now.wall = bench.now.wall - .seconds(4)
        bench.play(.seconds(20))
        #expect(bench.nodeVerdict()?.reasons == [])
    }

    @Test func aDiskThatFillsIsToldWithItsDate() {
        let bench = HealthBench()
        bench.fill(minutes: 20, from: 100 * Self.gigabyte, by: Self.gigabyte)
        let verdict = bench.nodeVerdict()
        #expect(verdict?.status == .degraded && verdict?.reasons.map(\.code) == [.diskFullSoon])
        let left = verdict?.diskFullAt.map { ($0 - bench.now.wall).seconds } ?? 0
        #expect(abs(left - 81 * 60) < 1200, "\(left) s")
    }

    /// Equal states are not said again: silence is how a disk stands still.
    @Test func aDiskThatFillsNoMoreIsWellAgain() {
        let bench = HealthBench()
        bench.fill(minutes: 20, from: 100 * Self.gigabyte, by: Self.gigabyte)
        #expect(bench.nodeVerdict()?.reasons.map(\.code) == [.diskFullSoon])
        bench.pass(.seconds(2 * 3600))
        #expect(bench.nodeVerdict()?.status == .ok && bench.nodeVerdict()?.reasons == [])
        bench.pass(.seconds(6 * 3600))
        #expect(bench.nodeVerdict()?.diskFullAt == nil)
        _ = bench.take()
        bench.pass(.seconds(3600))
        #expect(bench.nodeVerdict() == nil, "nothing is left to say")
    }

    /// Space above `min_free` is there to be used; below it, retention does not keep up.
    @Test func aDiskThatRetentionKeepsFreeIsNotAboutToBeFull() {
        let bench = HealthBench()
        bench.fill(minutes: 60, from: 100 * Self.gigabyte, by: Self.gigabyte, keeping: 40 * Self.gigabyte)
        #expect(bench.nodeVerdict()?.status == .ok && bench.nodeVerdict()?.diskFullAt == nil)
        bench.fill(minutes: 5, from: 40 * Self.gigabyte, by: Self.gigabyte, keeping: 40 * Self.gigabyte)
        #expect(bench.nodeVerdict()?.reasons.map(\.code) == [.diskFullSoon])
        bench.fill(minutes: 1, from: 44 * Self.gigabyte, by: 0, keeping: 40 * Self.gigabyte)
        #expect(bench.nodeVerdict()?.status == .ok && bench.nodeVerdict()?.diskFullAt == nil)
    }

    @Test func nodesAreBounded() {
        let bench = HealthBench()
        let state = StorageState(totalBytes: 2, freeBytes: 1, usedBytes: 0, oldestAt: nil, status: .ok)
        for index in 0..<(HealthCore.nodesMax + 50) {
            bench.step(.storageReported(NodeID(unchecked: "n\(index)"), state, sentAt: nil))
        }
        let told = bench.take().filter { if case .publishNode = $0 { true } else { false } }
        #expect(told.count == HealthCore.nodesMax)
    }
}
