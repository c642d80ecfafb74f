package import Domain

/// Decides when it pays to decode a stream as it comes, for the snapshots to come. Pure.
///
/// Following spares a snapshot the decoding of all pictures since the key frame, and costs a decoding of every picture
/// that others depend on. So it begins with the second snapshot within `window`, ends when none was asked for in it,
/// and is given up where it takes more than `shareMax` of the time: a stream too large for this machine. What it takes
/// to catch up with the group at first does not count, unless that takes too long.
package struct SnapshotFollowing: Hashable, Sendable {
    package static let window: Duration = .seconds(10)
    package static let shareMax = 0.5
    /// The share is that of a period as long as this.
    package static let judgedAfter: Duration = .seconds(2)
    /// By then it must have caught up.
    package static let catchUpMax: Duration = .seconds(10)

    private var askedLast: MonotonicTime?
    private var begunAt: MonotonicTime?
    /// Since when it is judged what it takes; nil until it has caught up.
    private var judgedSince: MonotonicTime?
    private var worked: Duration = .zero
    private var isGivenUp = false

    package init() {}

    /// Until when the stream is to be followed, as things stand; nil: not now.
    package func until(at now: MonotonicTime) -> MonotonicTime? {
        guard let askedLast, begunAt != nil, !isGivenUp, now < askedLast + Self.window else { return nil }
        return askedLast + Self.window
    }

    /// A snapshot is wanted.
    package mutating func asked(at now: MonotonicTime) {
        if let askedLast, now - askedLast < Self.window {
            if begunAt == nil { begunAt = now }
        } else {
            self = SnapshotFollowing()
        }
        askedLast = now
    }

    /// Decoding took `span`, ended at `now`, and left nothing of what has come.
    package mutating func worked(_ span: Duration, hasCaughtUp: Bool, at now: MonotonicTime) {
        guard let begunAt else { return }
        guard let since = judgedSince else {
            if hasCaughtUp { judgedSince = now }
            if now - begunAt >= Self.catchUpMax, !hasCaughtUp { isGivenUp = true }
            return
        }
        worked += span
        let past = now - since
        guard past >= Self.judgedAfter else { return }
        if worked.seconds > past.seconds * Self.shareMax { isGivenUp = true }
        (judgedSince, worked) = (now, .zero)
    }

    /// There is nothing to follow any more.
    package mutating func ended() { self = SnapshotFollowing() }
}
