package import Domain

/// Counts beginnings: of a process, of a host, of a source. One that begins again and again is not well, however it
/// looks in between.
package struct RebootLoop: Hashable, Sendable {
    package static let window: Duration = .seconds(600)
    /// As many beginnings within the window are a loop.
    package static let loopStarts = 3
    package static let hour: Duration = .seconds(3600)
    /// More beginnings of an hour are not told apart.
    package static let startsMax = 256

    private var starts: [MonotonicTime] = []

    package init() {}

    package mutating func began(at now: MonotonicTime) {
        forget(before: now - Self.hour)
        starts.append(now)
        if starts.count > Self.startsMax { starts.removeFirst() }
    }

    package mutating func forget(before time: MonotonicTime) { starts.removeAll { $0 < time } }

    package func count(within span: Duration, at now: MonotonicTime) -> Int { starts.count { now - $0 < span } }
    package func isLoop(at now: MonotonicTime) -> Bool { count(within: Self.window, at: now) >= Self.loopStarts }

    /// When one of the counts falls next.
    package func wakeAt(at now: MonotonicTime) -> MonotonicTime? {
        let falls = starts.flatMap { [$0 + Self.window, $0 + Self.hour] }
        return falls.filter { $0 > now }.min()
    }
}
