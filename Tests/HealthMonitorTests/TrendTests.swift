import BusContract
import Domain
import HealthMonitorCore
import TestSupport
import Testing

/// What is read from a series: a disk that fills, a clock that is wrong, a process that begins again and again.
@Suite struct TrendTests {
    private static let total: Int64 = 1_000_000_000_000

    private func trend(hours: Double, every: Double = 60, _ free: (Double) -> Double) -> DiskTrend {
        var trend = DiskTrend()
        for second in stride(from: 0, through: hours * 3600, by: every) {
            trend.take(
                freeBytes: Int64(free(second)), totalBytes: Self.total,
                at: MonotonicTime(nanoseconds: Int64(second * 1e9)))
        }
        return trend
    }

    @Test func aDiskThatFillsEvenlyIsFullOnTime() throws {
        // 400 GB in four hours, one of which has passed.
        let left = try #require(trend(hours: 1) { 400e9 - $0 * 400e9 / 14_400 }.fullIn)
        #expect(abs(left.seconds - 3 * 3600) < 60, "\(left)")
    }

    @Test func noiseAndSegmentsDoNotMoveItFar() throws {
        var random = SeededRandom(seed: 3)
        let left = try #require(
            trend(hours: 2) { 300e9 - $0 * 300e9 / 18_000 + (random.unit() - 0.5) * 4e9 }.fullIn)
        #expect(abs(left.seconds - 3 * 3600) < 900, "\(left)")
    }

    /// What retention frees comes back: the line of such a disk does not fall for long.
    @Test func aDiskThatIsKeptFreeIsNotFilling() {
        let left = trend(hours: 6) { 50e9 - $0.truncatingRemainder(dividingBy: 600) * 1e7 }.fullIn
        #expect(left.map { $0 > .seconds(86_400) } ?? true, "\(String(describing: left))")
        #expect(trend(hours: 1) { _ in 50e9 }.fullIn == nil)
        #expect(trend(hours: 1) { 50e9 + $0 * 1e6 }.fullIn == nil)
    }

    @Test func aDiskWithLessThanNothingFreeSaysNothing() {
        #expect(trend(hours: 1) { -50e9 - $0 * 1e6 }.fullIn == nil)
        // So flat that no duration holds the quotient.
        #expect(trend(hours: 6) { $0 < 21_600 ? -9e18 : -9e18 - 2048 }.fullIn == nil)
        #expect(trend(hours: 1) { max(0, 1e9 - $0 * 1e6) }.fullIn == .zero)
    }

    @Test func aFewSamplesSayNothingAndAnotherDiskBeginsAnew() {
        #expect(trend(hours: 0.04) { 50e9 - $0 * 1e8 }.fullIn == nil)
        var filling = trend(hours: 1) { 400e9 - $0 * 1e7 }
        #expect(filling.fullIn != nil)
        filling.take(freeBytes: 10, totalBytes: 20, at: MonotonicTime(nanoseconds: 3_700_000_000_000))
        #expect(filling.fullIn == nil)
    }

    @Test func aFloodOfStatesIsAsGoodAsAFew() throws {
        let left = try #require(trend(hours: 3, every: 0.5) { 400e9 - $0 * 400e9 / 21_600 }.fullIn)
        #expect(abs(left.seconds - 3 * 3600) < 120, "\(left)")
    }

    @Test func anOffsetIsFoundBehindASlowNetwork() throws {
        var random = SeededRandom(seed: 9)
        var clock = ClockOffset()
        let real = Duration.milliseconds(-2300)
        var now = Now(monotonic: .zero, wall: WallTime(milliseconds: 1_800_000_000_000))
        #expect(clock.offset == nil)
        for _ in 0..<40 {
            now = now + .seconds(2)
            let way = Duration.seconds(0.01 + 1.5 * random.unit() * random.unit() * random.unit())
            clock.take(sentAt: now.wall + real - way, at: now)
        }
        let found = try #require(clock.offset)
        #expect(found <= real && found > real - .milliseconds(100), "\(found)")
        // It is put right: after two windows nothing is left of it.
        for _ in 0..<70 {
            now = now + .seconds(2)
            clock.take(sentAt: now.wall - .milliseconds(5), at: now)
        }
        #expect(clock.offset == .milliseconds(-5))
    }

    @Test func threeBeginningsInTenMinutesAreALoop() {
        var loop = RebootLoop()
        let minute = Duration.seconds(60)
        var now = MonotonicTime.zero
        for _ in 0..<6 {
            loop.began(at: now)
            #expect(!loop.isLoop(at: now))
            now = now + minute * 6
        }
        loop.began(at: now)
        loop.began(at: now + minute)
        #expect(loop.isLoop(at: now + minute))
        #expect(loop.wakeAt(at: now + minute).map { $0 > now + minute } == true)
        #expect(!loop.isLoop(at: now + minute * 11))
        #expect(loop.count(within: RebootLoop.hour, at: now + minute * 11) == 8)
    }
}
