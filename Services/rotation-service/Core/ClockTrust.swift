package import Domain

/// Whether the wall clock may be believed when files are to be deleted for their age. A clock that jumps to 2040, or
/// a machine that boots without one, must not cost a recording.
///
/// The clock is not believed while it is earlier than the newest segment, and for `confirmation` after it jumped by
/// more than `jumpMax`, or after the service's start if the newest segment is older than that: then either nothing was
/// recorded for a day, which can wait ten minutes, or the clock is wrong. Size and free space need no clock.
package struct ClockTrust: Hashable, Sendable {
    package static let jumpMax: Duration = .seconds(86_400)
    package static let confirmation: Duration = .seconds(600)
    /// Segments may begin a little ahead of this machine's clock after a small step back.
    package static let aheadMax: Duration = .seconds(60)

    private var last: Now?
    private var doubtedSince: MonotonicTime?

    package init() {}

    /// Call it at least once a minute.
    package mutating func isTrusted(newestAt: WallTime?, at now: Now) -> Bool {
        if let last {
            let step = now.wall - last.wall(at: now.monotonic)
            if step > Self.jumpMax || step < .zero - Self.jumpMax { doubtedSince = now.monotonic }
        } else if let newestAt, now.wall - newestAt > Self.jumpMax {
            doubtedSince = now.monotonic
        }
        last = now
        if let since = doubtedSince, now.monotonic - since >= Self.confirmation { doubtedSince = nil }
        guard doubtedSince == nil else { return false }
        return newestAt.map { now.wall + Self.aheadMax >= $0 } ?? true
    }
}
