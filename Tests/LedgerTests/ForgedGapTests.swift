import BusContract
import Domain
import Ledger
import Testing

/// Gaps that no file bears out yet: true ones come so, and forged ones must not fill the ledger for ever.
@Suite struct ForgedGapTests {
    private let fixture: LedgerFixture
    private let store: LedgerStore

    init() throws {
        fixture = try LedgerFixture()
        store = try fixture.open()
    }

    /// - Parameter from: seconds after the fixture's beginning.
    private func take(
        session: UInt64 = 1, camera: CameraID = LedgerFixture.front, from: Double, lasting: Double = 1,
        now: Duration = .zero
    ) throws -> ClaimOutcome {
        let begin = fixture.start + .seconds(from)
        let gap = GapRecord(
            session: LedgerFixture.session(session), camera: camera, from: begin, to: begin + .seconds(lasting),
            cause: .overrun, framesLost: nil)
        return try store.take(gap, now: fixture.start + now)
    }

    /// Segment `index`, on the disk and in the ledger.
    private func record(_ index: Int, session: UInt64 = 1, reason: SegmentEnd = .error) throws {
        let manifest = fixture.manifest(index, session: session)
        try fixture.writeFile(manifest)
        let told = SegmentRecord(fixture.closed(manifest, reason: reason), camera: LedgerFixture.front)
        #expect(try store.take(told, inspector: fixture.media, now: fixture.start) == .recorded)
    }

    private func forget(after time: Duration) throws { try store.forgetDeleted(before: fixture.start + time) }

    private static let future = ClaimOutcome.refused("it lies in the future")
    private static let full = ClaimOutcome.refused("more gaps than files that bear them out")

    @Test func aGapMayComeBeforeTheFirstFileOfItsSession() throws {
        #expect(try take(from: 10) == .recorded)
        for index in [0, 2] { try record(index) }
        #expect(try store.gaps().count == 1)
    }

    @Test func aGapOfTheFutureIsRefused() throws {
        #expect(try take(from: 58) == .recorded)
        #expect(try take(from: 60) == Self.future)
        #expect(try take(from: 6e9) == Self.future)
        try forget(after: .seconds(60))
        #expect(try store.gaps().isEmpty, "what was taken is forgotten in time")
    }

    @Test func aSessionWithFilesHasNoGapOfTheFutureEither() throws {
        try record(0)
        #expect(try take(from: 10, now: .seconds(20)) == .recorded)
        #expect(try take(from: 6e9, now: .seconds(20)) == Self.future)
        try store.record(
            segments: [SegmentRecord(fixture.opened(fixture.manifest(1)), camera: LedgerFixture.front)],
            now: fixture.start)
        #expect(try take(from: 12_000, now: .seconds(12_001)) == .recorded)
        #expect(try take(from: 6e9, now: .seconds(12_001)) == Self.future)
    }

    /// The session goes on by the clock that it began with.
    @Test func aClockThatWasSetBackCostsNoGap() throws {
        try record(0)
        #expect(try take(from: 10, lasting: 300, now: .seconds(-7200)) == .recorded)
    }

    @Test func gapsOfSessionsWithoutFilesAreBounded() throws {
        try record(0, session: 5000)
        for session in 1...UInt64(LedgerStore.gapsAheadMax) {
            try #require(try take(session: session, from: 1) == .recorded)
        }
        #expect(try take(session: 9999, from: 1) == Self.full)
        #expect(try take(session: 1, from: 2) == Self.full)
        #expect(try take(session: 1, from: 1, lasting: 3) == .recorded, "it is known")
        #expect(try take(session: 9999, camera: LedgerFixture.back, from: 1) == .recorded)
        #expect(try take(session: 5000, from: 10) == .recorded, "a session with a file")
        #expect(try store.gaps(LedgerQuery(camera: LedgerFixture.front)).count == LedgerStore.gapsAheadMax + 1)
        try forget(after: .seconds(60))
        #expect(try take(session: 9999, from: 1) == .recorded)
    }

    @Test func gapsOfASessionWithFilesAreBounded() throws {
        try record(0)
        for number in 0...LedgerStore.gapsAheadMax {
            try #require(try take(from: 10.0005 + Double(number) / 1000) == .recorded)
        }
        #expect(try take(from: 20) == Self.full)
        try record(3)
        #expect(try take(from: 20) == .recorded, "one more file, one more gap")
    }

    /// An earlier version took them.
    @Test func aGapOfTheFutureThatIsInTheLedgerGoesWithTheNextScan() throws {
        try record(0)
        for session in [UInt64(1), 77] {
            let begin = fixture.start + .seconds(6_000_000_000)
            try store.record(
                segments: [],
                gaps: [
                    GapRecord(
                        session: LedgerFixture.session(session), camera: LedgerFixture.front, from: begin,
                        to: begin + .seconds(1), cause: .overrun, framesLost: nil)
                ], now: fixture.start)
        }
        #expect(try fixture.scan(store).dropped.count == 2)
        #expect(try store.gaps().isEmpty)
    }
}
