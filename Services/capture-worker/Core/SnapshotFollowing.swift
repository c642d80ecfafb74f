package import Domain

/// Decides when it pays to decode a stream as it comes, for the snapshots to come. Pure.
///
/// Following spares a snapshot the decoding of all pictures since the key frame, and costs a decoding of every picture
/// that others depend on. So it begins with the second snapshot within `window`, ends when none was asked for in it,
/// and is given up where it takes more than `shareMax` of the time: a stream too large for this machine.
package struct SnapshotFollowing: Hashable, Sendable {
    package static let window: Duration = .seconds(10)
    package static let shareMax = 0.5
    /// From then on it is judged how much it takes.
    package static let judgedAfter: Duration = .seconds(2)

    private var askedLast: MonotonicTime?
    private var begunAt: MonotonicTime?
    private var isGivenUp = false
    private var worked: Duration = .zero

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

    /// Decoding took `span` and ended at `now`.
    package mutating func worked(_ span: Duration, at now: MonotonicTime) {
        guard let begunAt else { return }
        worked += span
        let past = now - begunAt
        if past >= Self.judgedAfter, worked.seconds > past.seconds * Self.shareMax { isGivenUp = true }
    }

    /// There is nothing to follow any more.
    package mutating func ended() { self = SnapshotFollowing() }
}
