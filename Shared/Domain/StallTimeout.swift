/// How long a source may send no picture before it counts as stalled, learnt from its own pictures.
///
/// Owns the longest intervals of the last `window` to twice that. Invariants: until `knownAfter` intervals of this run
/// have been seen, a camera of one picture in `unknown` is believed; then a camera is given `factor` times the longest
/// interval that it has shown lately, never less than `least`, never more than `most`. Key frames play no part: a long
/// group of pictures consists of pictures like any other. A run of the source begins with a new value, so that a camera
/// that has become slower is learnt anew. Called by sources and, from what a worker publishes, by the health-monitor.
package struct StallTimeout: Hashable, Sendable {
    /// Above the hiccups of a busy network; a stall at 15 frames a second and more is found within 2 s.
    package static let least: Duration = .milliseconds(1800)
    /// A camera of less than a picture in 20 s is none.
    package static let most: Duration = .seconds(60)
    /// Before anything is known.
    package static let unknown: Duration = .seconds(10)
    package static let factor = 3
    package static let knownAfter = 8
    package static let window: Duration = .seconds(300)

    private let initial: Duration
    private var count = 0
    private var longest: Duration = .zero
    /// Of the window before.
    private var longestBefore: Duration = .zero
    private var windowEnd: MonotonicTime?

    /// - Parameter initial: what is allowed until the source is known; up to `most`.
    package init(initial: Duration = unknown) { self.initial = min(initial, Self.most) }

    package var isKnown: Bool { count >= Self.knownAfter }

    /// What is allowed now.
    package var allowed: Duration {
        guard isKnown else { return initial }
        return min(max(max(longest, longestBefore) * Self.factor, Self.least), Self.most)
    }

    /// A picture came `interval` after the one before; what is longer than allowed was a stall and teaches nothing.
    package mutating func pictureCame(after interval: Duration, at now: MonotonicTime) {
        guard interval > .zero, interval <= allowed else { return }
        if let end = windowEnd, now >= end {
            longestBefore = longest
            longest = .zero
            windowEnd = nil
        }
        if windowEnd == nil { windowEnd = now + Self.window }
        longest = max(longest, interval)
        count = min(count + 1, Self.knownAfter)
    }
}
