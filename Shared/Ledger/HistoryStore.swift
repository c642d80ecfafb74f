package import Domain
internal import GRDB

/// The history of what cameras and nodes did: `<state_dir>/metrics/history.sqlite`.
///
/// Owns the database and nothing beside it. One process writes it, the node's metrics service, in batches: one
/// transaction for what gathered since the last. Samples of 10 s are kept for a day, of a minute for 30 days, of an
/// hour for two years, and a sample that is told in parts is merged, so that a restart in the middle of an hour costs
/// the hour nothing. It is no record of recordings: a damaged file is moved aside and begun anew.
///
/// Calls block on the disk: not for the cooperative pool.
package final class HistoryStore: Sendable {
    package static let fileName = "history.sqlite"
    /// The most samples that one question gets.
    package static let samplesMax = 10_000
    /// Cameras and nodes that are remembered; more are refused.
    package static let subjectsMax = 8192

    package let origin: LedgerStore.Origin
    private let queue: DatabaseQueue

    /// - Parameters:
    ///   - folder: `<state_dir>/metrics`, absolute; it exists.
    ///   - now: names the copy of a damaged history.
    /// - Throws: `storageFull`, `storageFailed`.
    package init(folder: String, now: WallTime) throws(CodedError) {
        let path = "\(folder)/\(Self.fileName)"
        let isThere = DatabaseFile.exists(path)
        if isThere, try DatabaseFile.isDamaged(path) {
            origin = .replaced(damaged: try DatabaseFile.moveAside(path, now: now))
        } else {
            origin = isThere ? .existing : .created
        }
        queue = try DatabaseFile.openOwner(path, HistorySchema.migrator)
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

    /// Adds samples of 10 s to all three resolutions, in one transaction.
    package func add(_ samples: [HistorySample]) throws(CodedError) {
        var parts: [Key: HistorySample] = [:]
        for sample in samples {
            for step in HistoryStep.allCases {
                var part = sample
                part.at = step.start(of: sample.at)
                let key = Key(step: step, subject: sample.subject, at: part.at)
                parts[key] = parts[key]?.merged(with: part) ?? part
            }
        }
        try write { db in
            for (key, part) in parts {
                guard let subject = try Self.number(of: key.subject, in: db) else { continue }
                let stored = try Self.sample(key, subject, in: db)
                try Self.put(stored?.merged(with: part) ?? part, key, subject, in: db)
            }
        }
    }

    /// Forgets what is older than its resolution is kept.
    package func prune(at now: WallTime) throws(CodedError) {
        try write { db in
            for subject in try Int.fetchAll(db, sql: "SELECT number FROM subject") {
                for step in HistoryStep.allCases {
                    try db.execute(
                        sql: "DELETE FROM sample WHERE step = ? AND subject = ? AND at < ?",
                        arguments: [step.rawValue, subject, Self.seconds(step.start(of: now - step.kept))])
                }
            }
            try db.execute(sql: Self.forgetSubjects)
        }
    }

    /// Who has no sample left. With every step named the table's key finds a subject's samples; without them all of the
    /// table would be read for each subject.
    package static let forgetSubjects =
        "DELETE FROM subject WHERE NOT EXISTS (SELECT 1 FROM sample WHERE step IN "
        + "(\(HistoryStep.allCases.map { "\($0.rawValue)" }.joined(separator: ", "))) AND subject = subject.number)"

    // MARK: Reading

    /// The samples of a span, in the order of time; at most `samplesMax`, the newest.
    package func samples(
        of subject: HistorySubject, step: HistoryStep, from: WallTime, to: WallTime, limit: Int = samplesMax
    ) throws(CodedError) -> [HistorySample] {
        try read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT sample.* FROM sample JOIN subject ON subject.number = sample.subject
                    WHERE subject.name = ? AND step = ? AND at >= ? AND at < ? ORDER BY at DESC LIMIT ?
                    """,
                arguments: [
                    subject.text, step.rawValue, Self.seconds(step.start(of: from)), Self.seconds(to),
                    max(0, min(limit, Self.samplesMax)),
                ])
            return rows.reversed().map { HistorySample(subject, $0) }
        }
    }

    // MARK: Rows

    private struct Key: Hashable {
        var step: HistoryStep
        var subject: HistorySubject
        var at: WallTime
    }

    private static func seconds(_ time: WallTime) -> Int64 { time.nanoseconds.floorDivided(by: 1_000_000_000) }

    /// Nil if there is no room for another one.
    private static func number(of subject: HistorySubject, in db: Database) throws -> Int? {
        let known = try Int.fetchOne(
            db, sql: "SELECT number FROM subject WHERE name = ?", arguments: [subject.text])
        if let known { return known }
        guard try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM subject") ?? 0 < subjectsMax else { return nil }
        try db.execute(sql: "INSERT INTO subject (name) VALUES (?)", arguments: [subject.text])
        return Int(db.lastInsertedRowID)
    }

    private static func sample(_ key: Key, _ subject: Int, in db: Database) throws -> HistorySample? {
        try Row.fetchOne(
            db.cachedStatement(sql: "SELECT * FROM sample WHERE step = ? AND subject = ? AND at = ?"),
            arguments: [key.step.rawValue, subject, seconds(key.at)]
        ).map { HistorySample(key.subject, $0) }
    }

    private static func put(_ sample: HistorySample, _ key: Key, _ subject: Int, in db: Database) throws {
        try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO sample (step, subject, at, count, fps, bitrate_bps, part_write_seconds,
                    dropped_frames, recording_seconds, free_bytes, used_bytes, bus_roundtrip_seconds)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """
        ).execute(arguments: [
            key.step.rawValue, subject, seconds(key.at), sample.count, sample.fps, sample.bitrateBps,
            sample.partWriteSeconds, sample.droppedFrames, sample.recordingSeconds, sample.freeBytes, sample.usedBytes,
            sample.busRoundtripSeconds,
        ])
    }
}

extension HistorySample {
    fileprivate init(_ subject: HistorySubject, _ row: Row) {
        let seconds: Int64 = row["at"]
        self.init(subject, at: WallTime(milliseconds: seconds.multipliedClamped(by: 1000)), count: row["count"])
        fps = row["fps"]
        bitrateBps = row["bitrate_bps"]
        partWriteSeconds = row["part_write_seconds"]
        droppedFrames = row["dropped_frames"]
        recordingSeconds = row["recording_seconds"]
        freeBytes = row["free_bytes"]
        usedBytes = row["used_bytes"]
        busRoundtripSeconds = row["bus_roundtrip_seconds"]
    }
}

/// The tables of the history. A version that has been released is never edited; a change is a new migration.
enum HistorySchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: version1) }
        return migrator
    }

    /// `at` is in seconds since 1970, a multiple of `step`.
    private static let version1 = """
        CREATE TABLE subject (
            number INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE CHECK (length(name) BETWEEN 1 AND 80)
        );
        CREATE TABLE sample (
            step INTEGER NOT NULL CHECK (step IN (10, 60, 3600)),
            subject INTEGER NOT NULL REFERENCES subject (number),
            at INTEGER NOT NULL CHECK (at % step = 0),
            count INTEGER NOT NULL CHECK (count >= 0),
            fps REAL, bitrate_bps REAL, part_write_seconds REAL, dropped_frames REAL, recording_seconds REAL,
            free_bytes REAL, used_bytes REAL, bus_roundtrip_seconds REAL,
            PRIMARY KEY (step, subject, at)
        ) WITHOUT ROWID;
        """
}
