import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct WallTimeTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00.000Z", 0), ("2000-02-29T12:00:00.000Z", 951_825_600_000),
            ("2024-02-29T23:59:59.999Z", 1_709_251_199_999), ("2024-03-01T00:00:00.000Z", 1_709_251_200_000),
            ("2100-02-28T23:59:59.999Z", 4_107_542_399_999), ("2100-03-01T00:00:00.000Z", 4_107_542_400_000),
            ("2026-12-31T23:59:59.001Z", 1_798_761_599_001), ("2261-12-31T23:59:59.999Z", 9_214_646_399_999),
        ] as [(String, Int64)])
    func knownMoments(text: String, milliseconds: Int64) {
        #expect(WallTime(milliseconds: milliseconds).rfc3339 == text)
        #expect(WallTime(rfc3339: text)?.milliseconds == milliseconds)
    }

    /// The oracle is Foundation's calendar.
    @Test(arguments: 0..<20 as Range<UInt64>) func agreesWithFoundation(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        for _ in 0..<500 {
            let milliseconds = Int64(random.int(in: 0...9_214_646_399_999))
            let seconds = Double(milliseconds / 1000)
            // Whole seconds: Foundation keeps a moment as a Double and may print one millisecond less.
            let whole = WallTime(milliseconds: milliseconds / 1000 * 1000)
            let printed = Date(timeIntervalSince1970: seconds).formatted(style)
            try #require(whole.rfc3339 == printed, "seed \(seed)")
            try #require(WallTime(rfc3339: printed) == whole, "seed \(seed)")
            let exact = WallTime(milliseconds: milliseconds)
            try #require(WallTime(rfc3339: exact.rfc3339) == exact, "seed \(seed)")
        }
    }

    @Test func everyDayOfFourHundredYearsFollowsTheOneBefore() throws {
        var day = WallTime(milliseconds: 0)
        var before = ""
        for _ in 0..<106_000 {
            let text = day.dateText
            try #require(text > before)
            let civil = day.civil
            try #require(WallTime(civil: civil) == day)
            before = text
            day = day + .seconds(86_400)
        }
        #expect(before == "2260-03-20")
    }

    @Test func momentsBefore1970KeepTheirOrderInPrint() {
        #expect(WallTime(milliseconds: -1).rfc3339 == "1969-12-31T23:59:59.999Z")
        #expect(WallTime(nanoseconds: -1).milliseconds == -1)
    }

    @Test(arguments: [
        "2026-03-01T12:30:00Z", "2026-03-01 12:30:00Z", "2026-03-01t12:30:00z", "2026-03-01T12:30:00.0Z",
        "2026-03-01T13:30:00+01:00", "2026-03-01T07:00:00.000000000-05:30", "2026-03-02T00:29:00+11:59",
    ])
    func otherWaysToWriteTheSameMoment(text: String) {
        #expect(WallTime(rfc3339: text)?.rfc3339 == "2026-03-01T12:30:00.000Z")
    }

    @Test(arguments: [
        "", "2026", "2026-03-01", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-00-10T00:00:00Z", "2026-04-31T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z",
        "2026-03-01T12:00:60Z", "2026-03-01T12:00:00", "2026-03-01T12:00:00.Z", "2026-03-01T12:00:00Zx",
        "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00+1:00", "2026-03-01T12:00:00+0100", "+026-03-01T12:00:00Z",
        "٢٠٢٦-03-01T12:00:00Z", "1969-12-31T23:59:59Z", "2262-01-01T00:00:00Z", "2026-03-01T12:00:00.-1Z",
        "2026-3-01T12:00:00Z", " 2026-03-01T12:00:00Z", "2026-03-01T12:00:00Z\n", "2026-03-01T12:00:00\u{0}Z",
    ])
    func whatIsNoTimeIsRefused(text: String) {
        #expect(WallTime(rfc3339: text) == nil)
    }

    @Test func decimalsAreCutNotRounded() {
        #expect(WallTime(rfc3339: "2026-03-01T12:30:00.9999999Z")?.rfc3339 == "2026-03-01T12:30:00.999Z")
        #expect(WallTime(rfc3339: "2026-03-01T12:30:00.5Z")?.rfc3339 == "2026-03-01T12:30:00.500Z")
    }

    @Test func codesAsText() throws {
        let time = WallTime(milliseconds: 1_709_251_199_999)
        let data = try JSONEncoder().encode([time])
        #expect(String(decoding: data, as: UTF8.self) == "[\"2024-02-29T23:59:59.999Z\"]")
        #expect(try JSONDecoder().decode([WallTime].self, from: data) == [time])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([WallTime].self, from: Data("[\"no\"]".utf8)) }
    }

    /// A file's time of change and a row of a ledger may be any number.
    @Test func whatLiesBeyondIsTheEdge() {
        let (first, last) = (WallTime(nanoseconds: .min), WallTime(nanoseconds: .max))
        #expect(WallTime(milliseconds: .max) == last && WallTime(milliseconds: .min) == first)
        #expect(WallTime(exactlyMilliseconds: .max) == nil && WallTime(exactlyMilliseconds: .min) == nil)
        for edge in [WallTime.millisecondsRange.lowerBound, WallTime.millisecondsRange.upperBound] {
            #expect(WallTime(exactlyMilliseconds: edge)?.milliseconds == edge)
        }
        #expect(last + .seconds(1) == last && first - .seconds(1) == first)
        #expect(last - first == .nanoseconds(Int64.max) && first - last == .nanoseconds(Int64.min))
        #expect((last - first).wholeMilliseconds == .max / 1_000_000 && (last - first).publishedSeconds > 9e9)
        #expect(HistoryStep.hour.start(of: first) == first && HistoryStep.hour.start(of: last) <= last)
        #expect(last.rfc3339.hasPrefix("2262-04-11T") && first.rfc3339.hasPrefix("1677-09-21T"))
        let moment = MonotonicTime(nanoseconds: .max)
        #expect(moment + .seconds(1) == moment && MonotonicTime(nanoseconds: -2) - moment == .nanoseconds(Int64.min))
        let now = Now(monotonic: MonotonicTime(nanoseconds: 5), wall: WallTime(milliseconds: 1_700_000_000_000))
        #expect(now.monotonic(at: first) == MonotonicTime(nanoseconds: .min + 5) && now.wall(at: moment) == last)
    }

    @Test func bothClocksOfAReadingStayTogether() {
        let now = Now(monotonic: MonotonicTime(nanoseconds: 50), wall: WallTime(milliseconds: 1000))
        let later = now + .seconds(3)
        #expect(later.wall(at: now.monotonic) == now.wall)
        #expect(now.monotonic(at: later.wall) == later.monotonic)
    }
}
