internal import GRDB

/// The tables of the ledger and their history. A version that has been released is never edited; a change is a new
/// migration. The CHECKs are there for `PRAGMA integrity_check`, which then finds a flipped bit in a value too.
enum LedgerSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1") { db in try db.execute(sql: version1) }
        return migrator
    }

    /// Columns by table that are read as a `WallTime`.
    static let moments = [
        "session": ["started_ms", "ended_ms"],
        "segment": ["started_ms", "session_started_ms", "ended_ms"],
        "gap": ["from_ms", "to_ms"],
    ]

    /// Times and durations are milliseconds, `_ms` in the name; frame numbers and sizes are signed 64-bit integers.
    private static let version1 = """
        CREATE TABLE session (
            id TEXT PRIMARY KEY CHECK (length(id) = 32),
            camera TEXT NOT NULL CHECK (length(camera) BETWEEN 1 AND 63),
            node TEXT NOT NULL CHECK (length(node) BETWEEN 1 AND 63),
            started_ms INTEGER NOT NULL CHECK (typeof(started_ms) = 'integer'),
            started_exactly INTEGER NOT NULL CHECK (started_exactly IN (0, 1)),
            ended_ms INTEGER,
            end_reason TEXT CHECK (end_reason IN ('rotation', 'stop', 'error', 'shutdown', 'recovered'))
        ) WITHOUT ROWID;
        CREATE INDEX session_by_camera ON session (camera, started_ms);

        CREATE TABLE segment (
            session TEXT NOT NULL CHECK (length(session) = 32),
            idx INTEGER NOT NULL CHECK (idx >= 0),
            camera TEXT NOT NULL CHECK (length(camera) BETWEEN 1 AND 63),
            node TEXT NOT NULL CHECK (length(node) BETWEEN 1 AND 63),
            path TEXT NOT NULL CHECK (length(path) > 0),
            started_ms INTEGER NOT NULL CHECK (typeof(started_ms) = 'integer'),
            session_started_ms INTEGER,
            session_offset_ms INTEGER,
            ended_ms INTEGER,
            duration_ms INTEGER,
            frames INTEGER CHECK (frames >= 0),
            first_frame INTEGER NOT NULL CHECK (first_frame >= 0),
            last_frame INTEGER CHECK (last_frame >= 0),
            bytes INTEGER CHECK (bytes >= 0),
            offset_seconds REAL,
            reason TEXT CHECK (reason IN ('rotation', 'stop', 'error', 'shutdown', 'recovered')),
            state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'missing', 'deleted')),
            knowledge INTEGER NOT NULL CHECK (knowledge BETWEEN 0 AND 2),
            changed_ms INTEGER NOT NULL,
            PRIMARY KEY (session, idx)
        ) WITHOUT ROWID;
        CREATE INDEX segment_by_camera ON segment (camera, started_ms);
        CREATE INDEX segment_by_start ON segment (started_ms);
        -- Totals of what is there are read from this index alone, once a minute and more.
        CREATE INDEX segment_by_state ON segment (state, camera, started_ms, bytes);

        CREATE TABLE gap (
            session TEXT NOT NULL CHECK (length(session) = 32),
            from_ms INTEGER NOT NULL CHECK (typeof(from_ms) = 'integer'),
            camera TEXT NOT NULL CHECK (length(camera) BETWEEN 1 AND 63),
            to_ms INTEGER NOT NULL CHECK (typeof(to_ms) = 'integer'),
            cause TEXT NOT NULL CHECK (length(cause) > 0),
            frames_lost INTEGER CHECK (frames_lost >= 0),
            PRIMARY KEY (session, from_ms)
        ) WITHOUT ROWID;
        CREATE INDEX gap_by_camera ON gap (camera, from_ms);

        -- Files that could not be read, so that a scan does not open them again until they change.
        CREATE TABLE unreadable (
            path TEXT PRIMARY KEY,
            bytes INTEGER NOT NULL,
            reason TEXT NOT NULL
        ) WITHOUT ROWID;
        """
}
