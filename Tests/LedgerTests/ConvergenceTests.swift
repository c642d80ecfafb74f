import BusContract
import Domain
import Ledger
import TestSupport
import Testing

/// The ledger is the same in whatever order, and however often, it is told.
@Suite struct ConvergenceTests {
    private enum Telling {
        case segment(SegmentRecord)
        case gap(GapRecord)
    }

    private let fixture: LedgerFixture
    private let store: LedgerStore

    init() throws {
        fixture = try LedgerFixture()
        store = try fixture.open()
    }

    private func tell(_ tellings: [Telling]) throws {
        for telling in tellings {
            switch telling {
            case .segment(let record): try store.record(segments: [record], now: fixture.start)
            case .gap(let record): try store.record(segments: [], gaps: [record], now: fixture.start)
            }
        }
    }

    /// What the ledger says of a session, with the session's own number taken out.
    private func told(of session: UInt64) throws -> [String] {
        let id = LedgerFixture.session(session)
        let query = LedgerQuery(session: id)
        let rows =
            try store.segments(query).map { "\($0)" } + store.gaps(query).map { "\($0)" }
            + store.sessions(query).map { "\($0)" }
        return rows.map { row in
            row.split(separator: id.rawValue, omittingEmptySubsequences: false).joined(separator: "S")
                .split(separator: id.short, omittingEmptySubsequences: false).joined(separator: "s")
        }
    }

    /// Two segments with a gap between them: all that events and files tell of them.
    private func tellings(_ session: UInt64) -> [Telling] {
        let front = LedgerFixture.front
        let first = fixture.manifest(0, session: session)
        let second = fixture.manifest(1, session: session, gap: fixture.gap(before: 1))
        let event = GapEvent(
            session: first.session, from: fixture.gap(before: 1).from, to: fixture.gap(before: 1).to,
            cause: .workerDied, framesLost: 12)
        return [
            .segment(SegmentRecord(fixture.opened(first), camera: front)),
            .segment(
                SegmentRecord(
                    fixture.inspected(first), path: first.path.completed.relativePath, isRecovered: true)),
            .segment(SegmentRecord(fixture.closed(first, reason: .error), camera: front)),
            .segment(SegmentRecord(fixture.opened(second), camera: front)),
            .segment(SegmentRecord(fixture.closed(second, reason: .stop), camera: front)),
            .segment(
                SegmentRecord(
                    fixture.inspected(second), path: second.path.completed.relativePath, isRecovered: false)),
            .gap(GapRecord(event, camera: front)),
        ] + (GapRecord(second).map { [.gap($0)] } ?? [])
    }

    @Test func everyOrderOfOneSegmentsTellingsGivesTheSameRow() throws {
        var expected: [String]?
        for (number, order) in Array(0..<3).permutations.enumerated() {
            let all = tellings(UInt64(number + 1))
            try tell(order.map { all[$0] })
            let result = try told(of: UInt64(number + 1))
            if expected == nil { expected = result }
            #expect(result == expected, "order \(order)")
        }
        #expect(expected?.count == 2)
    }

    @Test func randomOrdersWithRepetitionsOfTwoSegmentsAndAGapConverge() throws {
        var random = SeededRandom(seed: 7)
        try tell(tellings(1))
        let expected = try told(of: 1)
        for session in UInt64(2)...300 {
            let all = tellings(session)
            let order = (Array(all.indices) + all.indices.filter { _ in Bool.random(using: &random) })
                .shuffled(using: &random)
            try tell(order.map { all[$0] })
            #expect(try told(of: session) == expected, "order \(order)")
        }
    }

    /// Of any tellings, also of fewer than all, the last one in does not matter.
    @Test func everySubsetConvergesInEveryOrder() throws {
        var session: UInt64 = 1
        for subset in 1..<(1 << 5) {
            let chosen = (0..<5).filter { subset & 1 << $0 != 0 }
            var expected: [String]?
            for order in chosen.permutations.prefix(24) {
                let all = tellings(session)
                try tell(order.map { all[$0] })
                let result = try told(of: session)
                if expected == nil { expected = result }
                #expect(result == expected, "order \(order)")
                session += 1
            }
        }
    }

