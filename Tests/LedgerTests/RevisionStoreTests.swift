import Domain
import Foundation
import GRDB
import Ledger
import Testing

@Suite("The history of the configuration")
final class RevisionStoreTests {
    private let folder: String
    private let start = WallTime(milliseconds: 1_772_366_400_000)
    private var path: String { "\(folder)/\(RevisionStore.fileName)" }

    init() throws {
        folder = NSTemporaryDirectory() + "framekeeper-revisions-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func open(_ access: LedgerStore.Access = .owner) throws -> RevisionStore {
        try RevisionStore(folder: folder, access: access, now: start)
    }

    private func record(
        _ number: Int?, _ text: String, _ state: RevisionRecord.State, why: String? = nil
    ) -> RevisionRecord {
        RevisionRecord(
            number: number, at: start + .seconds(number ?? 0), text: Array(text.utf8), origin: .file, state: state,
            why: why)
    }

    @Test("What is recorded is read again, newest first; one is in force and one waits")
    func roundTrip() throws {
        let store = try open()
        #expect(store.origin == .created)
        #expect(try store.lastNumber() == 0 && store.revisions() == [])
        try store.record(record(1, "a: ünïcode\n", .applied, why: "because"))
        try store.record(record(2, "b\n", .pending))
        try store.record(record(3, "c\n", .pending))
        #expect(try store.revision(1) == record(1, "a: ünïcode\n", .applied, why: "because"))
        #expect(try store.newest(.pending)?.number == 3 && store.revision(2)?.state == .superseded)
        try store.mark(3, .applied)
        #expect(try store.newest(.applied)?.number == 3 && store.newest(.pending) == nil)
        #expect(try store.revisions().map(\.number) == [3, 2, 1])
        #expect(try store.lastNumber() == 3)
        try store.close()
        #expect(try open(.reader).revisions().map(\.state) == [.applied, .superseded, .superseded])
    }

    @Test("Back leads to what was in force and said something else, not to what only waited")
    func previous() throws {
        let store = try open()
        try store.record(record(1, "a", .applied))
        try store.record(record(2, "waited", .pending))
        try store.record(record(3, "b", .pending))
        try store.mark(3, .applied)
        try store.record(record(4, "b", .applied))
        #expect(try store.previous(to: 4, otherThan: Array("b".utf8))?.number == 1)
        #expect(try store.previous(to: 1, otherThan: Array("a".utf8)) == nil)
    }

    @Test("It is bounded, and what is in force or waits is kept however old it is")
    func bounded() throws {
        let store = try open()
        try store.record(record(1, "in force", .applied))
        for number in 2...(RevisionStore.recordsMax + 50) {
            try store.record(record(number, "t\(number)", .superseded))
        }
        for number in 0..<60 { try store.record(record(nil, "broken \(number)", .rejected)) }
        let kept = try store.revisions()
        #expect(kept.count <= RevisionStore.recordsMax + 1)
        #expect(kept.count { $0.state == .rejected } == RevisionStore.rejectedMax)
        #expect(try store.newest(.applied)?.number == 1)
        #expect(try store.revision(2) == nil && store.revision(RevisionStore.recordsMax + 50) != nil)
    }

    @Test("The same broken text again is no second record")
    func rejectedTwice() throws {
        let store = try open()
        for _ in 0..<3 { try store.record(record(nil, "broken", .rejected)) }
        #expect(try store.revisions().count == 1)
        #expect(try store.lastNumber() == 0)
    }

    @Test("Nobody else may read it")
    func mode() throws {
        _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o644])
        let store = try open()
        try store.record(record(1, "a", .applied))
        for suffix in ["", "-wal", "-shm"] {
            let attributes = try FileManager.default.attributesOfItem(atPath: path + suffix)
            #expect((attributes[.posixPermissions] as? Int) == 0o600, "\(suffix)")
        }
    }

    @Test("A damaged history is kept aside and begun anew")
    func damaged() throws {
        try Data("this is no database, but somebody's text, and a long one at that\n".utf8)
            .write(to: URL(fileURLWithPath: path))
        let store = try open()
        guard case .replaced(let aside) = store.origin else {
            Issue.record("the damage was not noticed")
            return
        }
        #expect(try String(contentsOfFile: aside, encoding: .utf8).hasPrefix("this is no database"))
        #expect(try store.revisions() == [])
        try store.record(record(8, "a", .applied))
        #expect(try store.lastNumber() == 8)
    }

    @Test("A revision of a moment that no clock shows is damage")
    func damagedMoment() throws {
        let store = try open()
        try store.record(record(1, "a", .applied))
        try DatabaseQueue(path: path).write { try $0.execute(sql: "UPDATE revision SET at_ms = \(Int64.max)") }
        let error = #expect(throws: CodedError.self) { try store.revisions() }
        #expect(error.map(LedgerStore.isDamage) == true)
        try store.close()
        guard case .replaced = try open().origin else {
            Issue.record("the damage was not noticed")
            return
        }
    }

    @Test("Where there is none a reader is told, and none begins")
    func reader() throws {
        #expect(throws: CodedError.self) { try open(.reader) }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("What the file held last is remembered")
    func fileSeen() throws {
        let store = try open()
        #expect(try store.fileSeen() == nil)
        try store.noteFileSeen("12-ab")
        try store.noteFileSeen("13-cd")
        #expect(try store.fileSeen() == "13-cd")
    }
}
