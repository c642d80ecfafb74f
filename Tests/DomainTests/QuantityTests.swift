import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct WrittenDurationTests {
    @Test(
        arguments: [
            ("90s", .seconds(90)), ("10m", .seconds(600)), ("1h30m", .seconds(5400)), ("1.5s", .milliseconds(1500)),
            ("250ms", .milliseconds(250)), ("7d", .seconds(604_800)), ("90", .seconds(90)), ("0", .zero), ("0s", .zero),
            ("0.25", .milliseconds(250)), ("1d2h3m4s5ms", .milliseconds(93_784_005)), ("366d", .seconds(366 * 86_400)),
        ] as [(String, Duration)])
    func reads(text: String, duration: Duration) {
        #expect(Duration(written: text) == duration)
    }

    @Test(arguments: [
        "", " ", "s", "-1s", "-1", "+1s", "1x", "1 s", "1s ", "nan", "inf", "1e3", "1e3s", "0x10", ".5s", "1..5s",
        "1.2.3",
        "367d", "99999999999999999999", "999999999999999999999999", "10m-5s", "١s", "1S", "1ms1", "5m3", "\u{0}",
        "1s\n",
    ])
    func refuses(text: String) {
        #expect(Duration(written: text) == nil)
    }

    @Test(arguments: 0..<20 as Range<UInt64>) func whatItWritesItReads(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<500 {
            let duration = Duration.milliseconds(random.int(in: 0...31_622_400_000))
            try #require(Duration(written: duration.written) == duration, "seed \(seed): \(duration.written)")
        }
    }

    @Test func writesTheLargestUnitsFirst() {
        #expect(Duration.seconds(90).written == "1m30s")
        #expect(Duration.seconds(1800).written == "30m")
        #expect(Duration.milliseconds(250).written == "250ms")
        #expect(Duration.zero.written == "0s")
        #expect(Duration.seconds(-5).written == "0s")
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity, -1, -0.001, 366 * 86_400 + 1, 1e300])
    func refusesNumbersThatAreNoDuration(seconds: Double) {
        #expect(Duration(wholeSeconds: seconds) == nil)
    }

    @Test func nanosecondsAreClampedNotTrapped() {
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(Int64.min).nanoseconds == .min)
        #expect(Duration.nanoseconds(-1).nanoseconds == -1)
        #expect(Duration.milliseconds(1499).publishedSeconds == 1.499)
        #expect(Duration.nanoseconds(1_499_600).publishedSeconds == 0.001)
        #expect(Duration.nanoseconds(-1_500_000).publishedSeconds == -0.001)
    }
}

@Suite struct ByteCountTests {
    @Test(
        arguments: [
            ("500GB", 500_000_000_000), ("64 MiB", 67_108_864), ("1.5TB", 1_500_000_000_000), ("10", 10), ("0", 0),
            ("1kB", 1000), ("1KB", 1000), ("1KiB", 1024), ("7B", 7), ("2TiB", 2_199_023_255_552),
        ] as [(String, Int64)])
    func reads(text: String, bytes: Int64) {
        #expect(ByteCount(written: text)?.bytes == bytes)
    }

    @Test(arguments: [
        "", "B", "-1GB", "1.2.3GB", "GB", "nan", "infB", "1e3GB", "9999999TB", "4611686018427387904", "1 G B", "1gb",
        "1GB ",
        "1\tGB", "99999999999999999999GB",
    ])
    func refuses(text: String) {
        #expect(ByteCount(written: text) == nil)
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1250, "1.25 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
            (12_345_678, "12.3 MB"), (1_250_000_000, "1.25 GB"), (123_456_789_000, "123 GB"),
            (9_223_372_036_854_775_807, "9223 PB"),
        ] as [(Int64, String)])
    func prints(bytes: Int64, text: String) {
        #expect(ByteCount(bytes).description == text)
    }
}

@Suite struct TimeBaseTests {
    @Test func convertsToTheNearestTick() {
        #expect(TimeBase.mpeg.ticks(in: .milliseconds(40)) == 3600)
        #expect(TimeBase.mpeg.ticks(in: .nanoseconds(5556)) == 1)
        #expect(TimeBase.mpeg.ticks(in: .nanoseconds(5555)) == 0)
        #expect(TimeBase.mpeg.ticks(in: .nanoseconds(-5556)) == -1)
        #expect(TimeBase.mpeg.duration(ticks: 90_000) == .seconds(1))
        #expect(TimeBase.mpeg.duration(ticks: -90_000) == .seconds(-1))
        #expect(TimeBase(1001, 30_000).duration(ticks: 30_000) == .seconds(1001))
    }

