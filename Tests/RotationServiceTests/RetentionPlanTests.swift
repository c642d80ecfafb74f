import Domain
import RotationServiceCore
import TestSupport
import Testing

/// What has to go, and what never may.
@Suite struct RetentionPlanTests {
    private static let now = WallTime(milliseconds: 1_772_366_400_000)
    private static let gigabyte: Int64 = 1_000_000_000

    private static func segment(_ camera: String, _ index: Int, age: Duration, bytes: Int64) -> StoredSegment {
        StoredSegment(
            camera: CameraID(unchecked: camera), session: SessionID(high: UInt64(camera.utf8.count), low: 1),
            index: index, path: "\(camera)/\(index)", startedAt: now - age - .seconds(10), endedAt: now - age,
            bytes: bytes)
    }

    private static func inventory(_ segments: [StoredSegment], free: Int64 = 100 * gigabyte) -> Inventory {
        let cameras = Dictionary(grouping: segments, by: \.camera).map { camera, segments in
            let sorted = segments.sorted { $0.startedAt < $1.startedAt }
            return Inventory.Camera(
                camera: camera, bytes: segments.reduce(0) { $0 + $1.bytes },
                newestAt: sorted.last?.startedAt ?? now, oldest: sorted)
        }
        return Inventory(
            cameras: cameras.sorted { $0.camera < $1.camera }, totalBytes: 1000 * gigabyte, freeBytes: free)
    }

    private static func deletions(
        _ inventory: Inventory, folder: RetentionLimits = RetentionLimits(),
        limits: [String: RetentionLimits] = [:], isAgeTrusted: Bool = true
    ) -> [String] {
        let limits = Dictionary(uniqueKeysWithValues: limits.map { (CameraID(unchecked: $0), $1) })
        return RetentionPlan(inventory, folder: folder, limits: limits, now: now, isAgeTrusted: isAgeTrusted)
            .deletions.map(\.path)
    }

    private static func five(_ camera: String) -> [StoredSegment] {
        (0..<5).map { segment(camera, $0, age: .seconds(86_400 * Int64(5 - $0)), bytes: gigabyte) }
    }

    @Test func withoutLimitsNothingGoes() {
        #expect(Self.deletions(Self.inventory(Self.five("front"), free: 0)) == [])
    }

    @Test func ageBindsEachCameraByItsOwnLimit() {
        let all = Self.inventory(Self.five("front") + Self.five("back"))
        let limits = [
            "front": RetentionLimits(maxAge: .seconds(86_400 * 3 + 3600)),
            "back": RetentionLimits(maxAge: .seconds(86_400 * 30)),
        ]
        #expect(Self.deletions(all, limits: limits) == ["front/0", "front/1"])
        #expect(Self.deletions(all, limits: limits, isAgeTrusted: false) == [])
    }

