package import Domain

/// What an export takes of a timeline that begins with a session.
package enum ClipRange {
    /// From `from`, else from the timeline's beginning, up to `to`, else to the end of whatever was recorded: a session
    /// has no greatest length, and several may follow one another.
    ///
    /// - Returns: nil for everything; an empty range where `to` lies before the timeline or before `from`.
    package static func onTimeline(
        startingAt start: WallTime, from: WallTime?, to: WallTime?
    ) -> Range<Duration>? {
        guard from != nil || to != nil else { return nil }
        let lower = from.map { max($0 - start, .zero) } ?? .zero
        return lower..<max((to ?? RecordingLimits.endOfTime) - start, lower)
    }
}
