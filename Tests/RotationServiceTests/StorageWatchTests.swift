import BusContract
import Domain
import RotationServiceCore
import Testing

/// How often a storage folder is looked at: rarely where nothing happens, soon where it fills.
@Suite struct StorageWatchTests {
    private static let folder = StorageFolder("/recordings")
    private static let total: Int64 = 1_000_000_000_000

    /// Runs the service for `span` on a disk whose free space is what `free` says; returns when it was looked at.
    private func looks(for span: Duration, free: (Duration) -> Int64) -> [Duration] {
        let core = CoreUnderTest(
            NodeSettings(
                node: NodeID(unchecked: "attic"), cameras: [],
                folders: [NodeSettings.Folder(folder: Self.folder, retention: RetentionLimits(minFree: ByteCount(1)))]))
        let start = Now(monotonic: .zero, wall: WallTime(milliseconds: 1_800_000_000_000))
        var now = start
        var looks: [Duration] = []
        var wake: MonotonicTime?
        var pending: [RotationEvent] = [.started]
        while now.monotonic - start.monotonic <= span {
            let effects = pending.isEmpty ? core.handle(.woke, at: now) : core.handle(pending.removeFirst(), at: now)
            for effect in effects {
                switch effect {
                case .wake(let time): wake = time
                case .scan(let folder, let scope): pending.append(.scanEnded(folder, scope, .success(ScanCounts())))
                case .takeInventory(let folder):
                    let passed = now.monotonic - start.monotonic
                    looks.append(passed)
                    let inventory = Inventory(cameras: [], totalBytes: Self.total, freeBytes: free(passed))
                    pending.append(.inventoryTaken(folder, .success(inventory)))
                default: break
                }
            }
            guard pending.isEmpty else { continue }
            guard let next = wake else { break }
            wake = nil
            now = now + max(next - now.monotonic, .nanoseconds(1))
        }
        return looks
    }

    @Test func aQuietDiskIsLookedAtOnceAMinute() {
        let seen = looks(for: .seconds(600)) { _ in 500_000_000_000 }
        #expect((10...14).contains(seen.count), "\(seen)")
    }

    /// 100 MB of 1 GB a second: between two looks no more than an eighth of what is left is gone, down to the least.
    @Test func aDiskThatFillsFastIsLookedAtInTime() throws {
        func free(_ passed: Duration) -> Int64 { max(0, 10_000_000_000 - Int64(passed.seconds * 100_000_000)) }
        let seen = looks(for: .seconds(99), free: free)
        // The first two find out how fast it goes.
        for (last, next) in zip(seen.dropFirst(2), seen.dropFirst(3)) {
            let gone = Double(free(last) - free(next))
            #expect(gone <= Double(free(last)) / 8 + 1 || next - last <= .milliseconds(251), "\(last) to \(next)")
        }
        #expect(seen.count > 25, "\(seen)")
    }
}
