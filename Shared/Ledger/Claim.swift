internal import BusContract
package import Domain

/// What became of an event's word. Anyone on the bus may publish one; the files are what counts.
package enum ClaimOutcome: Hashable, Sendable {
    /// Nothing speaks against it.
    case recorded
    /// It contradicted what is known, so its file was read, and what that says is recorded instead.
    case inspected
    /// The disk or the ledger contradicts it; nothing changed.
    case refused(String)
}

extension SegmentRecord {
    /// The place that `path` names; nil unless it is the place of this very segment below the storage folder.
    package var place: SegmentPath? {
        guard let place = SegmentPath(relativePath: path), place.camera == camera, place.session8 == session.short,
            place.index == index, place.startedAt == startedAt
        else { return nil }
        return place
    }

    /// Whether the numbers can be those of a segment. A ledger of an earlier version may hold others.
    var isPossible: Bool {
        guard index <= RecordingLimits.indexMax, firstFrame <= RecordingLimits.frameMax,
            UInt64(clamping: bytes ?? 0) <= RecordingLimits.bytesMax, (bytes ?? 0) >= 0,
            frames ?? 0 <= RecordingLimits.frameMax, duration ?? .zero <= .writtenMax, duration ?? .zero >= .zero
        else { return false }
        if let endedAt, endedAt < startedAt || endedAt - startedAt > .writtenMax { return false }
        guard let lastFrame else { return true }
        guard lastFrame <= RecordingLimits.frameMax, lastFrame >= firstFrame else { return false }
        return frames.map { $0 == lastFrame - firstFrame + 1 } ?? true
    }

    /// Whether two tellings that both saw the segment's end agree on it.
    func agrees(with other: SegmentRecord) -> Bool {
        guard camera == other.camera, node == other.node, startedAt == other.startedAt,
            firstFrame == other.firstFrame, lastFrame == other.lastFrame, frames == other.frames, bytes == other.bytes
        else { return false }
        let isGuess = reason == nil || reason == .recovered || other.reason == nil || other.reason == .recovered
        guard isGuess || reason == other.reason else { return false }
        // A file tells its length for itself, and rounds it for itself.
        guard knowledge == other.knowledge else { return true }
        return endedAt == other.endedAt && duration == other.duration
    }
}

extension GapRecord {
    /// What the clocks of an event and of a file may differ by.
    private static let roundingMax: Duration = .milliseconds(10)

    /// What the clocks of two hosts may differ by.
    private static let clockSkewMax: Duration = .seconds(60)

    /// Whether the times and numbers can be those of a gap.
    var isPossible: Bool {
        to >= from && duration <= .writtenMax && framesLost ?? 0 <= RecordingLimits.frameMax
    }

    /// Whether it is told before it can have been: nobody could ever forget it. A session keeps the clock that it began
    /// with, so after a step back of the host's own its files lie ahead too, and its gaps may.
    func liesAhead(of rows: [SegmentRecord], now: WallTime) -> Bool {
        guard let newest = rows.last else { return to > now + Self.clockSkewMax }
        let known = newest.endedAt ?? newest.startedAt + RotationSettings.intervalMax
        return from > max(now, known) + Self.clockSkewMax
    }

    /// The segments that a gap lies between, as `rows` (those of its session, by index) have it. In a burst several may
    /// begin in one millisecond; then it is where numbers are missing.
    func boundary(in rows: [SegmentRecord]) -> (last: SegmentRecord, next: SegmentRecord)? {
        let pairs = zip(rows, rows.dropFirst()).filter { last, next in
            to <= next.startedAt && (to > last.startedAt || last.startedAt == next.startedAt && to == last.startedAt)
        }
        let holes = pairs.filter { last, next in last.lastFrame.map { next.firstFrame > $0 &+ 1 } ?? true }
        // Of two gaps that end in it, the one that begins in it too is the later one.
        let hole = holes.last { last, _ in last.startedAt <= from } ?? holes.first
        return (hole ?? pairs.first).map { ($0, $1) }
    }

    /// Whether the session's own files leave no room for it: frames follow one another without a hole where it is said
    /// to lie, or it is said to lie in the midst of a file. A file that a gap ended may last longer on paper than until
    /// the frame after it: what a camera sends late comes faster than it lasts.
    func isContradicted(by rows: [SegmentRecord]) -> Bool {
        guard let first = rows.first, let newest = rows.last else { return false }
        if first.camera != camera { return true }
        if let (last, next) = boundary(in: rows) {
            guard let lastFrame = last.lastFrame, next.index == last.index + 1 else { return false }
            return next.firstFrame <= lastFrame &+ 1
        }
        guard let endedAt = newest.endedAt, newest.reason == .rotation || newest.reason == .stop else { return false }
        return to > newest.startedAt && to + Self.roundingMax < endedAt
    }
}
