package import Domain
internal import GRDB

/// What can be asked. Results are in the order of time.
extension LedgerStore {
    package func segments(_ query: LedgerQuery = LedgerQuery()) throws(CodedError) -> [SegmentRecord] {
        var filter = Filter()
        filter.add("camera = ?", query.camera?.rawValue)
        filter.add("session = ?", query.session?.rawValue)
        filter.add("coalesce(ended_ms, \(Int64.max)) > ?", query.from?.milliseconds)
        filter.add("started_ms < ?", query.to?.milliseconds)
        if let states = query.states {
            filter.add("state IN (\(states.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")))")
        }
        let sql = """
            SELECT \(SegmentRecord.columns) FROM segment \(filter.clause)
            ORDER BY started_ms, session, idx \(query.limit.map { "LIMIT \(max(0, $0))" } ?? "")
            """
        return try read { try Row.fetchAll($0, sql: sql, arguments: filter.arguments).map(SegmentRecord.init) }
    }

    /// `states` of the query does not apply.
    package func gaps(_ query: LedgerQuery = LedgerQuery()) throws(CodedError) -> [GapRecord] {
        var filter = Filter()
        filter.add("camera = ?", query.camera?.rawValue)
        filter.add("session = ?", query.session?.rawValue)
        filter.add("to_ms > ?", query.from?.milliseconds)
        filter.add("from_ms < ?", query.to?.milliseconds)
        let sql = """
            SELECT * FROM gap \(filter.clause) ORDER BY from_ms, session \
            \(query.limit.map { "LIMIT \(max(0, $0))" } ?? "")
            """
        return try read { try Row.fetchAll($0, sql: sql, arguments: filter.arguments).map(GapRecord.init) }
    }

    /// `states` of the query does not apply.
    package func sessions(_ query: LedgerQuery = LedgerQuery()) throws(CodedError) -> [SessionRecord] {
        var filter = Filter()
        filter.add("camera = ?", query.camera?.rawValue)
        filter.add("id = ?", query.session?.rawValue)
        filter.add("coalesce(ended_ms, \(Int64.max)) > ?", query.from?.milliseconds)
        filter.add("started_ms < ?", query.to?.milliseconds)
        let sql = """
            SELECT * FROM session \(filter.clause) ORDER BY started_ms, id \
            \(query.limit.map { "LIMIT \(max(0, $0))" } ?? "")
            """
        return try read { try Row.fetchAll($0, sql: sql, arguments: filter.arguments).map(SessionRecord.init) }
    }

    package func segment(_ session: SessionID, index: Int) throws(CodedError) -> SegmentRecord? {
        try read { try Self.segment(session, index, in: $0) }
    }

    /// Cameras that the ledger knows segments of, sorted.
    package func cameras() throws(CodedError) -> [CameraID] {
        try read { try String.fetchAll($0, sql: "SELECT DISTINCT camera FROM segment ORDER BY camera") }
            .compactMap(CameraID.init(rawValue:))
    }

    /// The paths of a camera's segments of one day.
    func paths(of camera: CameraID, date: String) throws(CodedError) -> [String] {
        try read {
            try String.fetchAll(
                $0, sql: "SELECT path FROM segment WHERE camera = ? AND path LIKE ?",
                arguments: [camera.rawValue, "\(camera)/\(date)/%"])
        }
    }

    func unreadableReason(_ path: String) throws(CodedError) -> String? {
        try read { try String.fetchOne($0, sql: "SELECT reason FROM unreadable WHERE path = ?", arguments: [path]) }
    }
    /// Sessions whose id begins with `prefix`, as a person types it; at most `limit`.
    package func sessions(idPrefix prefix: String, limit: Int = 10) throws(CodedError) -> [SessionRecord] {
        guard !prefix.isEmpty, prefix.utf8.allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "f") ~= $0 }) else {
            return []
        }
        return try read { db in
            try Row.fetchAll(
                db, sql: "SELECT * FROM session WHERE id >= ? AND id < ? ORDER BY started_ms, id LIMIT ?",
                arguments: [prefix, prefix + "g", limit]
            ).map(SessionRecord.init)
        }
    }

    /// Bytes of the closed segments whose files are there.
    package func totalBytes(of camera: CameraID? = nil) throws(CodedError) -> Int64 {
        var filter = Filter()
        filter.add("state = 'closed'")
        filter.add("camera = ?", camera?.rawValue)
        return try read {
            let total = try Double.fetchOne(
                $0, sql: "SELECT total(bytes) FROM segment \(filter.clause)", arguments: filter.arguments)
            return Self.clamped(total ?? 0)
        }
    }

    /// The earliest segment whose file is there.
    package func oldest(of camera: CameraID? = nil) throws(CodedError) -> SegmentRecord? {
        try segments(LedgerQuery(camera: camera, states: [.open, .closed], limit: 1)).first
    }

    /// The size at which each file was last found unreadable, by path.
    package func unreadable() throws(CodedError) -> [String: Int64] {
        try read { db in
            var sizes: [String: Int64] = [:]
            for row in try Row.fetchAll(db, sql: "SELECT path, bytes FROM unreadable") {
                sizes[row["path"]] = row["bytes"]
            }
            return sizes
        }
    }
}

/// The WHERE of a query, put together from what was asked.
private struct Filter {
    private var conditions: [String] = []
    private(set) var arguments = StatementArguments()

    var clause: String { conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ") }

    mutating func add(_ condition: String) { conditions.append(condition) }

    mutating func add(_ condition: String, _ value: (some DatabaseValueConvertible)?) {
        guard let value else { return }
        conditions.append(condition)
        arguments += [value]
    }
}
