package import Domain

/// Whether the media server gets the stream.
///
/// Owns the life of the connection to the media server: idle, connecting, publishing, failed. Invariants: the
/// connection is open exactly in `connecting` and `publishing`; while it is wanted it is never left idle, and it is
/// tried again soon: a player that the server holds on to gets no second chance to ask. `WorkerCore` tells it whether
/// the stream runs and somebody watches; recording never waits for it. Every connection has a number, and what an older
/// one still has to say is ignored.
package struct PublishMachine: Hashable, Sendable {
    package enum State: Hashable, Sendable {
        /// To `connecting` when wanted.
        case idle
        /// To `publishing` when the server has accepted the stream, to `failed` by error.
        case connecting
        /// To `failed` when the server goes.
        case publishing(since: MonotonicTime)
        /// To `connecting` at `retryAt`.
        case failed(CodedError, retryAt: MonotonicTime)
    }

    package enum Event: Hashable, Sendable {
        case wishChanged(Bool)
        case connected(run: Int)
        case failed(CodedError, run: Int)
        /// Somebody wants to watch, or the server has been seen again: the next attempt need not wait.
        case encouraged
        case woke
    }

    package enum Effect: Hashable, Sendable {
        case open(run: Int)
        case close
    }

    /// Between attempts to connect; a server that restarts has its streams back within 5 s.
    package static let backoff = Backoff(first: .milliseconds(100), most: .seconds(2))
    /// A connection that lasts this long was a good one: the next failure counts from one again.
    package static let stableAfter: Duration = .seconds(10)

    package private(set) var state = State.idle
    package private(set) var isWanted = false
    package private(set) var run = 0
    /// Why the last attempt failed, until one succeeds.
    package private(set) var lastError: CodedError?
    private var failures = 0

    package init() {}

    package var isOpen: Bool {
        switch state {
        case .connecting, .publishing: true
        case .idle, .failed: false
        }
    }

    package var nextDeadline: MonotonicTime? {
        guard case .failed(_, let retryAt) = state else { return nil }
        return retryAt
    }

    /// - Parameter chance: 0..<1, spreads the retries.
    package mutating func handle(_ event: Event, at now: MonotonicTime, chance: Double) -> [Effect] {
        switch event {
        case .wishChanged(let isWanted): wishChanged(isWanted)
        case .connected(let run): run == self.run ? connected(at: now) : []
        case .failed(let error, let run): run == self.run ? failed(error, at: now, chance: chance) : []
        case .encouraged: encouraged(at: now)
        case .woke: woke(at: now)
        }
    }

    private mutating func wishChanged(_ isWanted: Bool) -> [Effect] {
        self.isWanted = isWanted
        if isWanted { return state == .idle ? connect() : [] }
        let wasOpen = isOpen
        state = .idle
        failures = 0
        lastError = nil
        return wasOpen ? [.close] : []
    }

    private mutating func connect() -> [Effect] {
        run += 1
        state = .connecting
        return [.open(run: run)]
    }

    private mutating func connected(at now: MonotonicTime) -> [Effect] {
        if state == .connecting { state = .publishing(since: now) }
        lastError = nil
        return []
    }

    private mutating func failed(_ error: CodedError, at now: MonotonicTime, chance: Double) -> [Effect] {
        guard isOpen else { return [] }
        if case .publishing(let since) = state, now - since >= Self.stableAfter { failures = 0 }
        failures += 1
        lastError = error
        state = .failed(error, retryAt: now + Self.backoff.delay(attempt: failures, chance: chance))
        return [.close]
    }

    /// However often, attempts stay the shortest pause apart.
    private mutating func encouraged(at now: MonotonicTime) -> [Effect] {
        guard case .failed(let error, let retryAt) = state else { return [] }
        state = .failed(error, retryAt: min(retryAt, now + Self.backoff.first))
        return []
    }

    private mutating func woke(at now: MonotonicTime) -> [Effect] {
        guard case .failed(_, let retryAt) = state, retryAt <= now else { return [] }
        return connect()
    }
}