    @Test func sizeBindsEachCameraAndTheFolder() {
        let all = Self.inventory(Self.five("front") + Self.five("back"))
        #expect(
            Self.deletions(all, limits: ["front": RetentionLimits(maxSize: ByteCount(3 * Self.gigabyte))])
                == ["front/0", "front/1"])
        let both = Self.deletions(
            all, folder: RetentionLimits(maxSize: ByteCount(7 * Self.gigabyte)),
            limits: [
                "front": RetentionLimits(), "back": RetentionLimits(),
            ])
        #expect(both.count == 3)
        #expect(Set(both).isSuperset(of: ["front/0", "back/0"]))
    }

    @Test func freeSpaceTakesTheOldestOfAllAndALittleMore() {
        let all = Self.inventory(Self.five("front") + Self.five("back"), free: 10 * Self.gigabyte)
        let folder = RetentionLimits(minFree: ByteCount(12 * Self.gigabyte))
        // 2 GB to the limit, and a twentieth of it as a margin: the third one covers that.
        #expect(Self.deletions(all, folder: folder, limits: ["front": .init(), "back": .init()]).count == 3)
        let enough = Self.inventory(Self.five("front"), free: 12 * Self.gigabyte)
        #expect(Self.deletions(enough, folder: folder) == [], "the margin is for after a shortage")
    }

    @Test func oneDeletionServesAllLimits() {
        let all = Self.inventory(Self.five("front"), free: 10 * Self.gigabyte)
        let limits = RetentionLimits(
            maxAge: .seconds(86_400 * 4 + 60), maxSize: ByteCount(4 * Self.gigabyte),
            minFree: ByteCount(Int64(10.5 * Double(Self.gigabyte))))
        #expect(Self.deletions(all, folder: limits, limits: ["front": limits]) == ["front/0"])
    }

    @Test(arguments: 1...200) func theLimitsHoldAndNothingGoesWithoutNeed(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var segments: [StoredSegment] = []
        for camera in ["front", "back", "cellar"].prefix(random.int(in: 1...3)) {
            for index in 0..<random.int(in: 0...40) {
                let age = Duration.seconds(Int64(random.int(in: 0...(20 * 86_400))))
                segments.append(
                    Self.segment(camera, index, age: age, bytes: Int64(random.int(in: 1...5)) * Self.gigabyte / 10))
            }
        }
        let inventory = Self.inventory(segments, free: Int64(random.int(in: 0...30)) * Self.gigabyte)
        let limits = RetentionLimits(
            maxAge: random.chance(0.5) ? .seconds(Int64(random.int(in: 0...(20 * 86_400)))) : nil,
            maxSize: random.chance(0.5) ? ByteCount(Int64(random.int(in: 0...10)) * Self.gigabyte) : nil)
        let folder = RetentionLimits(
            maxSize: random.chance(0.5) ? ByteCount(Int64(random.int(in: 0...20)) * Self.gigabyte) : nil,
            minFree: random.chance(0.5) ? ByteCount(Int64(random.int(in: 0...35)) * Self.gigabyte) : nil)
        let own = Dictionary(uniqueKeysWithValues: inventory.cameras.map { ($0.camera, limits) })
        let plan = RetentionPlan(inventory, folder: folder, limits: own, now: Self.now, isAgeTrusted: true)
        let gone = Set(plan.deletions)
        #expect(gone.count == plan.deletions.count, "each once")
        #expect(
            plan.deletions
                == plan.deletions.sorted { ($0.startedAt, $0.session, $0.index) < ($1.startedAt, $1.session, $1.index) }
        )
        let kept = segments.filter { !gone.contains($0) }
        let freed = plan.deletions.reduce(0) { $0 + $1.bytes }
        for camera in inventory.cameras {
            let mine = kept.filter { $0.camera == camera.camera }
            if let maxAge = limits.maxAge { #expect(mine.allSatisfy { Self.now - $0.endedAt <= maxAge }) }
            if let maxSize = limits.maxSize { #expect(mine.reduce(0) { $0 + $1.bytes } <= maxSize.bytes) }
            // Oldest first: what goes began before everything of the camera that stays.
            let newestGone = gone.filter { $0.camera == camera.camera }.map(\.startedAt).max()
            if let newestGone { #expect(mine.allSatisfy { $0.startedAt >= newestGone }) }
        }
        if let maxSize = folder.maxSize { #expect(kept.reduce(0) { $0 + $1.bytes } <= maxSize.bytes) }
        if let minFree = folder.minFree, !kept.isEmpty { #expect(inventory.freeBytes + freed >= minFree.bytes) }
        // Without the newest one that goes, some limit would be broken.
        if let last = plan.deletions.last {
            let rest = kept + [last]
            let ofCamera = rest.filter { $0.camera == last.camera }.reduce(0) { $0 + $1.bytes }
            let isTooOld = limits.maxAge.map { Self.now - last.endedAt > $0 } ?? false
            let isTooMuch = limits.maxSize.map { ofCamera > $0.bytes } ?? false
            let isFull = folder.maxSize.map { rest.reduce(0) { $0 + $1.bytes } > $0.bytes } ?? false
            let isShort = folder.minFree.map { inventory.freeBytes < $0.bytes } ?? false
            #expect(isTooOld || isTooMuch || isFull || isShort)
        }
    }

    @Test func aPlanIsBounded() {
        let many = (0..<2000).map { Self.segment("front", $0, age: .seconds(Int64(90_000 - $0)), bytes: 1) }
        let plan = RetentionPlan(
            Self.inventory(many), folder: RetentionLimits(maxSize: ByteCount(0)), limits: [:], now: Self.now,
            isAgeTrusted: true)
        #expect(plan.deletions.map(\.index) == Array(0..<RetentionPlan.deletionsMax))
    }

    // MARK: The clock

    private static func reading(_ seconds: Int64, wall: WallTime) -> Now {
        Now(monotonic: MonotonicTime(nanoseconds: seconds * 1_000_000_000), wall: wall)
    }

    @Test func aClockThatJumpsIsBelievedAfterTenMinutes() {
        let trust = TrustUnderTest()
        let newest = Self.now - .seconds(60)
        #expect(trust.isTrusted(newestAt: newest, at: Self.reading(0, wall: Self.now)))
        let far = Self.now + .seconds(14 * 365 * 86_400)
        #expect(!trust.isTrusted(newestAt: newest, at: Self.reading(60, wall: far)))
        #expect(!trust.isTrusted(newestAt: newest, at: Self.reading(600, wall: far + .seconds(540))))
        #expect(trust.isTrusted(newestAt: newest, at: Self.reading(661, wall: far + .seconds(601))))
    }

    @Test func aClockThatJumpsBackAgainIsDoubtedAnew() {
        let trust = TrustUnderTest()
        _ = trust.isTrusted(newestAt: nil, at: Self.reading(0, wall: Self.now))
        #expect(!trust.isTrusted(newestAt: nil, at: Self.reading(60, wall: Self.now + .seconds(90 * 86_400))))
        #expect(!trust.isTrusted(newestAt: nil, at: Self.reading(600, wall: Self.now + .seconds(600))))
        #expect(!trust.isTrusted(newestAt: nil, at: Self.reading(1100, wall: Self.now + .seconds(1100))))
        #expect(trust.isTrusted(newestAt: nil, at: Self.reading(1201, wall: Self.now + .seconds(1201))))
    }

    @Test func aClockBeforeTheNewestSegmentIsNotBelieved() {
        let trust = TrustUnderTest()
        let year2000 = WallTime(milliseconds: 946_684_800_000)
        for minute in 0..<30 {
            let now = Self.reading(Int64(minute) * 60, wall: year2000 + .seconds(minute * 60))
            #expect(!trust.isTrusted(newestAt: Self.now, at: now))
        }
    }

    @Test func aStartLongAfterTheLastSegmentWaits() {
        let trust = TrustUnderTest()
        let newest = Self.now - .seconds(40 * 86_400)
        #expect(!trust.isTrusted(newestAt: newest, at: Self.reading(0, wall: Self.now)))
        #expect(!trust.isTrusted(newestAt: newest, at: Self.reading(599, wall: Self.now + .seconds(599))))
        #expect(trust.isTrusted(newestAt: newest, at: Self.reading(600, wall: Self.now + .seconds(600))))
    }
}
