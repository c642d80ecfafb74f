package import BusContract
package import Domain

/// Keeps a service that is not well from being asked all the time, and finds out in time that it is well again. Pure.
///
/// Invariants: while open nothing is tried before the wait has passed; half-open means one try under way; a wait grows
/// with every try that fails, up to a limit that depends on what failed.
package struct Breaker: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// In use. To open after `failuresMax` failures in a row.
        case closed(failures: Int, retryAt: MonotonicTime?)
        /// Left alone until then. To half-open with the next try.
        case open(attempt: Int, until: MonotonicTime)
        /// The one try that decides: to closed, or back to open.
        case halfOpen(attempt: Int)
    }

    package static let failuresMax = 3
    /// Between the failures that do not open it yet.
    package static let retryPause: Duration = .milliseconds(250)
    /// A refused connection costs next to nothing, and a restarted server is to be found within 2 s.
    package static let unreachable = Backoff(first: .milliseconds(500), most: .seconds(1))
    /// One that hangs may be swamped, and may be ended and started again at any moment.
    package static let hanging = Backoff(first: .seconds(1), most: .milliseconds(1500))
    /// One that denies may count the tries.
    package static let denying = Backoff(first: .seconds(2), most: .seconds(30))

    package private(set) var state: State = .closed(failures: 0, retryAt: nil)

    package init() {}

    package var published: MediaServerState.Breaker {
        switch state {
        case .closed: .closed
        case .open: .open
        case .halfOpen: .halfOpen
        }
    }

    package var isClosed: Bool { published == .closed }

    /// When the next try is allowed; nil: at any time.
    package var tryAt: MonotonicTime? {
        switch state {
        case .closed(_, let retryAt): retryAt
        case .open(_, let until): until
        case .halfOpen: nil
        }
    }

    package func mayTry(at now: MonotonicTime) -> Bool {
        if case .halfOpen = state { return false }
        return tryAt.map { $0 <= now } ?? true
    }

    /// A try begins; `mayTry` must hold.
    package mutating func begin(at now: MonotonicTime) {
        precondition(mayTry(at: now), "the breaker does not allow a try")
        if case .open(let attempt, _) = state { state = .halfOpen(attempt: attempt) }
    }

    package mutating func succeeded() { state = .closed(failures: 0, retryAt: nil) }

    /// - Parameter chance: 0..<1, spreads the waits.
    package mutating func failed(_ kind: MediaServerFailure.Kind, at now: MonotonicTime, chance: Double) {
        let attempt: Int
        switch state {
        case .closed(let failures, _) where failures + 1 < Self.failuresMax:
            state = .closed(failures: failures + 1, retryAt: now + Self.retryPause)
            return
        case .closed: attempt = 1
        case .open(let earlier, _), .halfOpen(let earlier): attempt = earlier + 1
        }
        let backoff =
            switch kind {
            case .unreachable: Self.unreachable
            case .silent, .unreadable: Self.hanging
            case .denied, .rejected: Self.denying
            }
        state = .open(attempt: attempt, until: now + backoff.delay(attempt: attempt, chance: chance))
    }
}
