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
            let totals = try Row.fetchAll(
                db,
                sql: """
                    SELECT camera, coalesce(sum(bytes) FILTER (WHERE state = 'closed'), 0) AS bytes,
                        max(started_ms) AS newest_ms
                    FROM segment WHERE state IN ('open', 'closed') GROUP BY camera ORDER BY camera
                    """)
            return try totals.compactMap { total in
                guard let camera = CameraID(rawValue: total["camera"]) else { return nil }
                let oldest = try Row.fetchAll(
                    db,
                    sql: """
                        SELECT \(SegmentRecord.columns) FROM segment WHERE camera = ? AND state = 'closed'
                        ORDER BY started_ms, session, idx LIMIT ?
                        """, arguments: [camera.rawValue, limit]
                ).map(SegmentRecord.init)
                return CameraHoldings(
                    camera: camera, bytes: total["bytes"], newestAt: WallTime(milliseconds: total["newest_ms"]),
                    oldest: oldest)
            }
        }
    }
}
