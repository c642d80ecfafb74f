package import BusContract
package import Domain

/// What the ledger knows of one segment, and how two tellings of it become one.
///
/// A segment is told of more than once: by the `opened` and `closed` events of its worker, each perhaps twice, late or
/// out of order, and by the inspection of its file. `merged(with:)` is a join: it is commutative, associative and
/// idempotent for tellings that agree on the facts, so the row is the same in whatever order they arrive. What is
/// observed of the file afterwards (`missing`, `deleted`) is no telling and is set by `LedgerStore` alone.
///
/// All times and durations are whole milliseconds, since that is what events carry.
package struct SegmentRecord: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, Codable, CaseIterable {
        case open, closed
        /// A scan did not find the file.
        case missing
        /// Retention or a person deleted the file; the row stays as a tombstone, so that a late event cannot revive it.
        case deleted
    }

    /// Where the facts come from, the better the greater.
    package enum Knowledge: Int, Hashable, Sendable, Comparable, CaseIterable {
        case opened
        case closed
        /// Read from the file itself.
        case inspected
        package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    package var session: SessionID
    package var camera: CameraID
    package var node: NodeID
    /// Counts from 0 within the session.
    package var index: Int
    /// Relative to the storage folder; the partial name while the segment is open.
    package var path: String
    package var startedAt: WallTime
    /// When the session began, where the file's manifest told it.
    package var sessionStartedAt: WallTime?
    /// The place of the first frame on the session's timeline, where the file's manifest told it.
    package var sessionOffset: Duration?
    package var endedAt: WallTime?
    package var duration: Duration?
    /// Video access units in the file.
    package var frames: UInt64?
    package var firstFrame: UInt64
    package var lastFrame: UInt64?
    package var bytes: Int64?
    /// Cut minus wish.
    package var offsetSeconds: Double?
    /// Nil where only the file is known: it does not say why it ended.
    package var reason: SegmentEnd?
    package var state: State
    package var knowledge: Knowledge

    package init(
        session: SessionID, camera: CameraID, node: NodeID, index: Int, path: String, startedAt: WallTime,
        firstFrame: UInt64, state: State, knowledge: Knowledge
    ) {
        self.session = session
        self.camera = camera
        self.node = node
        self.index = index
        self.path = path
        self.startedAt = startedAt.inMilliseconds
        self.firstFrame = firstFrame
        self.state = state
        self.knowledge = knowledge
    }

    /// As the worker told it.
    package init(_ event: SegmentEvent, camera: CameraID) {
        let isClosed = event.event == .closed
        self.init(
            session: event.session, camera: camera, node: event.node, index: event.index, path: event.file,
            startedAt: event.startedAt, firstFrame: event.firstFrame, state: isClosed ? .closed : .open,
            knowledge: isClosed ? .closed : .opened)
        offsetSeconds = event.offsetSeconds
        guard isClosed else { return }
        endedAt = event.endedAt?.inMilliseconds
        duration = event.durationSeconds.flatMap { Duration(wholeSeconds: $0) }?.inMilliseconds
        frames = event.frames
        lastFrame = event.lastFrame
        bytes = event.bytes.map { Int64(clamping: $0) }
        reason = event.reason
    }

    /// As its complete file tells it. `path` is relative to the storage folder.
    package init(_ file: InspectedFile, path: String, isRecovered: Bool) {
        let manifest = file.manifest
        self.init(
            session: manifest.session, camera: manifest.camera, node: manifest.node, index: manifest.index,
            path: path, startedAt: manifest.startedAt, firstFrame: manifest.firstFrame, state: .closed,
            knowledge: .inspected)
        sessionStartedAt = manifest.sessionStartedAt.inMilliseconds
        sessionOffset = Duration.nanoseconds(manifest.sessionOffsetNanoseconds).inMilliseconds
        offsetSeconds = manifest.offsetSeconds
        duration = file.duration.inMilliseconds
        endedAt = startedAt + file.duration.inMilliseconds
        frames = file.frames
        lastFrame = file.frames > 0 ? manifest.firstFrame + file.frames - 1 : nil
        bytes = file.bytes
        reason = isRecovered ? .recovered : nil
    }

    /// The two tellings as one: the better one's facts, and the other's where the better is silent.
    /// Both must have the same session and index.
    package func merged(with other: SegmentRecord) -> SegmentRecord {
        let (better, second) = isBetter(than: other) ? (self, other) : (other, self)
        var best = better
        best.sessionStartedAt = best.sessionStartedAt ?? second.sessionStartedAt
        best.sessionOffset = best.sessionOffset ?? second.sessionOffset
        best.endedAt = best.endedAt ?? second.endedAt
        best.duration = best.duration ?? second.duration
        best.frames = best.frames ?? second.frames
        best.lastFrame = best.lastFrame ?? second.lastFrame
        best.bytes = best.bytes ?? second.bytes
        best.offsetSeconds = best.offsetSeconds ?? second.offsetSeconds
        best.reason = Self.best(best.reason, second.reason)
        return best
    }

    /// A worker's own word on why a segment ended is better than the scan's guess `recovered`.
    private static func best(_ left: SegmentEnd?, _ right: SegmentEnd?) -> SegmentEnd? {
        guard let left, let right else { return left ?? right }
        let order: [SegmentEnd] = [.stop, .rotation, .error, .shutdown, .recovered]
        return order.first { $0 == left || $0 == right }
    }

    /// By knowledge; among equals by an arbitrary but fixed order, so that no arrival order can matter.
    private func isBetter(than other: SegmentRecord) -> Bool {
        if knowledge != other.knowledge { return knowledge > other.knowledge }
        return (frames ?? 0, bytes ?? 0, path) >= (other.frames ?? 0, other.bytes ?? 0, other.path)
    }
}

extension WallTime {
    /// Cut to the millisecond, as events and files carry it.
    var inMilliseconds: WallTime { WallTime(milliseconds: milliseconds) }
}

extension Duration {
    /// Rounded to the nearest millisecond.
    var inMilliseconds: Duration { .milliseconds(wholeMilliseconds) }
}
