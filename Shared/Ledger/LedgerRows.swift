internal import Domain
internal import GRDB

/// Rows to records and back. A row that names nothing valid is damage, since the store wrote it checked.
extension SegmentRecord {
    static let columns = """
        session, idx, camera, node, path, started_ms, session_started_ms, session_offset_ms, ended_ms, duration_ms, \
        frames, first_frame, last_frame, bytes, offset_seconds, reason, state, knowledge
        """

    init(_ row: Row) throws {
        guard let session = SessionID(rawValue: row["session"]), let camera = CameraID(rawValue: row["camera"]),
            let node = NodeID(rawValue: row["node"]), let state = State(rawValue: row["state"]),
            let knowledge = Knowledge(rawValue: row["knowledge"]), let startedAt = try row.time("started_ms")
        else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a segment's row is damaged") }
        self.init(
            session: session, camera: camera, node: node, index: row["idx"], path: row["path"],
            startedAt: startedAt, firstFrame: UInt64(row.count("first_frame") ?? 0), state: state,
            knowledge: knowledge)
        sessionStartedAt = try row.time("session_started_ms")
        sessionOffset = row.span("session_offset_ms")
        endedAt = try row.time("ended_ms")
        duration = row.span("duration_ms")
        frames = row.count("frames")
        lastFrame = row.count("last_frame")
        bytes = row["bytes"]
        offsetSeconds = row["offset_seconds"]
        reason = (row["reason"] as String?).flatMap(SegmentEnd.init(rawValue:))
    }

    /// In the order of `columns`.
    var arguments: StatementArguments {
        [
            session.rawValue, index, camera.rawValue, node.rawValue, path, startedAt.milliseconds,
            sessionStartedAt?.milliseconds, sessionOffset?.wholeMilliseconds, endedAt?.milliseconds,
            duration?.wholeMilliseconds, frames.map(Int64.init(clamping:)), Int64(clamping: firstFrame),
            lastFrame.map(Int64.init(clamping:)), bytes, offsetSeconds, reason?.rawValue, state.rawValue,
            knowledge.rawValue,
        ]
    }
}

extension GapRecord {
    init(_ row: Row) throws {
        guard let session = SessionID(rawValue: row["session"]), let camera = CameraID(rawValue: row["camera"]),
            let cause = GapCause(rawValue: row["cause"]), let from = try row.time("from_ms"),
            let to = try row.time("to_ms")
        else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a gap's row is damaged") }
        self.init(
            session: session, camera: camera, from: from, to: to, cause: cause, framesLost: row.count("frames_lost"))
    }
}

extension SessionRecord {
    init(_ row: Row) throws {
        guard let id = SessionID(rawValue: row["id"]), let camera = CameraID(rawValue: row["camera"]),
            let node = NodeID(rawValue: row["node"]), let startedAt = try row.time("started_ms")
        else { throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a session's row is damaged") }
        self.init(
            id: id, camera: camera, node: node, startedAt: startedAt, endedAt: try row.time("ended_ms"),
            endReason: (row["end_reason"] as String?).flatMap(SegmentEnd.init(rawValue:)))
    }
}

extension Row {
    /// - Throws: damage for a moment that `WallTime` does not hold.
    func time(_ column: String) throws -> WallTime? {
        guard let milliseconds = self[column] as Int64? else { return nil }
        guard let time = WallTime(exactlyMilliseconds: milliseconds) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "\(column) is no moment")
        }
        return time
    }
    fileprivate func span(_ column: String) -> Duration? { (self[column] as Int64?).map { .milliseconds($0) } }
    fileprivate func count(_ column: String) -> UInt64? { (self[column] as Int64?).map { UInt64(clamping: $0) } }
}
