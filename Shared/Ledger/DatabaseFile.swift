internal import Domain
internal import GRDB
internal import Glibc

/// Opening SQLite files as the product needs it: WAL, one owner that migrates, readers that never write, damage found
/// at the start and moved aside. What is in them does not belong here.
enum DatabaseFile {
    /// How long a statement waits for a lock of another connection, in seconds.
    static let busySecondsMax = 5.0

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func openOwner(_ path: String, _ migrator: DatabaseMigrator) throws(CodedError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.journalMode = .wal
        configuration.busyMode = .timeout(busySecondsMax)
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA synchronous = NORMAL") }
        do {
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            try migrator.migrate(queue)
            return queue
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    /// A reader of a WAL database may need to create `-wal` and `-shm`. Where it may not write to the folder, the file
    /// is opened as immutable, which is right as long as nobody writes it: then there is no `-wal`
    /// (https://www.sqlite.org/wal.html#read_only_databases).
    static func openReader(_ path: String, _ migrator: DatabaseMigrator) throws(CodedError) -> DatabaseQueue {
        var configuration = Configuration()
        configuration.readonly = true
        configuration.busyMode = .timeout(busySecondsMax)
        do {
            return try checkedReader(path, configuration, migrator)
        } catch let error as DatabaseError
            where [.SQLITE_CANTOPEN, .SQLITE_READONLY].contains(error.resultCode) && !exists("\(path)-wal")
        {
            do { return try checkedReader("file:\(percentEncoded(path))?immutable=1", configuration, migrator) } catch {
                throw LedgerFault.coded(error)
            }
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    private static func checkedReader(
        _ path: String, _ configuration: Configuration, _ migrator: DatabaseMigrator
    ) throws -> DatabaseQueue {
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        // A database that is just being created has no tables yet.
        let isCurrent = try queue.read { db in
            try db.tableExists("grdb_migrations") && migrator.hasCompletedMigrations(db)
        }
        guard isCurrent else {
            throw CodedError(.notReady, "\(path) is of another version; the service that owns it has to open it first")
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

    /// - Parameter moments: columns by table that hold milliseconds of a `WallTime`. A flipped bit in one is a number
    ///   like any other to SQLite, and only this finds it.
    static func isDamaged(_ path: String, moments: [String: [String]] = [:]) throws(CodedError) -> Bool {
        do {
            var configuration = Configuration()
            configuration.busyMode = .timeout(busySecondsMax)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { _ = try? queue.close() }
            let verdict = try queue.read { try String.fetchOne($0, sql: "PRAGMA integrity_check(1)") }
            guard verdict == "ok" else { return true }
            return try queue.read { db in
                try moments.contains { table, columns in
                    guard try db.tableExists(table) else { return false }
                    let range = WallTime.millisecondsRange
                    let isNone = columns.map { "\($0) NOT BETWEEN \(range.lowerBound) AND \(range.upperBound)" }
                    let sql = "SELECT EXISTS (SELECT 1 FROM \(table) WHERE \(isNone.joined(separator: " OR ")))"
                    return try Bool.fetchOne(db, sql: sql) ?? false
                }
            }
        } catch  where LedgerFault.isCorruption(error) {
            return true
        } catch {
            throw LedgerFault.coded(error)
        }
    }

    /// Nothing is deleted: a person may want to look. The new name is not taken yet.
    static func moveAside(_ path: String, now: WallTime) throws(CodedError) -> String {
        let stamp = "\(now.dateText)T\(now.timeText(separator: "-"))Z"
        var aside = "\(path).corrupt-\(stamp)"
        var count = 1
        while exists(aside) {
            count += 1
            aside = "\(path).corrupt-\(stamp)-\(count)"
        }
        for suffix in ["", "-wal", "-shm"] where exists(path + suffix) {
            guard rename(path + suffix, aside + suffix) == 0 else {
                throw LedgerFault.system("move the damaged \(path) aside", errno)
            }
        }
        return aside
    }
}

extension String {
    fileprivate var leftPadded: String { utf8.count < 2 ? "0" + self : self }
}