    @Test func edgesAreClampedNotTrapped() {
        #expect(TimeBase(.max, 1).duration(ticks: .max) == .nanoseconds(Int64.max))
        #expect(TimeBase(.max, 1).duration(ticks: .min) == .nanoseconds(Int64.min))
        #expect(TimeBase(1, .max).ticks(in: .nanoseconds(Int64.max)) == .max)
        #expect(TimeBase(1, .max).ticks(in: .nanoseconds(Int64.min)) == .min)
    }

    @Test(arguments: 0..<20 as Range<UInt64>) func ticksComeBackFromDurations(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let base = random.pick([.mpeg, TimeBase(1, 48_000), TimeBase(1, 1000), TimeBase(1001, 30_000), TimeBase(1, 25)])
        for _ in 0..<500 {
            // Within a century, so that nanoseconds hold it.
            let most = Int(3e9 * Double(base.denominator) / Double(base.numerator))
            let ticks = Int64(random.int(in: -most...most))
            try #require(base.ticks(in: base.duration(ticks: ticks)) == ticks, "seed \(seed), \(base)")
        }
    }
}

@Suite struct BackoffTests {
    private let backoff = Backoff(first: .milliseconds(250), most: .seconds(30), jitter: 0)

    @Test func doublesUpToItsLimit() {
        let waits = (1...10).map { backoff.delay(attempt: $0, chance: 0.5) }
        #expect(waits.prefix(4) == [.milliseconds(250), .milliseconds(500), .seconds(1), .seconds(2)])
        #expect(waits.last == .seconds(30))
    }

    @Test(arguments: [Int.min, -1, 0, 1]) func theFirstAttemptsWaitTheShortestTime(attempt: Int) {
        #expect(backoff.delay(attempt: attempt, chance: 0.5) == .milliseconds(250))
    }

    @Test(arguments: [31, 64, 1000, Int.max]) func manyAttemptsDoNotOverflow(attempt: Int) {
        #expect(backoff.delay(attempt: attempt, chance: 0.5) == .seconds(30))
        let long = Backoff(first: .seconds(86_400), most: .seconds(864_000_000), jitter: 0)
        #expect(long.delay(attempt: attempt, chance: 0.5) == .seconds(864_000_000))
    }

    @Test func chanceSpreadsTheWait() {
        let spread = Backoff(first: .seconds(1), most: .seconds(30), jitter: 0.2)
        #expect(spread.delay(attempt: 1, chance: 0) == .milliseconds(800))
        let latest = spread.delay(attempt: 1, chance: 0.999_999)
        #expect(latest > .milliseconds(1199) && latest <= .milliseconds(1200))
    }
}

@Suite struct FNV1aTests {
    /// From the authors' own table of test vectors.
    @Test(arguments: [("", "cbf29ce484222325"), ("a", "af63dc4c8601ec8c"), ("foobar", "85944171f73967e8")])
    func knownDigests(text: String, digest: String) {
        #expect(FNV1a.digest(Array(text.utf8)) == digest)
    }
}

@Suite struct BoundaryGridTests {
    @Test(arguments: 0..<20 as Range<UInt64>) func theNextBoundaryLiesAheadByAtMostOneInterval(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            let settings = RotationSettings(
                interval: .seconds(random.int(in: 1...86_400)), align: random.pick(RotationAlignment.allCases))
            let start = WallTime(milliseconds: Int64(random.int(in: 0...2_000_000_000_000)))
            let grid = BoundaryGrid(
                settings, sessionStart: start, shift: .milliseconds(random.int(in: 0...10_000)))
            let now = start + .milliseconds(random.int(in: 0...1_000_000_000))
            let next = grid.boundary(after: now)
            try #require(next > now && next - now <= settings.interval, "seed \(seed)")
            try #require(grid.boundary(after: next) - next == settings.interval, "seed \(seed)")
        }
    }

    @Test func theLastBoundaryIsTheEndOfTime() {
        let last = WallTime(nanoseconds: .max)
        for align in RotationAlignment.allCases {
            let settings = RotationSettings(interval: .seconds(1800), align: align)
            for start in [WallTime(nanoseconds: .min), WallTime(milliseconds: 0), last] {
                #expect(BoundaryGrid(settings, sessionStart: start, shift: .seconds(9)).boundary(after: last) == last)
            }
        }
    }
}
