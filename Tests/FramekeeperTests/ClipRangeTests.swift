import Domain
import FramekeeperCore
import Testing

@Suite("The range of an export")
struct ClipRangeTests {
    private let start = WallTime(milliseconds: 1_772_366_400_000)

    private func range(from: Duration?, to: Duration?) -> Range<Duration>? {
        ClipRange.onTimeline(startingAt: start, from: from.map { start + $0 }, to: to.map { start + $0 })
    }

    @Test("It lies on the timeline, and no bound means all of it")
    func within() {
        #expect(range(from: nil, to: nil) == nil)
        #expect(range(from: .seconds(10), to: .seconds(30)) == .seconds(10)..<(.seconds(30)))
        #expect(range(from: .seconds(-10), to: .seconds(30)) == .zero..<(.seconds(30)))
        #expect(range(from: nil, to: .seconds(-30))?.isEmpty == true)
        #expect(range(from: .seconds(30), to: .seconds(10))?.isEmpty == true)
    }

    @Test("Without an end it reaches to the last frame, years after the timeline's beginning")
    func open() throws {
        let years = Duration.seconds(3 * 365 * 86_400)
        #expect(try #require(range(from: .seconds(10), to: nil)).contains(years))
        let late = try #require(range(from: years, to: nil))
        #expect(late.lowerBound == years && late.contains(years * 2))
        let tooLate = RecordingLimits.endOfTime + years
        #expect(ClipRange.onTimeline(startingAt: start, from: tooLate, to: nil)?.isEmpty == true)
    }
}
