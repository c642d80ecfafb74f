import Domain
import Foundation
import Ledger
import Testing

/// The command line reads while the service writes, and where nobody does.
@Suite struct ReaderTests {
    private let fixture: LedgerFixture

    init() throws { fixture = try LedgerFixture() }

    private func record(_ index: Int, in store: LedgerStore) throws {
        let manifest = fixture.manifest(index)
        try store.record(
            segments: [SegmentRecord(fixture.closed(manifest), camera: LedgerFixture.front)], now: fixture.start)
    }

    @Test func aReaderSeesEachCommitOfALivingWriter() throws {
        let writer = try fixture.open()
        try record(0, in: writer)
        let reader = try fixture.open(.reader)
        for index in 1...50 {
            try record(index, in: writer)
            #expect(try reader.segments().count == index + 1)
        }
    }

    @Test func aReaderWritesNothing() throws {
        try fixture.open().close()
        let reader = try fixture.open(.reader)
        #expect(throws: CodedError.self) { try record(0, in: reader) }
    }

    @Test func aReaderNeedsNoFilesBesideTheLedger() throws {
        let writer = try fixture.open()
        try record(0, in: writer)
        try writer.close()
        #expect(!FileManager.default.fileExists(atPath: fixture.ledgerPath + "-wal"))
        #expect(try fixture.open(.reader).segments().count == 1)
    }

    @Test func aLedgerThatIsJustBeingCreatedIsNotReady() throws {
        try Data().write(to: URL(fileURLWithPath: fixture.ledgerPath))
        let refused = #expect(throws: CodedError.self) { try fixture.open(.reader) }
        #expect(refused?.code == .notReady)
    }

    @Test func queriesSelectByCameraTimeSessionAndState() throws {
        let store = try fixture.open()
        for index in 0..<10 { try record(index, in: store) }
        let other = fixture.manifest(0, session: 2, camera: LedgerFixture.back)
        try store.record(
            segments: [SegmentRecord(fixture.opened(other), camera: LedgerFixture.back)], now: fixture.start)
        func indices(_ query: LedgerQuery) throws -> [Int] { try store.segments(query).map(\.index) }
        #expect(try indices(LedgerQuery(camera: LedgerFixture.front)) == Array(0..<10))
        #expect(
            try indices(
                LedgerQuery(
                    camera: LedgerFixture.front, from: fixture.start + .seconds(35), to: fixture.start + .seconds(60)))
                == [3, 4, 5])
        #expect(try indices(LedgerQuery(session: other.session)) == [0])
        #expect(try indices(LedgerQuery(states: [.open])) == [0])
        #expect(try indices(LedgerQuery(camera: LedgerFixture.front, limit: 2)) == [0, 1])
        #expect(try indices(LedgerQuery(states: [])).isEmpty)
        #expect(try store.oldest(of: LedgerFixture.front)?.index == 0)
        #expect(try store.totalBytes() == 10_000)
        #expect(try store.totalBytes(of: LedgerFixture.back) == 0)
        #expect(try store.sessions(idPrefix: other.session.short).map(\.id) == [other.session])
        #expect(try store.sessions(idPrefix: "0000").count == 2)
        #expect(try store.sessions(idPrefix: "'; DROP TABLE session; --").isEmpty)
    }

    /// Retention marks a row before its file goes. A scan that looked meanwhile does not call that missing, and one
    /// whose file would not go is as it was.
    @Test func whatWasDeletedIsNotMissing() throws {
        let store = try fixture.open()
        for index in 0..<3 { try record(index, in: store) }
        let session = LedgerFixture.session(1)
        try store.mark([(session, 0), (session, 1)], .deleted, now: fixture.start)
        try store.mark([(session, 0), (session, 2)], .missing, now: fixture.start)
        try store.mark([(session, 1), (session, 2)], .closed, now: fixture.start)
        #expect(try store.segments(LedgerQuery(session: session)).map(\.state) == [.deleted, .closed, .missing])
    }

    @Test func holdingsTellTotalsAndTheOldest() throws {
        let store = try fixture.open()
        for index in 0..<10 { try record(index, in: store) }
        try store.mark([(LedgerFixture.session(1), 0)], .deleted, now: fixture.start)
        try store.mark([(LedgerFixture.session(1), 1)], .missing, now: fixture.start)
        let holdings = try #require(try store.holdings(oldestPerCamera: 3).first)
        #expect(holdings.bytes == 8000)
        #expect(holdings.oldest.map(\.index) == [2, 3, 4])
        #expect(holdings.newestAt == fixture.start + .seconds(90))
    }
}
