import Domain
import Foundation
import GRDB
import Ledger
import TestSupport
import Testing

/// A ledger that cannot be trusted is moved aside, never deleted, and a new one begins.
@Suite struct DamageTests {
    private let fixture: LedgerFixture

    init() throws { fixture = try LedgerFixture() }

    private func fill(_ count: Int = 200) throws {
        let store = try fixture.open()
        for index in 0..<count {
            let manifest = fixture.manifest(index)
            try store.record(
                segments: [SegmentRecord(fixture.closed(manifest), camera: LedgerFixture.front)], now: fixture.start)
        }
        try store.close()
    }

    private func damage(_ change: (inout Data) -> Void) throws {
        let url = URL(fileURLWithPath: fixture.ledgerPath)
        var bytes = try Data(contentsOf: url)
        change(&bytes)
        try bytes.write(to: url)
    }

    private func expectReplaced(_ comment: Comment) throws {
        let before = try Data(contentsOf: URL(fileURLWithPath: fixture.ledgerPath))
        let store = try fixture.open()
        guard case .replaced(let damaged) = store.origin else {
            Issue.record("the damage was not noticed: \(comment)")
            return
        }
        #expect(damaged.contains("ledger.sqlite.corrupt-"), comment)
        #expect(try Data(contentsOf: URL(fileURLWithPath: damaged)) == before, comment)
        #expect(try store.segments().isEmpty, comment)
        try store.record(
            segments: [SegmentRecord(fixture.closed(fixture.manifest(0)), camera: LedgerFixture.front)],
            now: fixture.start)
        #expect(try store.segments().count == 1)
        try store.close()
    }

    @Test func noiseInTheHeader() throws {
        try fill()
        try damage { $0.replaceSubrange(0..<16, with: Data((0..<16).map { _ in UInt8.random(in: 0...255) })) }
        try expectReplaced("header")
    }

    @Test(arguments: 1...12) func noiseInAnyPage(page: Int) throws {
        try fill()
        try damage { bytes in
            let count = bytes.count / 4096
            let at = page % count * 4096
            bytes.replaceSubrange(at..<at + 2048, with: Data((0..<2048).map { _ in UInt8.random(in: 0...255) }))
        }
        try expectReplaced("page \(page)")
    }

    @Test func aChangedWordInARow() throws {
        try fill()
        try damage { bytes in
            guard let at = bytes.range(of: Data("closed".utf8)) else { return }
            bytes.replaceSubrange(at, with: Data("clotod".utf8))
        }
        try expectReplaced("a state that does not exist")
    }

    /// A flipped bit in a moment is a number like any other to SQLite.
    @Test(arguments: [
        "UPDATE segment SET started_ms = 9223372036854775807 WHERE idx = 3",
        "UPDATE segment SET ended_ms = -9223372036854775807 WHERE idx = 3",
        "UPDATE session SET started_ms = 9223372036854775807",
        "INSERT INTO gap SELECT id, started_ms, camera, 9223372036854775807, 'overrun', 5 FROM session",
    ]) func aMomentThatNoClockShows(sql: String) throws {
        try fill(20)
        let store = try fixture.open()
        try DatabaseQueue(path: fixture.ledgerPath).write { try $0.execute(sql: sql) }
        let error = #expect(throws: CodedError.self) {
            _ = try (store.segments(), store.sessions(), store.gaps())
            _ = try store.holdings(oldestPerCamera: 1)
        }
        #expect(error.map(LedgerStore.isDamage) == true)
        try store.close()
        try expectReplaced("\(sql)")
    }

    @Test func halfAFile() throws {
        try fill()
        try damage { $0 = $0.prefix($0.count / 2) }
        try expectReplaced("torn")
    }

    @Test func anotherKindOfFile() throws {
        try Data("this is no database, but somebody's text, and a long one at that\n".utf8)
            .write(to: URL(fileURLWithPath: fixture.ledgerPath))
        try expectReplaced("text")
    }

    /// Somebody looks at recordings just then: `-wal` and `-shm` are there, belong to the damaged one and go with it.
    @Test func oneThatIsBeingReadIsReplacedWithWhatBelongsToIt() throws {
        try fill()
        try damage { bytes in
            let at = bytes.count / 4096 / 2 * 4096
            bytes.replaceSubrange(at..<at + 2048, with: Data(repeating: 7, count: 2048))
        }
        var configuration = Configuration()
        configuration.readonly = true
        let reader = try DatabaseQueue(path: fixture.ledgerPath, configuration: configuration)
        let tables = try reader.read { try String.fetchAll($0, sql: "SELECT name FROM sqlite_master") }
        #expect(FileManager.default.fileExists(atPath: "\(fixture.ledgerPath)-wal"))
        try expectReplaced("read by somebody")
        let kept = try databasesMovedAside(in: fixture.storage)
        #expect(kept.count == 1)
        for suffix in ["-wal", "-shm"] {
            #expect(FileManager.default.fileExists(atPath: "\(fixture.storage)/\(kept.first ?? "")\(suffix)"))
        }
        #expect(try reader.read { try String.fetchAll($0, sql: "SELECT name FROM sqlite_master") } == tables)
        try reader.close()
    }

    @Test func twoDamagedOnesAreBothKept() throws {
        for text in ["one", "two"] {
            try Data(repeating: UInt8(text.utf8.count), count: 5000).write(to: URL(fileURLWithPath: fixture.ledgerPath))
            _ = try fixture.open()
        }
        #expect(try databasesMovedAside(in: fixture.storage).count == 2)
    }

    @Test func anEmptyFileIsANewLedger() throws {
        try Data().write(to: URL(fileURLWithPath: fixture.ledgerPath))
        let store = try fixture.open()
        #expect(store.origin == .existing)
        #expect(try store.segments().isEmpty)
    }

    @Test func aSoundOneIsKept() throws {
        try fill(20)
        let store = try fixture.open()
        #expect(store.origin == .existing)
        #expect(try store.segments().count == 20)
    }

    @Test func aReaderFindsNothingWhereThereIsNothing() throws {
        #expect(throws: CodedError(.notReady, "there is no ledger in \(fixture.storage) yet")) {
            try fixture.open(.reader)
        }
        #expect(!FileManager.default.fileExists(atPath: fixture.ledgerPath))
    }
}
