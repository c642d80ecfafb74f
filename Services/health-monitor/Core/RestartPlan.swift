package import BusContract
package import Domain

/// When the health-monitor may restart one camera's source: a wait that grows with every restart that did not help, and
/// a circuit breaker that ends the attempts.
///
/// Invariants: no two restarts lie closer together than `judgeAfter` and the wait; an open breaker lets nothing
/// through until its time has come, and then a single probe; a camera that has needed nothing for `stableAfter` counts
/// from the beginning. The worker tries by itself all the while: what the breaker stops is only interference.
package struct RestartPlan: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// Restarts are allowed. To `open` after `attemptsMax` that did not help.
        case closed(attempts: Int)
        /// Left alone. To `halfOpen` with the probe.
        case open(rounds: Int, until: MonotonicTime)
        /// One restart decides. To `closed` if it helped, else to `open`.
        case halfOpen(rounds: Int)
    }

    package static let attemptsMax = 3
    /// What a restart is given to show that it has helped.
    package static let judgeAfter: Duration = .seconds(30)
    package static let stableAfter: Duration = .seconds(60)
    /// How long an open breaker stays open.
    package static let openBackoff = Backoff(first: .seconds(300), most: .seconds(3600), jitter: 0.1)

    package private(set) var state = State.closed(attempts: 0)
    /// No restart before this.
    package private(set) var allowedAt: MonotonicTime?
    private let backoff: Backoff
    private var needlessSince: MonotonicTime?

    package init(backoff: Backoff) { self.backoff = backoff }

    package var breaker: MediaServerState.Breaker {
        switch state {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    /// The camera needs a restart. Returns whether it is to be done now; then it counts as done.
    package mutating func needed(at now: MonotonicTime, chance: Double) -> Bool {
        needlessSince = nil
        if let allowedAt, now < allowedAt { return false }
        switch state {
        case .closed(let attempts):
            guard attempts < Self.attemptsMax else {
                open(rounds: 1, at: now, chance: chance)
                return false
            }
            state = .closed(attempts: attempts + 1)
            allowedAt = now + max(Self.judgeAfter, backoff.delay(attempt: attempts + 1, chance: chance))
            return true
        case .open(let rounds, _):
            state = .halfOpen(rounds: rounds)
            allowedAt = now + Self.judgeAfter
            return true
        case .halfOpen(let rounds):
            open(rounds: rounds + 1, at: now, chance: chance)
            return false
        }
    }

    private mutating func open(rounds: Int, at now: MonotonicTime, chance: Double) {
        let until = now + Self.openBackoff.delay(attempt: rounds, chance: chance)
        state = .open(rounds: rounds, until: until)
        allowedAt = until
    }

    /// The camera needs none.
    package mutating func notNeeded(at now: MonotonicTime) {
        guard state != .closed(attempts: 0) else { return }
        let since = needlessSince ?? now
        needlessSince = since
        guard now - since >= Self.stableAfter else { return }
        state = .closed(attempts: 0)
        allowedAt = nil
    }

    /// The camera is in trouble that no restart ends, or has not shown yet that it needs none.
    package mutating func troubled() { needlessSince = nil }

    /// Takes over what the leader tells of this camera, each time that it does, so that a takeover is no new beginning.
    /// Called while another one leads.
    package mutating func adopt(_ health: CameraHealth, at now: Now) {
        needlessSince = nil
        let until = health.backoffUntil.map { min(now.monotonic(at: $0), now.monotonic + Self.openBackoff.most) }
        switch health.breaker {
        case .closed:
            if let until, until > now.monotonic {
                state = .closed(attempts: max(attempts, 1))
                allowedAt = until
            } else if health.status == .ok || rounds != nil {
                state = .closed(attempts: 0)
                allowedAt = nil
            }
        case .open, .halfOpen:
            let until = until ?? ownUntil ?? now.monotonic + Self.openBackoff.first
            state = .open(rounds: rounds ?? 1, until: until)
            allowedAt = until
        }
    }

    private var attempts: Int {
        switch state {
        case .closed(let attempts): attempts
        case .open, .halfOpen: 0
        }
    }

    /// Of a breaker that is not closed.
    private var rounds: Int? {
        switch state {
        case .closed: nil
        case .open(let rounds, _), .halfOpen(let rounds): rounds
        }
    }

    private var ownUntil: MonotonicTime? {
        switch state {
        case .open(_, let until): until
        case .closed, .halfOpen: nil
        }
    }

    /// When something changes by time alone.
    package func wakeAt(isNeeded: Bool) -> MonotonicTime? {
        isNeeded ? allowedAt : needlessSince.map { $0 + Self.stableAfter }
    }
}
