/// Where a segment lies on disk, and what it says of itself.

/// The place of a segment below the storage folder:
/// `<camera>/<YYYY-MM-DD>/<HH-MM-SS.mmm>Z_<session8>_<index>.mp4`, `.partial.mp4` while it is open.
package struct SegmentPath: Hashable, Sendable, CustomStringConvertible {
    package var camera: CameraID
    package var startedAt: WallTime
    /// The first eight digits of the session.
    package var session8: String
    package var index: Int
    package var isPartial: Bool

    package init(camera: CameraID, startedAt: WallTime, session: SessionID, index: Int, isPartial: Bool) {
        self.camera = camera
        self.startedAt = WallTime(milliseconds: startedAt.milliseconds)
        session8 = session.short
        self.index = index
        self.isPartial = isPartial
    }

    package static let partialSuffix = ".partial.mp4"
    package static let suffix = ".mp4"

    package var folder: String { "\(camera)/\(startedAt.dateText)" }

    /// Relative to the storage folder.
    package var relativePath: String {
        let end = isPartial ? Self.partialSuffix : Self.suffix
        return "\(folder)/\(startedAt.timeText(separator: "-"))Z_\(session8)_\(index)\(end)"
    }

    package var description: String { relativePath }

    /// The same segment when it is complete.
    package var completed: SegmentPath {
        var copy = self
        copy.isPartial = false
        return copy
    }

    /// Nil for any path that this type would not print.
    package init?(relativePath: String) {
        let levels = relativePath.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.count == 3, let camera = CameraID(rawValue: String(levels[0])) else { return nil }
        let name = levels[2]
        let isPartial = name.hasSuffix(Self.partialSuffix)
        guard isPartial || name.hasSuffix(Self.suffix) else { return nil }
        let stem = name.dropLast(isPartial ? Self.partialSuffix.count : Self.suffix.count)
        let fields = stem.split(separator: "_", omittingEmptySubsequences: false)
        guard fields.count == 3, fields[0].hasSuffix("Z"), fields[1].utf8.count == 8,
            fields[1].utf8.allSatisfy(\.isLowerHex), let index = Int(fields[2]),
            (0...RecordingLimits.indexMax).contains(index)
        else { return nil }
        let clock = fields[0].dropLast().split(separator: "-").joined(separator: ":")
        guard let startedAt = WallTime(rfc3339: "\(levels[1])T\(clock)Z") else { return nil }
        self.camera = camera
        self.startedAt = startedAt
        session8 = String(fields[1])
        self.index = index
        self.isPartial = isPartial
        guard self.relativePath == relativePath else { return nil }
    }
}

/// What a segment file says of itself in its `comment` tag, so that the ledger can be rebuilt from the files alone.
package struct SegmentManifest: Hashable, Sendable, Codable {
    package var session: SessionID
    package var camera: CameraID
    package var node: NodeID
    /// Counts from 0 within the session.
    package var index: Int
    /// The sequence number of the file's first video access unit; the others follow without a hole.
    package var firstFrame: UInt64
    package var startedAt: WallTime
    /// When the session began; the same in all its segments.
    package var sessionStartedAt: WallTime
    /// The place of the first frame on the session's own timeline, in nanoseconds since its start.
    package var sessionOffsetNanoseconds: Int64
    /// Cut minus wish, in seconds; nil for the first segment of a session and after a gap.
    package var offsetSeconds: Double?
    /// The gap between the segment before and this one.
    package var gap: Gap?

    package struct Gap: Hashable, Sendable, Codable {
        package var from: WallTime
        package var to: WallTime
        package var cause: GapCause
        /// Frames that were received and not kept; nil where nobody can know.
        package var framesLost: UInt64?

        package init(from: WallTime, to: WallTime, cause: GapCause, framesLost: UInt64?) {
            self.from = from
            self.to = to
            self.cause = cause
            self.framesLost = framesLost
        }

        enum CodingKeys: String, CodingKey {
            case from, to, cause
            case framesLost = "frames_lost"
        }
    }

    package init(
        session: SessionID, camera: CameraID, node: NodeID, index: Int, firstFrame: UInt64, startedAt: WallTime,
        sessionStartedAt: WallTime, sessionOffsetNanoseconds: Int64, offsetSeconds: Double?, gap: Gap?
    ) {
        self.session = session
        self.camera = camera
        self.node = node
        self.index = index
        self.firstFrame = firstFrame
        self.startedAt = startedAt
        self.sessionStartedAt = sessionStartedAt
        self.sessionOffsetNanoseconds = sessionOffsetNanoseconds
        self.offsetSeconds = offsetSeconds
        self.gap = gap
    }

    package var path: SegmentPath {
        SegmentPath(camera: camera, startedAt: startedAt, session: session, index: index, isPartial: true)
    }

    /// Whether every number lies within what this project can have written.
    package var isPossible: Bool {
        let moments = [startedAt, sessionStartedAt] + (gap.map { [$0.from, $0.to] } ?? [])
        return (0...RecordingLimits.indexMax).contains(index) && firstFrame <= RecordingLimits.frameMax
            && (0...RecordingLimits.sessionMax.nanoseconds).contains(sessionOffsetNanoseconds)
            && RecordingLimits.isSpan(offsetSeconds.map(abs)) && moments.allSatisfy { $0 < RecordingLimits.endOfTime }
            && gap.map { $0.to >= $0.from && $0.framesLost ?? 0 <= RecordingLimits.frameMax } ?? true
    }

    enum CodingKeys: String, CodingKey {
        case session, camera, node, index, gap
        case firstFrame = "first_frame"
        case startedAt = "started_at"
        case sessionStartedAt = "session_started_at"
        case sessionOffsetNanoseconds = "session_offset_ns"
        case offsetSeconds = "offset_seconds"
    }
}
