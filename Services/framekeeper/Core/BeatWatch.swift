package import Domain

/// Which of a node's processes hang: those that have shown no sign of life for `silenceMax`.
///
/// A sign is a beat or a line of output. Invariants: a process that was just started is given longer for its first one;
/// a supervisor that was held itself accuses nobody of its own absence. Pure: the supervisor looks every `every` and
/// says what it knows.
package struct BeatWatch: Hashable, Sendable {
    package static let silenceMax: Duration = .seconds(10)
    package static let every: Duration = .seconds(2)
    /// A look that comes later than this after the one before was not made by a supervisor that ran all the time.
    package static let heldAfter: Duration = .seconds(5)

    package struct Signs: Hashable, Sendable {
        package var startedAt: MonotonicTime
        /// Of its present life; nil: none yet.
        package var lastAt: MonotonicTime?

        package init(startedAt: MonotonicTime, lastAt: MonotonicTime?) {
            self.startedAt = startedAt
            self.lastAt = lastAt
        }
    }

    private let startMax: Duration
    private var lookedAt: MonotonicTime?
    /// Since when the supervisor has run without a break.
    private var awakeSince: MonotonicTime?

    /// - Parameter startMax: what a process may take to its first sign.
    package init(startMax: Duration) { self.startMax = startMax }

    /// The names of those that hang.
    package mutating func look(_ signs: [String: Signs], at now: MonotonicTime) -> [String] {
        if lookedAt.map({ now - $0 > Self.heldAfter }) ?? true { awakeSince = now }
        lookedAt = now
        let awake = awakeSince ?? now
        return signs.filter { _, signs in
            guard let last = signs.lastAt else { return now - max(signs.startedAt, awake) >= startMax }
            return now - max(last, awake) >= Self.silenceMax
        }.keys.sorted()
    }
}

/// Whether the embedded broker hangs: it runs, and the supervisor's own connection to it is gone and stays away.
/// Its keep-alive notices a broker that is stopped within 10 s.
package struct BrokerWatch: Hashable, Sendable {
    /// What a connection may take to come back: longer than any broker that runs needs.
    package static let backWithin: Duration = .seconds(3)
    /// What a broker that was just started is given.
    package static let startWithin: Duration = .seconds(15)

    private var lostAt: MonotonicTime?
    private var isTakenOver = false
    /// Whether the broker ever took the connection.
    package private(set) var hasConnected = false

    package init() {}

    package mutating func connected() {
        hasConnected = true
        lostAt = nil
    }
    package mutating func lost(at now: MonotonicTime) { lostAt = lostAt ?? now }

    /// Another one took the name of this connection. It never comes back, and of the broker that says nothing: one that
    /// hands a name over is well.
    package mutating func takenOver() { isTakenOver = true }

    /// - Parameter startedAt: of the broker's present process; nil: it does not run.
    package func isHung(startedAt: MonotonicTime?, at now: MonotonicTime) -> Bool {
        guard !isTakenOver, let lostAt, let startedAt else { return false }
        return now - lostAt >= Self.backWithin && now - startedAt >= Self.startWithin
    }
}
