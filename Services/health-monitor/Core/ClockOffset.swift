package import Domain

/// How far another host's clock lies from this one's, from the moments that its messages carry.
///
/// A message is always older than its arrival, by what the way took: the largest difference of a window comes nearest
/// to the truth, and a slow network only makes a clock look a little slow. Retained messages must not be given to it.
package struct ClockOffset: Hashable, Sendable {
    package static let window: Duration = .seconds(60)
    package static let samplesMin = 3
    /// A step of this host's own clock by more is a new beginning for all offsets.
    package static let ownStepMax: Duration = .milliseconds(500)

    private var best: Duration?
    private var bestBefore: Duration?
    private var windowEnd: MonotonicTime?
    private var count = 0

    package init() {}

    package mutating func take(sentAt: WallTime, at now: Now) {
        if let end = windowEnd, now.monotonic >= end {
            bestBefore = best
            best = nil
            windowEnd = nil
        }
        if windowEnd == nil { windowEnd = now.monotonic + Self.window }
        let difference = sentAt - now.wall
        best = max(best ?? difference, difference)
        count = min(count + 1, Self.samplesMin)
    }

    /// The other clock minus this one; nil while too little was heard.
    package var offset: Duration? {
        guard count >= Self.samplesMin else { return nil }
        return [best, bestBefore].compactMap { $0 }.max()
    }
}
