internal import BusContract
package import Domain
internal import GRDB

/// What a camera has on the disk, by the ledger.
package struct CameraHoldings: Hashable, Sendable {
    package var camera: CameraID
    /// Of its closed segments.
    package var bytes: Int64
    /// The beginning of its newest segment, open or closed.
    package var newestAt: WallTime
    /// Its oldest closed segments, oldest first.
    package var oldest: [SegmentRecord]
}

extension LedgerStore {
    /// For retention: totals of every camera, and its `limit` oldest closed segments.
    package func holdings(oldestPerCamera limit: Int) throws(CodedError) -> [CameraHoldings] {
        try read { db in
            try Self.totals(in: db).sorted { $0.key < $1.key }.map { camera, total in
                let oldest = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT \(SegmentRecord.columns) FROM segment WHERE camera = ? AND state = 'closed'
                        ORDER BY started_ms, session, idx LIMIT ?
                        """, arguments: [camera.rawValue, limit]
                ).map(SegmentRecord.init)
                return CameraHoldings(
                    camera: camera, bytes: total.bytes, newestAt: total.newest, oldest: oldest)
            }
        }
    }

    private static func totals(in db: Database) throws -> [CameraID: (bytes: Int64, newest: WallTime)] {
        var totals: [CameraID: (bytes: Int64, newest: WallTime)] = [:]
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT state, camera, total(min(max(bytes, 0), \(RecordingLimits.bytesMax))) AS bytes,
                    max(started_ms) AS newest
                FROM segment WHERE state IN ('closed', 'open') GROUP BY state, camera
                """)
        for row in rows {
            guard let camera = CameraID(rawValue: row["camera"]), let newest = try row.time("newest") else { continue }
            let known = totals[camera] ?? (0, newest)
            let isClosed = row["state"] == SegmentRecord.State.closed.rawValue
            let bytes: Int64 = isClosed ? Self.clamped(row["bytes"]) : 0
            totals[camera] = (known.bytes.addingClamped(bytes), max(known.newest, newest))
        }
        return totals
    }

    /// SQLite's `sum` fails where 64 bits do not hold the result; `total` does not, and is exact up to 2^53.
    static func clamped(_ total: Double) -> Int64 { Int64(exactly: total.rounded()) ?? .max }

    /// The size of each complete file of a camera that the ledger knows, by its path. Left out is the first segment
    /// after a hole in the numbers until its file was read: the event of the gap may have found nobody on the bus, and
    /// that file tells of it. So is one that reaches into its successor: one of the two tells what is not so.
    func closedBytes(of camera: CameraID) throws(CodedError) -> [String: Int64] {
        try read { db in
            var sizes: [String: Int64] = [:]
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT path, bytes FROM segment AS here
                    WHERE camera = ? AND state = 'closed' AND bytes IS NOT NULL AND (
                        idx = 0 OR knowledge = ? OR first_frame = (
                            SELECT last_frame + 1 FROM segment WHERE session = here.session AND idx = here.idx - 1))
                        AND (knowledge = ? OR NOT EXISTS (
                            SELECT 1 FROM segment WHERE session = here.session AND idx = here.idx + 1
                                AND first_frame <= here.last_frame))
                    """,
                arguments: [
                    camera.rawValue, SegmentRecord.Knowledge.inspected.rawValue,
                    SegmentRecord.Knowledge.inspected.rawValue,
                ])
            while let row = try rows.next() { sizes[row["path"]] = row["bytes"] }
            return sizes
        }
    }
}
