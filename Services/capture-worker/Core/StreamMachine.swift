package import Domain

/// Whether the source runs.
///
/// Owns the life of the source: idle, starting, active, closing, failed. Invariants: the source is open exactly in
/// `starting`, `active` and `closing`; a wanted stream is never left idle; a stream that is not wanted ends by itself
/// when its close-after has passed. `WorkerCore` tells it what the leases want. Every run of the source has a number,
/// and what an older run still has to say is ignored.
package struct StreamMachine: Hashable, Sendable {
    /// What all leases together want of the stream.
    package struct Wish: Hashable, Sendable {
        package var isWanted: Bool
        /// Whether a source that fails is started again.
        package var restarts: Bool
        package var startTimeout: Duration
        /// For a stream that is no longer wanted: when its close-after ends.
        package var closesAt: MonotonicTime?

        package init(
            isWanted: Bool, restarts: Bool = true, startTimeout: Duration = .seconds(10),
            closesAt: MonotonicTime? = nil
        ) {
            self.isWanted = isWanted
            self.restarts = restarts
            self.startTimeout = startTimeout
            self.closesAt = closesAt
        }
    }

    package enum State: Hashable, Sendable {
        /// To `starting` when wanted.
        case idle
        /// To `active` with the first key frame; to `failed` by error or time-out; to `idle` when nobody waits any
        /// more.
        case starting(since: MonotonicTime, deadline: MonotonicTime)
        /// To `closing` when the last lease ends, to `failed` by error, to `idle` when the source has ended for good.
        case active(since: MonotonicTime)
        /// Still streaming. Back to `active` when wanted again, to `idle` at `at`.
        case closing(since: MonotonicTime, at: MonotonicTime)
        /// To `starting` at `retryAt`, or with the next demand if there is none; to `idle` when not wanted.
        case failed(CodedError, retryAt: MonotonicTime?)
    }

    package enum Event: Hashable, Sendable {
        case wishChanged(Wish)
        /// Somebody asks for the stream, be the wish another for it or not.
        case demanded
        /// The first key frame of a run.
        case keyFrameCame(run: Int)
        case sourceFailed(CodedError, run: Int)
        /// The source has no more to give and would give nothing if opened again.
        case sourceEnded(run: Int)
        case restartDemanded
        case woke
    }

    package enum Effect: Hashable, Sendable {
        case open(run: Int)
        case close
        /// The stream became active; how long that took.
        case activated(after: Duration)
        /// Frames stop here. The cause is for the gap.
        case lost(GapCause)
    }

    /// Between attempts to open a source.
    package static let backoff = Backoff(first: .milliseconds(250), most: .seconds(30))
    /// What a camera with rare key frames is given for its first one at most, whatever the wish says.
    package static let patienceMax: Duration = .seconds(30)
    /// A run that lasts this long was a good one: the next failure counts from one again.
    package static let stableAfter: Duration = .seconds(10)

    package private(set) var state = State.idle
    package private(set) var wish = Wish(isWanted: false)
    package private(set) var run = 0
    package private(set) var restarts = 0
    private var failures = 0
    /// How long this camera has shown that it needs to its first key frame: twice what it took, or twice what was too
    /// little.
    private var patience: Duration = .zero

    package init() {}

    /// When `woke` is due, if ever.
    package var nextDeadline: MonotonicTime? {
        switch state {
        case .idle, .active: nil
        case .starting(_, let deadline): deadline
        case .closing(_, let at): at
        case .failed(_, let retryAt): retryAt
        }
    }

    /// - Parameter chance: 0..<1, spreads the retries.
    package mutating func handle(_ event: Event, at now: MonotonicTime, chance: Double) -> [Effect] {
        switch event {
        case .wishChanged(let wish): wishChanged(wish, at: now)
        case .demanded: demanded(at: now)
        case .keyFrameCame(let run): run == self.run ? keyFrameCame(at: now) : []
        case .sourceFailed(let error, let run):
            run == self.run ? sourceFailed(error, cause: error.gapCause, at: now, chance: chance) : []
        case .sourceEnded(let run): run == self.run ? sourceEnded() : []
        case .restartDemanded: restartDemanded(at: now)
        case .woke: woke(at: now, chance: chance)
        }
    }

    private mutating func wishChanged(_ wish: Wish, at now: MonotonicTime) -> [Effect] {
        self.wish = wish
        switch state {
        case .idle: return wish.isWanted ? start(at: now) : []
        case .starting(let since, let deadline):
            guard wish.isWanted else { return stop() }
            // Whoever joins has all of his time, and nobody's ends early because another has left.
            state = .starting(since: since, deadline: max(deadline, since + startTimeout))
            return []
        case .active(let since), .closing(let since, _):
            if wish.isWanted {
                state = .active(since: since)
                return []
            }
            guard let closesAt = wish.closesAt, closesAt > now else { return stop() }
            state = .closing(since: since, at: closesAt)
            return []
        case .failed(_, let retryAt):
            if !wish.isWanted { return stop() }
            // That somebody leaves, who would not have it restarted either, restarts nothing.
            return retryAt == nil && wish.restarts ? start(at: now) : []
        }
    }

    private mutating func demanded(at now: MonotonicTime) -> [Effect] {
        guard case .failed(_, nil) = state else { return [] }
        return start(at: now)
    }

    private mutating func start(at now: MonotonicTime) -> [Effect] {
        run += 1
        state = .starting(since: now, deadline: now + startTimeout)
        return [.open(run: run)]
    }

    private var startTimeout: Duration { max(wish.startTimeout, min(patience, Self.patienceMax)) }

    private mutating func stop() -> [Effect] {
        let wasOpen = isOpen
        state = .idle
        failures = 0
        return wasOpen ? [.close] : []
    }

    /// Whether frames come.
    package var isDelivering: Bool {
        switch state {
        case .active, .closing: true
        case .idle, .starting, .failed: false
        }
    }

    private var isOpen: Bool {
        switch state {
        case .starting, .active, .closing: true
        case .idle, .failed: false
        }
    }

    private mutating func keyFrameCame(at now: MonotonicTime) -> [Effect] {
        guard case .starting(let since, _) = state else { return [] }
        state = .active(since: now)
        patience = (now - since) * 2
        return [.activated(after: now - since)]
    }

    private mutating func sourceFailed(
        _ error: CodedError, cause: GapCause, at now: MonotonicTime, chance: Double
    ) -> [Effect] {
        guard isOpen else { return [] }
        if case .active(let since) = state, now - since >= Self.stableAfter { failures = 0 }
        guard wish.isWanted else { return stop() + [.lost(cause)] }
        failures += 1
        let delay = Self.backoff.delay(attempt: failures, chance: chance)
        state = .failed(error, retryAt: wish.restarts ? now + delay : nil)
        return [.close, .lost(cause)]
    }

    private mutating func sourceEnded() -> [Effect] {
        guard isOpen else { return [] }
        return stop()
    }

    private mutating func restartDemanded(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .idle: return []
        case .starting, .active, .closing:
            restarts += 1
            guard wish.isWanted else { return stop() }
            return [.close, .lost(.sourceLost)] + start(at: now)
        case .failed: return start(at: now)
        }
    }

    private mutating func woke(at now: MonotonicTime, chance: Double) -> [Effect] {
        switch state {
        case .idle, .active: return []
        case .starting(let since, let deadline):
            guard deadline <= now else { return [] }
            let error = CodedError(.timeout, "no key frame within \((deadline - since).written)")
            patience = (deadline - since) * 2
            return sourceFailed(error, cause: .sourceLost, at: now, chance: chance)
        case .closing(_, let at): return at <= now ? stop() : []
        case .failed(_, let retryAt):
            guard let retryAt, retryAt <= now else { return [] }
            restarts += 1
            return start(at: now)
        }
    }
}

extension CodedError {
    /// What a source's failure is called in the ledger: one that went silent has stalled, any other is lost.
    var gapCause: GapCause { code == .timeout ? .sourceStalled : .sourceLost }
}
