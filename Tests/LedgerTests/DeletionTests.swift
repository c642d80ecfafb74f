import Domain
import Ledger
import Testing

/// Retention at work while others read, scan and crash.
@Suite struct DeletionTests {
    private let fixture: LedgerFixture
    private let store: LedgerStore
    private let session = LedgerFixture.session(1)
    private var rows: [(session: SessionID, index: Int)] { (0..<3).map { (session, $0) } }

    init() throws {
        fixture = try LedgerFixture()
        store = try fixture.open()
        for index in 0..<4 { try record(index) }
    }

    private func record(_ index: Int) throws {
        try store.record(
            segments: [SegmentRecord(fixture.closed(fixture.manifest(index)), camera: LedgerFixture.front)],
            now: fixture.start)
    }

    private func states() throws -> [SegmentRecord.State] {
        try store.segments(LedgerQuery(session: session)).map(\.state)
    }

    @Test func noRowSaysThatAFileIsThereThatIsAboutToGo() throws {
        var seen: [[SegmentRecord.State]] = []
        let outcome = store.delete(rows, now: fixture.start) { _ throws(CodedError) in
            do { seen.append(try states()) } catch { throw CodedError(.internal, "\(error)") }
        }
        #expect(outcome.gone == [0, 1, 2] && outcome.failure == nil && outcome.ledgerFailure == nil)
        #expect(seen == Array(repeating: [.deleted, .deleted, .deleted, .closed], count: 3))
    }

    @Test func whatWouldNotGoIsAsItWas() throws {
        let outcome = store.delete(rows, now: fixture.start) { place throws(CodedError) in
            guard place != 1 else { throw CodedError(.storageFailed, "busy") }
        }
        #expect(outcome.gone == [0, 2] && outcome.failure?.message == "busy")
        #expect(try states() == [.deleted, .closed, .deleted, .closed])
    }

    /// It found the file before it went, and inspects it when its row says that it has gone.
    @Test func aScanMeanwhileDoesNotBringItBack() throws {
        let outcome = store.delete(rows, now: fixture.start) { place throws(CodedError) in
            guard place == 0 else { return }
            let found = SegmentRecord(
                fixture.inspected(fixture.manifest(0)), path: fixture.manifest(0).path.completed.relativePath,
                isRecovered: false)
            try store.record(segments: [found], now: fixture.start)
            try store.mark([(session, 1)], .missing, now: fixture.start)
        }
        #expect(outcome.gone == [0, 1, 2])
        #expect(try states() == [.deleted, .deleted, .deleted, .closed])
    }
}
