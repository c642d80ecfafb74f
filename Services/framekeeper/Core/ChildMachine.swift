package import Domain

/// Decides when one child process of a node is started, started again, and stopped. Pure: the supervisor performs the
/// effects and reports back. It knows nothing of what the child does, only how it ended.
///
/// Invariants: at most one process of a child exists; once asked to stop it never starts again; a child that ended with
/// `configuration` is not tried again, since the same text gives the same answer, until its settings change.
package struct ChildMachine: Sendable, Hashable {
    package enum State: Sendable, Hashable {
        /// Before the first start. To `running`.
        case idle
        /// To `waiting` or `parked` when it ends, to `stopping` when asked, to `hung` when it falls silent.
        case running(since: MonotonicTime)
        /// It has shown no sign of life for too long; asked to end, killed at `deadline`. To `waiting` when it ends, to
        /// `stopping` when asked.
        case hung(deadline: MonotonicTime)
        /// Its settings have changed; asked to end, killed at `deadline`, and started again at once. To `idle` when it
        /// ends, to `stopping` when asked.
        case renewing(deadline: MonotonicTime)
        /// Ended, to be started again at `until`. To `running`, or to `stopped` when asked.
        case waiting(until: MonotonicTime)
        /// Asked to end; killed at `deadline`. To `stopped`.
        case stopping(deadline: MonotonicTime)
        /// Its configuration is wrong; it stays down. To `stopped` when asked.
        case parked
        /// Final.
        case stopped
    }

    package enum Event: Sendable, Hashable {
        case started
        case spawnFailed(String)
        case exited(ChildExit)
        case woke
        /// It has shown no sign of life for too long.
        case fellSilent
        /// Its settings have changed: to be started anew, without waiting for its turn.
        case renewAsked
        /// Asked to end in order.
        case stopAsked
        /// Asked to end at once.
        case killAsked
    }

    package enum Effect: Sendable, Hashable {
        case spawn
        /// Deliver `woke` then; a wake that comes too late or twice is ignored.
        case wake(at: MonotonicTime)
        case terminate
        case kill
        /// For the log: why it ended and how long until the next try; nil: no next try.
        case reportEnd(ChildExit, again: Duration?, failures: Int)
        /// It fails again and again.
        case reportCrashLoop(failures: Int)
        /// It hangs.
        case reportSilence
        /// Nothing is left of it.
        case finished
    }

    package struct Policy: Sendable, Hashable {
        /// The first is short: a worker that was killed must record again within 2 s.
        package var backoff = Backoff(first: .milliseconds(250), most: .seconds(30))
        /// Running as long as this, it is healthy again and failures count from 0.
        package var stableAfter: Duration = .seconds(60)
        /// The most that a child waits which was killed (SIGKILL: a person, or a kernel without memory). That says
        /// little of its health, and its session must go on within 2 s however often it happens.
        package var killedWaitMax: Duration = .milliseconds(500)
        /// The most that a child waits which hung: finding a hang takes so long that it cannot become a busy loop.
        package var hungWaitMax: Duration = .seconds(5)
        /// Another process owns its camera; asking more often only disturbs that one.
        package var fencedWait: Duration = .seconds(30)
        /// As many failures in a row are a crash loop, said once.
        package var crashLoopFailures = 5
        /// As many are its limit: from then on it is tried every `crashLoopWait`, until it stays up, its settings
        /// change or the node is started anew.
        package var crashLoopLimit = 10
        package var crashLoopWait: Duration = .seconds(300)
        /// What a child that was just started may take to its first sign of life.
        package var silentStartMax: Duration = .seconds(30)
        /// What a child that hangs is given to end by itself: less than a healthy one, which has work to finish.
        package var hungWithin: Duration = .seconds(2)
        /// What a child may take to finish its segment.
        package var stopWithin: Duration = .seconds(10)
        package init() {}
    }

    package private(set) var state = State.idle
    /// Ends in a row without a stable run between them.
    package private(set) var failures = 0
    package let policy: Policy

    package init(policy: Policy = Policy()) { self.policy = policy }

    /// - Parameter chance: 0..<1 from the Shell's generator, for the jitter of a wait.
    package mutating func handle(_ event: Event, at now: MonotonicTime, chance: Double = 0.5) -> [Effect] {
        switch event {
        case .started: handleStarted(at: now)
        case .spawnFailed(let reason): handleEnd(.notStarted(reason), at: now, chance: chance)
        case .exited(let exit): handleEnd(exit, at: now, chance: chance)
        case .woke: handleWake(at: now)
        case .fellSilent: handleSilence(at: now)
        case .renewAsked: handleRenew(at: now)
        case .stopAsked: handleStop(at: now)
        case .killAsked: handleKill(at: now)
        }
    }

    private mutating func handleStarted(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .idle, .waiting, .parked:
            state = .running(since: now)
            return []
        // Asked to stop while it was being spawned: the end is on its way.
        case .stopping, .renewing: return [.terminate]
        case .running, .hung, .stopped: return []
        }
    }

    private mutating func handleSilence(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .running(let since):
            forgive(since, at: now)
            let deadline = now + policy.hungWithin
            state = .hung(deadline: deadline)
            return [.reportSilence, .terminate, .wake(at: deadline)]
        // It has ended already, or is about to.
        case .idle, .hung, .renewing, .waiting, .stopping, .parked, .stopped: return []
        }
    }

    private mutating func handleEnd(_ exit: ChildExit, at now: MonotonicTime, chance: Double) -> [Effect] {
        switch state {
        case .stopping:
            state = .stopped
            return [.finished]
        case .stopped: return []
        case .renewing:
            state = .idle
            failures = 0
            return [.spawn]
        case .running(let since):
            forgive(since, at: now)
            return plan(after: exit, at: now, chance: chance)
        case .hung: return plan(after: .hung, at: now, chance: chance)
        case .idle, .waiting, .parked: return plan(after: exit, at: now, chance: chance)
        }
    }

    private mutating func forgive(_ since: MonotonicTime, at now: MonotonicTime) {
        if now - since >= policy.stableAfter { failures = 0 }
    }

    private mutating func plan(after exit: ChildExit, at now: MonotonicTime, chance: Double) -> [Effect] {
        failures += 1
        if exit == .code(ChildExit.configuration) {
            state = .parked
            return [.reportEnd(exit, again: nil, failures: failures)]
        }
        let wait = wait(after: exit, chance: chance)
        state = .waiting(until: now + wait)
        var effects = [Effect.reportEnd(exit, again: wait, failures: failures), .wake(at: now + wait)]
        if failures == policy.crashLoopFailures { effects.insert(.reportCrashLoop(failures: failures), at: 1) }
        return effects
    }

    private func wait(after exit: ChildExit, chance: Double) -> Duration {
        let wait = policy.backoff.delay(attempt: failures, chance: chance)
        if exit == .code(ChildExit.fenced) { return policy.fencedWait }
        if exit == .signal(ChildExit.killed) { return min(wait, policy.killedWaitMax) }
        if exit == .hung { return min(wait, policy.hungWaitMax) }
        return failures >= policy.crashLoopLimit ? policy.crashLoopWait : wait
    }

    private mutating func handleWake(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .idle: return [.spawn]
        case .waiting(let until): return now >= until ? [.spawn] : []
        case .stopping(let deadline), .renewing(let deadline), .hung(let deadline):
            return now >= deadline ? [.kill] : []
        case .running, .parked, .stopped: return []
        }
    }

    private mutating func handleRenew(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .running:
            let deadline = now + policy.stopWithin
            state = .renewing(deadline: deadline)
            return [.terminate, .wake(at: deadline)]
        case .waiting, .parked:
            state = .idle
            failures = 0
            return [.spawn]
        // It has not started yet, or starts with the new settings anyhow, or never again.
        case .idle, .hung, .renewing, .stopping, .stopped: return []
        }
    }

    private mutating func handleStop(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .running:
            let deadline = now + policy.stopWithin
            state = .stopping(deadline: deadline)
            return [.terminate, .wake(at: deadline)]
        // Asked to end already; a wake for the deadline is on its way.
        case .renewing(let deadline), .hung(let deadline):
            state = .stopping(deadline: deadline)
            return []
        case .idle, .waiting, .parked:
            state = .stopped
            return [.finished]
        case .stopping, .stopped: return []
        }
    }

    private mutating func handleKill(at now: MonotonicTime) -> [Effect] {
        switch state {
        case .running, .hung, .renewing, .stopping:
            state = .stopping(deadline: now)
            return [.kill]
        case .idle, .waiting, .parked:
            state = .stopped
            return [.finished]
        case .stopped: return []
        }
    }
}

/// How a child ended.
package enum ChildExit: Sendable, Hashable, CustomStringConvertible {
    case code(Int32)
    case signal(Int32)
    case notStarted(String)
    /// Ended because it hung, however it did.
    case hung

    /// EX_TEMPFAIL and EX_CONFIG of sysexits.h, as the services use them.
    package static let fenced: Int32 = 75
    package static let configuration: Int32 = 78
    /// SIGKILL (signal(7)).
    package static let killed: Int32 = 9

    package var description: String {
        switch self {
        case .code(0): "ended by itself"
        case .code(Self.fenced): "another process owns its camera"
        case .code(Self.configuration): "its configuration is refused"
        case .code(let code): "exit \(code)"
        case .signal(let number): "signal \(number)"
        case .notStarted(let reason): "cannot start: \(reason)"
        case .hung: "showed no sign of life"
        }
    }
}
