internal import Domain
internal import GRDB

/// What the repair takes out of the ledger. Each call is one transaction.
extension LedgerStore {
    /// Removes rows that are no segments', and with them the sessions of which nothing is left.
    func drop(_ segments: [(session: SessionID, index: Int)], gaps: [GapRecord] = []) throws(CodedError) {
        guard !segments.isEmpty || !gaps.isEmpty else { return }
        try write { db in
            for segment in segments {
                try db.execute(
                    sql: "DELETE FROM segment WHERE session = ? AND idx = ?",
                    arguments: [segment.session.rawValue, segment.index])
            }
            for gap in gaps {
                try db.execute(
                    sql: "DELETE FROM gap WHERE session = ? AND from_ms = ?",
                    arguments: [gap.session.rawValue, gap.from.milliseconds])
            }
            for session in Set(segments.map(\.session)) {
                try db.execute(
                    sql: "DELETE FROM session WHERE id = ? AND id NOT IN (SELECT session FROM segment)",
                    arguments: [session.rawValue])
            }
        }
    }
}
