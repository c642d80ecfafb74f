package import Domain
internal import GRDB
internal import Glibc

/// The record of sessions, segments and gaps of one storage folder: `<storage>/ledger.sqlite`, WAL.
///
/// Owns the database and nothing on the disk beside it. One process writes it, the rotation-service, which holds
/// `.ledger.lock` in the same folder; any number read it meanwhile. Every write is one transaction and idempotent by
/// (session, index) or (session, from). The ledger is never the only copy of a truth: the files can rebuild it, so a
/// damaged one is moved aside and begun anew, and its durability is SQLite's `NORMAL`.
///
/// Calls block on the disk: not for the cooperative pool. Deciding what to delete and reading media do not belong here.
package final class LedgerStore: Sendable {
    package static let fileName = "ledger.sqlite"
    package static let lockName = ".ledger.lock"

    /// How long a statement waits for a lock of another connection, in seconds.
    static let busySecondsMax = 5.0

    package enum Access: Hashable, Sendable {
        /// The rotation-service: creates, migrates, repairs.
        case owner
        /// Everyone else; the file must exist.
        case reader
    }

    /// What opening found.
    package enum Origin: Hashable, Sendable {
        case existing
        case created
        /// The old file was damaged and now lies at this path; the new one is empty until a scan fills it.
        case replaced(damaged: String)
    }

    package let storage: String
    package let origin: Origin
    let queue: DatabaseQueue

    /// - Parameters:
    ///   - storage: the storage folder, absolute.
    ///   - now: names the copy of a damaged ledger.
    /// - Throws: `notReady` for a reader where there is no ledger; `storageFull`, `storageFailed`.
    package init(storage: String, access: Access, now: WallTime) throws(CodedError) {
        self.storage = storage
        let path = "\(storage)/\(Self.fileName)"
        let isThere = exists(path)
        switch access {
        case .reader:
            guard isThere else { throw CodedError(.notReady, "there is no ledger in \(storage) yet") }
            queue = try Self.openReader(path)
            origin = .existing
        case .owner:
            if isThere, try Self.isDamaged(path) {
                let aside = try Self.moveAside(path, now: now)
                origin = .replaced(damaged: aside)
            } else {
                origin = isThere ? .existing : .created
            }
            queue = try Self.openOwner(path)
        }
    }

    /// Whether an error of a store means that its file is damaged: then opening it again as the owner moves it aside.
    package static func isDamage(_ error: CodedError) -> Bool { error.message == LedgerFault.damaged }

    /// Closes the database; calls afterwards throw.
    package func close() throws(CodedError) {
        do { try queue.close() } catch { throw LedgerFault.coded(error) }
    }

    func read<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.read(body) } catch { throw LedgerFault.coded(error) }
    }

    func write<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.write(body) } catch { throw LedgerFault.coded(error) }
    }

    // MARK: Opening

    private static func openOwner(_ path: String) throws(CodedError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(busySecondsMax)
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA synchronous = NORMAL") }
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try LedgerSchema.migrator.migrate(queue)
            return queue
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    /// A reader of a WAL database may need to create `-wal` and `-shm`. Where it may not write to the folder, the file
    /// is opened as immutable, which is right as long as nobody writes it: then there is no `-wal`
    /// (https://www.sqlite.org/wal.html#read_only_databases).
    private static func openReader(_ path: String) throws(CodedError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(busySecondsMax)
        do {
            return try checkedReader(path, configuration)
        } catch let error as DatabaseError
            where [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode) && !exists("\(path)-wal")
        {
            do { return try checkedReader("file:\(percentEncoded(path))?immutable=1", configuration) } catch {
                throw LedgerFault.coded(error)
            }
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    private static func checkedReader(_ path: String, _ configuration: Configuration) throws -> DatabaseQueue {
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        // A ledger that is just being created has no tables yet.
        let isCurrent = try queue.read { db in
            try db.tableExists("grdb_migrations") && LedgerSchema.migrator.hasCompletedMigrations(db)
        }
        guard isCurrent else {
            throw CodedError(.notReady, "the ledger is of another version; its rotation-service has to open it first")
        }
        return queue
    }

    private static func percentEncoded(_ path: String) -> String {
        var text = ""
        for byte in path.utf8 {
            let isPlain = byte < 0x80 && !"%?# ".utf8.contains(byte)
            text += isPlain ? String(UnicodeScalar(byte)) : "%" + String(byte, radix: 16).leftPadded
        }
        return text
    }

    // MARK: Damage

    private static func isDamaged(_ path: String) throws(CodedError) -> Bool {
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(busySecondsMax)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { _ = try? queue.close() }
            let verdict = try queue.read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") }
            return verdict != "ok"
        } catch  where LedgerFault.isCorruption(error) {
            return true
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    /// Nothing is deleted: a person may want to look. The new name is not taken yet.
    private static func moveAside(_ path: String, now: WallTime) throws(CodedError) -> String {
        let stamp = "\(now.dateText)T\(now.timeText(separator: "-"))Z"
        var aside = "\(path).corrupt-\(stamp)"
        var count = 1
        while exists(aside) {
            count += 1
            aside = "\(path).corrupt-\(stamp)-\(count)"
        }
        for suffix in ["", "-wal", "-shm"] where exists(path + suffix) {
            guard rename(path + suffix, aside + suffix) == 0 else {
                throw LedgerFault.system("move the damaged ledger aside", errno)
            }
        }
        return aside
    }
}

private func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

extension String {
    fileprivate var leftPadded: String { utf8.count < 2 ? "0" + self : self }
}
