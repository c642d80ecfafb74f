package import Domain
internal import GRDB
internal import Glibc

/// The history of a node's configuration: `<state_dir>/config/revisions.sqlite`, mode 0600, since texts may hold
/// passwords.
///
/// Owns the database and nothing beside it. One process writes it, the node's config-writer; any number read it
/// meanwhile. Every write is one transaction. What is in force lies in `active.yml` too, so a damaged history is moved
/// aside and begun anew. Bounded: the newest `recordsMax` are kept, and what is in force or waits.
///
/// Calls block on the disk: not for the cooperative pool. Which text is put in force does not belong here.
package final class RevisionStore: Sendable {
    package static let fileName = "revisions.sqlite"
    package static let recordsMax = 200
    /// Of those that never were fit to be in force; an editor that saves as one types must not crowd out the others.
    package static let rejectedMax = 20

    package let path: String
    package let origin: LedgerStore.Origin
    private let queue: DatabaseQueue

    /// - Parameters:
    ///   - folder: `<state_dir>/config`, absolute.
    ///   - now: names the copy of a damaged history.
    /// - Throws: `notReady` for a reader where there is no history; `storageFull`, `storageFailed`.
    package init(folder: String, access: LedgerStore.Access, now: WallTime) throws(CodedError) {
        path = "\(folder)/\(Self.fileName)"
        let isThere = DatabaseFile.exists(path)
        switch access {
        case .reader:
            guard isThere else { throw CodedError(.notReady, "there is no history of the configuration in \(folder)") }
            queue = try DatabaseFile.openReader(path, RevisionSchema.migrator)
            origin = .existing
        case .owner:
            if isThere, try DatabaseFile.isDamaged(path, moments: RevisionSchema.moments) {
                origin = .replaced(damaged: try DatabaseFile.moveAside(path, now: now))
            } else {
                origin = isThere ? .existing : .created
            }
            try Self.close(toOthers: path)
            queue = try DatabaseFile.openOwner(path, RevisionSchema.migrator)
        }
    }

    /// SQLite gives `-wal` and `-shm` the mode of the file itself.
    private static func close(toOthers path: String) throws(CodedError) {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LedgerFault.system("open \(path)", errno) }
        defer { Glibc.close(file) }
        guard fchmod(file, 0o600) == 0 else { throw LedgerFault.system("close \(path) to others", errno) }
    }

    /// Closes the database; calls afterwards throw.
    package func close() throws(CodedError) {
        do { try queue.close() } catch { throw LedgerFault.coded(error) }
    }

    private func read<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.read(body) } catch { throw LedgerFault.coded(error) }
    }

    private func write<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.write(body) } catch { throw LedgerFault.coded(error) }
    }

    // MARK: Writing

    /// A number that is there already is written anew. A second text in force, or a second one that waits, supersedes
    /// the first.
    package func record(_ record: RevisionRecord) throws(CodedError) {
        try write { db in
            if record.state == .applied || record.state == .pending {
                try Self.supersede(record.state, except: record.number, db)
            }
            if let number = record.number {
                try db.execute(sql: "DELETE FROM revision WHERE number = ?", arguments: [number])
            } else {
                try db.execute(
                    sql: "DELETE FROM revision WHERE number IS NULL AND text = ?",
                    arguments: [String(decoding: record.text, as: UTF8.self)])
            }
            try db.execute(
                sql: """
                    INSERT INTO revision (number, at_ms, text, origin, state, who, why, was_in_force)
                    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    record.number, record.at.milliseconds, String(decoding: record.text, as: UTF8.self),
                    record.origin.rawValue, record.state.rawValue, record.who, record.why, record.state == .applied,
                ])
            try Self.prune(db)
        }
    }

    package func mark(_ number: Int, _ state: RevisionRecord.State) throws(CodedError) {
        try write { db in
            if state == .applied || state == .pending { try Self.supersede(state, except: number, db) }
            try db.execute(
                sql: "UPDATE revision SET state = ?, was_in_force = MAX(was_in_force, ?) WHERE number = ?",
                arguments: [state.rawValue, state == .applied, number])
        }
    }

    private static func supersede(
        _ state: RevisionRecord.State, except number: Int?, _ db: Database
    ) throws {
        try db.execute(
            sql: "UPDATE revision SET state = 'superseded' WHERE state = ? AND number IS NOT ?",
            arguments: [state.rawValue, number])
    }

    private static func prune(_ db: Database) throws {
        for (condition, most) in [("state = 'rejected'", rejectedMax), ("1", recordsMax)] {
            try db.execute(
                sql: """
                    DELETE FROM revision WHERE \(condition) AND state NOT IN ('applied', 'pending')
                    AND id NOT IN (SELECT id FROM revision WHERE \(condition) ORDER BY id DESC LIMIT ?)
                    """, arguments: [most])
        }
    }

    /// What the file held when it was read last, by name.
    package func noteFileSeen(_ key: String) throws(CodedError) {
        try write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO note (key, value) VALUES ('file_seen', ?)", arguments: [key])
        }
    }

    // MARK: Reading

    package func fileSeen() throws(CodedError) -> String? {
        try read { db in try String.fetchOne(db, sql: "SELECT value FROM note WHERE key = 'file_seen'") }
    }

    package func lastNumber() throws(CodedError) -> Int {
        try read { db in try Int.fetchOne(db, sql: "SELECT MAX(number) FROM revision") ?? 0 }
    }

    package func revision(_ number: Int) throws(CodedError) -> RevisionRecord? {
        try first("number = ?", [number])
    }

    /// The newest of a state.
    package func newest(_ state: RevisionRecord.State) throws(CodedError) -> RevisionRecord? {
        try first("state = ?", [state.rawValue])
    }

    /// The newest that was in force before `number` and says something else.
    package func previous(to number: Int, otherThan text: [UInt8]) throws(CodedError) -> RevisionRecord? {
        try first(
            "was_in_force AND number < ? AND text <> ?", [number, String(decoding: text, as: UTF8.self)])
    }

    /// Newest first.
    package func revisions(limit: Int = recordsMax + rejectedMax) throws(CodedError) -> [RevisionRecord] {
        try select("1", [], limit: limit)
    }

    private func first(_ condition: String, _ arguments: StatementArguments) throws(CodedError) -> RevisionRecord? {
        try select(condition, arguments, limit: 1).first
    }

    private func select(
        _ condition: String, _ arguments: StatementArguments, limit: Int
    ) throws(CodedError) -> [RevisionRecord] {
        try read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM revision WHERE \(condition) ORDER BY id DESC LIMIT ?",
                arguments: arguments + [limit]
            ).map(RevisionRecord.init)
        }
    }
}

extension RevisionRecord {
    fileprivate init(_ row: Row) throws {
        guard let origin = Origin(rawValue: row["origin"]), let state = State(rawValue: row["state"]) else {
            throw CodedError(.storageFailed, LedgerFault.damaged, cause: "a word that the history does not know")
        }
        guard let at = try row.time("at_ms") else {
            throw CodedError(.storageFailed, LedgerFault.damaged, cause: "a revision without its moment")
        }
        let text: String = row["text"]
        self.init(
            number: row["number"], at: at, text: Array(text.utf8), origin: origin,
            state: state, who: row["who"], why: row["why"])
    }
}

/// The tables of the history. A version that has been released is never edited; a change is a new migration.
enum RevisionSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: version1) }
        return migrator
    }

    /// Columns by table that are read as a `WallTime`.
    static let moments = ["revision": ["at_ms"]]

    /// Texts that are not UTF-8 never load and are kept with replacement characters.
    private static let version1 = """
        CREATE TABLE revision (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            number INTEGER UNIQUE CHECK (number > 0),
            at_ms INTEGER NOT NULL CHECK (typeof(at_ms) = 'integer'),
            text TEXT NOT NULL,
            origin TEXT NOT NULL CHECK (origin IN ('file', 'command', 'rollback')),
            state TEXT NOT NULL CHECK (state IN ('applied', 'superseded', 'pending', 'rejected')),
            who TEXT,
            why TEXT,
            was_in_force INTEGER NOT NULL CHECK (was_in_force IN (0, 1)),
            CHECK ((number IS NULL) = (state = 'rejected'))
        );
        CREATE TABLE note (
            key TEXT PRIMARY KEY,
            value TEXT NOT NULL
        ) WITHOUT ROWID;
        """
}
