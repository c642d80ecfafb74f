package import Domain
internal import GRDB

/// What is written. Each call is one transaction.
extension LedgerStore {
    /// Adds what is told to what is known.
    /// - Parameter now: marks when the row last changed; see `forgetDeleted`.
    package func record(segments: [SegmentRecord], gaps: [GapRecord] = [], now: WallTime) throws(CodedError) {
        try write { db in
            for segment in segments { try Self.record(segment, in: db, now: now) }
            for gap in gaps { try Self.record(gap, in: db) }
        }
    }

    /// A session ends with its last segment. Ends every session of `camera` that is open but `current`, which goes on:
    /// it had seemed to end if its worker was only restarted.
    package func endSessions(of camera: CameraID, except current: SessionID?) throws(CodedError) {
        try write { db in
            try db.execute(
                sql: """
                    UPDATE session SET
                        ended_ms = (SELECT max(coalesce(ended_ms, started_ms)) FROM segment WHERE session = session.id),
                        end_reason = (
                            SELECT reason FROM segment WHERE session = session.id ORDER BY idx DESC LIMIT 1)
                    WHERE camera = ? AND ended_ms IS NULL AND id <> ?
                    """, arguments: [camera.rawValue, current?.rawValue ?? ""])
            try db.execute(
                sql: """
                    UPDATE session SET ended_ms = NULL, end_reason = NULL
                    WHERE id = ? AND ended_ms IS NOT NULL AND end_reason IS NOT 'stop'
                    """, arguments: [current?.rawValue ?? ""])
        }
    }

    /// What the disk shows of a segment's file: it is not there, it is about to be deleted on purpose, or that failed
    /// and it is still there.
    /// - Parameter state: `missing`, which a deleted one never is; `deleted`; or `closed`, for those marked deleted.
    package func mark(
        _ segments: [(session: SessionID, index: Int)], _ state: SegmentRecord.State, now: WallTime
    ) throws(CodedError) {
        let before: [SegmentRecord.State]
        switch state {
        case .open: preconditionFailure("open ones are recorded, not marked")
        case .closed: before = [.deleted]
        case .missing: before = [.open, .closed]
        case .deleted: before = [.open, .closed, .missing]
        }
        guard !segments.isEmpty else { return }
        try write { db in
            for segment in segments {
                for old in before {
                    try db.execute(
                        sql: "UPDATE segment SET state = ?, changed_ms = ? WHERE session = ? AND idx = ? AND state = ?",
                        arguments: [
                            state.rawValue, now.milliseconds, segment.session.rawValue, segment.index, old.rawValue,
                        ])
                }
            }
        }
    }

    /// Removes the tombstones of segments that were deleted before `time`, and sessions of which nothing is left.
    /// No event of theirs is still under way by then.
    package func forgetDeleted(before time: WallTime) throws(CodedError) {
        try write { db in
            try db.execute(
                sql: "DELETE FROM segment WHERE state = 'deleted' AND changed_ms < ?", arguments: [time.milliseconds])
            try db.execute(
                sql: """
                    DELETE FROM gap WHERE session NOT IN (SELECT session FROM segment) AND to_ms < ?
                    """, arguments: [time.milliseconds])
            try db.execute(
                sql: """
                    DELETE FROM session WHERE id NOT IN (SELECT session FROM segment) AND started_ms < ?
                    """, arguments: [time.milliseconds])
        }
    }

    package func recordUnreadable(path: String, bytes: Int64, reason: String) throws(CodedError) {
        try write { db in
            try db.execute(
                sql: "INSERT OR REPLACE INTO unreadable (path, bytes, reason) VALUES (?, ?, ?)",
                arguments: [path, bytes, reason])
        }
    }

    /// Forgets that the files at `paths` could not be read.
    package func forgetUnreadable(paths: [String]) throws(CodedError) {
        try write { db in
            for path in paths { try db.execute(sql: "DELETE FROM unreadable WHERE path = ?", arguments: [path]) }
        }
    }

    // MARK: One row

    private static func record(_ told: SegmentRecord, in db: Database, now: WallTime) throws {
        let known = try segment(told.session, told.index, in: db)
        let row = known.map { combined($0, told) } ?? told
        guard row != known else { return }
        let statement = try db.cachedStatement(
            sql: """
                INSERT OR REPLACE INTO segment (\(SegmentRecord.columns), changed_ms)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """)
        try statement.execute(arguments: row.arguments + [now.milliseconds])
        try recordSession(of: row, in: db)
    }

    /// What a scan or a deletion saw stands until the file itself says otherwise, or the worker tells of another file.
    private static func combined(_ known: SegmentRecord, _ told: SegmentRecord) -> SegmentRecord {
        var row = known.merged(with: told)
        switch known.state {
        case .open, .closed: break
        case .missing where told.knowledge == .closed && known.knowledge == .opened: break
        case .missing, .deleted: row.state = told.knowledge == .inspected ? .closed : known.state
        }
        return row
    }

    private static func recordSession(of segment: SegmentRecord, in db: Database) throws {
        let startedAt = segment.sessionStartedAt ?? segment.startedAt
        try db.execute(
            sql: """
                INSERT INTO session (id, camera, node, started_ms, started_exactly) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (id) DO UPDATE SET
                    started_ms = CASE
                        WHEN excluded.started_exactly > started_exactly THEN excluded.started_ms
                        WHEN excluded.started_exactly < started_exactly THEN started_ms
                        ELSE min(started_ms, excluded.started_ms) END,
                    camera = CASE WHEN excluded.started_exactly > started_exactly THEN excluded.camera ELSE camera END,
                    started_exactly = max(started_exactly, excluded.started_exactly)
                """,
            arguments: [
                segment.session.rawValue, segment.camera.rawValue, segment.node.rawValue, startedAt.milliseconds,
                segment.sessionStartedAt == nil ? 0 : 1,
            ])
        guard segment.reason == .stop, let endedAt = segment.endedAt else { return }
        try db.execute(
            sql: "UPDATE session SET ended_ms = ?, end_reason = 'stop' WHERE id = ?",
            arguments: [endedAt.milliseconds, segment.session.rawValue])
    }

    private static func record(_ told: GapRecord, in db: Database) throws {
        let known = try Row.fetchOne(
            db, sql: "SELECT * FROM gap WHERE session = ? AND from_ms = ?",
            arguments: [told.session.rawValue, told.from.milliseconds]
        ).map(GapRecord.init)
        let row = known.map { $0.merged(with: told) } ?? told
        guard row != known else { return }
        try db.execute(
            sql: """
                INSERT OR REPLACE INTO gap (session, from_ms, camera, to_ms, cause, frames_lost)
                VALUES (?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                row.session.rawValue, row.from.milliseconds, row.camera.rawValue, row.to.milliseconds,
                row.cause.rawValue, row.framesLost.map(Int64.init(clamping:)),
            ])
    }

    static func segment(_ session: SessionID, _ index: Int, in db: Database) throws -> SegmentRecord? {
        let statement = try db.cachedStatement(
            sql: "SELECT \(SegmentRecord.columns) FROM segment WHERE session = ? AND idx = ?")
        return try Row.fetchOne(statement, arguments: [session.rawValue, index]).map(SegmentRecord.init)
    }
}
