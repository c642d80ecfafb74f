import CaptureWorkerCore
import Domain
import TestSupport
import Testing

/// Whatever a source claims: the results can be stored, and nothing traps.
@Suite struct TimestampRepairPropertyTests {
    private static let edges: [Int64] = [
        .min, .min + 1, .max, .max - 1, 0, 1, -1, 1 << 32, 1 << 33, (1 << 33) - 1, 1 << 62, -(1 << 62),
        26 * 3600 * 90_000,
    ]
    private static let bases = [
        TimeBase.mpeg, TimeBase(1, 48_000), TimeBase(1, 1), TimeBase(1, .max),
        TimeBase(1001, 30_000),
        TimeBase(1, 1000),
    ]

    private static func stamp(near base: Int64, _ random: inout SeededRandom) -> Int64? {
        switch random.int(in: 0...9) {
        case 0: nil
        case 1: random.pick(edges)
        case 2: Int64(bitPattern: random.next())
        case 3: base &- Int64(random.int(in: 0...100_000))
        default: base
        }
    }

    @Test(arguments: 0..<400 as Range<UInt64>) func anyInputGivesStamps(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let bases = [random.pick(Self.bases), random.pick(Self.bases)]
        let keepsTime = random.chance(0.7)
        var repair = TimestampRepair(
            video: bases[0], audio: bases[1], wrapBits: random.pick([nil, 32, 33]),
            reorderFrames: random.int(in: -1...20), keepsTime: keepsTime)
        var arrival = MonotonicTime(nanoseconds: 0)
        var newest: [Int64?] = [nil, nil]
        var line = Int64(bitPattern: random.next())
        for step in 0..<500 {
            arrival = arrival + random.duration(in: .zero ... .milliseconds(80))
            if random.chance(0.02) { arrival = arrival + random.duration(in: .zero ... .seconds(4000)) }
            if random.chance(0.01) { line = Int64(bitPattern: random.next()) }
            line &+= Int64(random.int(in: 0...7200))
            let track = random.int(in: 0...1)
            let input = TimestampRepair.Input(
                track: track == 0 ? .video : .audio, pts: Self.stamp(near: line &+ 3600, &random),
                dts: Self.stamp(near: line, &random), duration: Self.stamp(near: 3600, &random) ?? 0,
                isKey: random.chance(0.1), arrival: arrival)
            let out = repair.repair(input)
            if let before = newest[track] { try #require(out.dts > before, "seed \(seed), step \(step)") }
            try #require(out.pts >= out.dts, "seed \(seed), step \(step)")
            if keepsTime {
                // One tick per packet may be needed on top, where a tick is longer than the time between packets.
                let ticks = bases[track].duration(ticks: Int64(step) + 2)
                let most = (arrival - .zero) * 1.06 + TimestampRepair.leadMax + ticks
                try #require(bases[track].duration(ticks: out.dts) <= most, "seed \(seed), step \(step)")
            }
            newest[track] = out.dts
        }
    }

    @Test func arrivalsAtTheEdgesOfTimeDoNotTrap() throws {
        var random = SeededRandom(seed: 7)
        var repair = TimestampRepair(video: .mpeg, audio: .mpeg)
        var newest = Int64.min
        for _ in 0..<5000 {
            let out = repair.repair(
                .init(
                    track: .video, pts: Self.stamp(near: 0, &random), dts: Self.stamp(near: 0, &random),
                    duration: random.pick(Self.edges), isKey: random.chance(0.5),
                    arrival: MonotonicTime(nanoseconds: random.pick(Self.edges))))
            try #require(out.dts > newest)
            newest = out.dts
        }
    }

    @Test(arguments: 0..<100 as Range<UInt64>) func anHonestStreamIsNeverTouched(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let origin = Int64(random.next() >> 24)
        var repair = TimestampRepair(video: .mpeg, wrapBits: nil)
        // A clock that is up to 2% wrong, a network that holds packets back for up to two seconds.
        let rate = 0.98 + 0.04 * random.unit()
        var media: Int64 = 0
        var sent = 0.0
        var arrival = 0.0
        for step in 0..<20_000 {
            let wait = 0.02 + 0.04 * random.unit()
            sent += wait
            if step > 0 { media += max(1, Int64(wait * rate * 90_000)) }
            arrival = max(arrival, sent + (random.chance(0.01) ? 2 * random.unit() : 0))
            let out = repair.repair(
                .init(
                    track: .video, pts: origin + media + 7200, dts: origin + media, isKey: step.isMultiple(of: 50),
                    arrival: MonotonicTime(nanoseconds: Int64(arrival * 1e9))))
            try #require(out.fault == nil, "seed \(seed), step \(step)")
            try #require(out.dts == media && out.pts == media + 7200, "seed \(seed), step \(step)")
        }
    }

    /// A simulated day of a camera whose stamps break every few minutes stays within a second per break of the clock.
    @Test(arguments: 0..<8 as Range<UInt64>) func aDayOfFaultsKeepsTheTime(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var repair = TimestampRepair(video: .mpeg, audio: nil)
        var line: Int64 = 0
        var seconds = 0.0
        var last = TimestampRepair.Output(pts: 0, dts: 0, duration: 0, fault: nil)
        for _ in 0..<86_400 {
            seconds += 1
            line &+= 90_000
            if random.chance(0.004) { line = Int64(bitPattern: random.next()) }
            let stamp = random.chance(0.01) ? Int64(bitPattern: random.next()) : line
            last = repair.repair(
                .init(
                    track: .video, pts: stamp, dts: stamp, isKey: true,
                    arrival: MonotonicTime(nanoseconds: Int64(seconds * 1e9))))
        }
        let span = Double(last.dts) / 90_000
        #expect(abs(span - 86_399) < 60, "seed \(seed): \(span)")
        #expect(repair.count(of: .backwardJump) + repair.count(of: .forwardJump) > 100)
    }
}