    @Test func aLateOpenedDoesNotReopenASegment() throws {
        let manifest = fixture.manifest(0)
        try tell([
            .segment(SegmentRecord(fixture.closed(manifest), camera: LedgerFixture.front)),
            .segment(SegmentRecord(fixture.opened(manifest), camera: LedgerFixture.front)),
        ])
        let row = try #require(try store.segment(manifest.session, index: 0))
        #expect(row.state == .closed)
        #expect(row.path == manifest.path.completed.relativePath)
        #expect(row.frames == 250)
        #expect(row.reason == .rotation)
    }

    @Test func whatTheFileSaysIsBetterThanTheEvent() throws {
        let manifest = fixture.manifest(3)
        var event = fixture.closed(manifest)
        event.frames = 249
        let fromEvent = SegmentRecord(event, camera: LedgerFixture.front)
        let fromFile = SegmentRecord(
            fixture.inspected(manifest), path: manifest.path.completed.relativePath, isRecovered: false)
        for order in [[fromEvent, fromFile], [fromFile, fromEvent]] {
            try store.record(segments: order, now: fixture.start)
            let row = try #require(try store.segment(manifest.session, index: 3))
            #expect(row.frames == 250)
            #expect(row.reason == .rotation, "the event alone says why it ended")
            #expect(row.sessionOffset == .seconds(30), "the file alone says where it lies")
        }
    }

    @Test func theEndOfASessionIsItsStopOrTheWorkersWord() throws {
        let last = fixture.manifest(2)
        try tell([.segment(SegmentRecord(fixture.closed(last, reason: .stop), camera: LedgerFixture.front))])
        var session = try #require(try store.sessions().first)
        #expect(session.endedAt == last.startedAt + .seconds(10))
        #expect(session.endReason == .stop)

        let other = fixture.manifest(0, session: 2)
        try tell([.segment(SegmentRecord(fixture.closed(other, reason: .error), camera: LedgerFixture.front))])
        try store.endSessions(of: LedgerFixture.front, except: other.session)
        #expect(try store.sessions(LedgerQuery(session: other.session)).first?.endedAt == nil)
        try store.endSessions(of: LedgerFixture.front, except: nil)
        session = try #require(try store.sessions(LedgerQuery(session: other.session)).first)
        #expect(session.endedAt == other.startedAt + .seconds(10))
        #expect(session.endReason == .error)
        try store.endSessions(of: LedgerFixture.front, except: other.session)
        #expect(try store.sessions(LedgerQuery(session: other.session)).first?.endedAt == nil, "it was resumed")
        try store.endSessions(of: LedgerFixture.front, except: last.session)
        #expect(try store.sessions(LedgerQuery(session: last.session)).first?.endReason == .stop, "it was stopped")
    }

    @Test func aTombstoneIsNotRevivedByALateEvent() throws {
        let manifest = fixture.manifest(0)
        let closed = SegmentRecord(fixture.closed(manifest), camera: LedgerFixture.front)
        try store.record(segments: [closed], now: fixture.start)
        try store.mark([(manifest.session, 0)], .deleted, now: fixture.start)
        try store.record(segments: [closed], now: fixture.start)
        #expect(try store.segment(manifest.session, index: 0)?.state == .deleted)
        #expect(try store.totalBytes() == 0)
        #expect(try store.oldest() == nil)
        try store.forgetDeleted(before: fixture.start)
        #expect(try store.segments().count == 1, "not before its time")
        try store.forgetDeleted(before: fixture.start + .seconds(86_400))
        #expect(try store.segments().isEmpty)
        #expect(try store.sessions().isEmpty)
    }
}
