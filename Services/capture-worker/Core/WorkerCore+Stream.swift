internal import BusContract
internal import Domain

/// The leases and what they mean for the source.
extension WorkerCore {
    mutating func expireLeases(at now: Now) {
        for useCase in leases.expire(at: now) { leaseEnded(useCase, at: now.monotonic) }
    }

    /// Starts the close-after of a use case that has lost its last lease.
    mutating func leaseEnded(_ useCase: UseCase, at now: MonotonicTime) {
        guard !leases.isLeased(useCase) else { return }
        var closeAfter = settings.policies[useCase].closeAfter
        if useCase == .viewing, settings.publishing == .onDemand { closeAfter = max(closeAfter, Self.lingerMin) }
        // There is no last look at the readers without a moment for it.
        if settings.publishing == .always, publisher.isOpen { closeAfter = max(closeAfter, .milliseconds(1)) }
        closesAt[useCase] = now + closeAfter
    }

    /// Takes a lease or extends it. A source that has failed for good is tried again for whoever asks.
    mutating func takeLease(
        _ useCase: UseCase, holder: Holder, duration: Duration?, at now: Now
    ) throws(CodedError) -> [WorkerEffect] {
        try leases.take(useCase, holder: holder, duration: duration, at: now)
        return streamEffects(.demanded, at: now)
    }

    mutating func settleStream(at now: Now) -> [WorkerEffect] {
        let wish = streamWish
        // A file that played to its end stays idle though pre-roll wants it warm; a new lease plays it again.
        let isDue = stream.state == .idle && !leases.isEmpty
        guard wish != stream.wish || isDue else { return [] }
        return streamEffects(.wishChanged(wish), at: now)
    }

    /// The union of what the leases want. A session holds the source until its last frame is handed over.
    private var streamWish: StreamMachine.Wish {
        let leased = UseCase.allCases.filter(leases.isLeased)
        let isWarm = settings.preroll > .zero
        let policies = leased.map { settings.policies[$0] } + (isWarm ? [settings.policies.recording] : [])
        return StreamMachine.Wish(
            isWanted: !policies.isEmpty, restarts: policies.contains(where: \.restart),
            startTimeout: policies.map(\.startTimeout).max() ?? settings.policies.recording.startTimeout,
            closesAt: policies.isEmpty ? closesAt.values.max() : nil)
    }

    mutating func streamEffects(_ event: StreamMachine.Event, at now: Now) -> [WorkerEffect] {
        if event == .restartDemanded || stream.state == .idle { way.begin() }
        let before = stream.state
        return stream.handle(event, at: now.monotonic, chance: drawChance()).map { effect in
            switch effect {
            case .open(let run):
                facts = nil
                startedIn = nil
                return .openSource(run: run, via: way.route)
            case .close:
                facts = nil
                startedIn = nil
                return .closeSource
            case .lost(let cause):
                if event != .restartDemanded { leaveWay(after: before, at: now.monotonic) }
                session?.segment = nil
                session?.lastLoss = cause
                return .loseFrames(cause)
            case .activated(let after):
                way.delivered()
                startedIn = after
                return nil
            }
        }.compactMap { $0 }
    }

    private mutating func leaveWay(after state: StreamMachine.State, at now: MonotonicTime) {
        guard case .starting(let since, let deadline) = state else { return way.failed(isSoon: false, at: now) }
        way.failed(isSoon: now - since <= (deadline - since) / SourceWay.soonDivisor, at: now)
    }

    /// Back to the media server, where that costs no recording a frame and no snapshot its picture.
    mutating func settleWay(at now: Now) -> [WorkerEffect] {
        guard way.isReturnDue, session == nil, snapshots.isEmpty else { return [] }
        return streamEffects(.restartDemanded, at: now)
    }

    mutating func sourceOpened(_ facts: SourceFacts, run: Int) -> [WorkerEffect] {
        guard run == stream.run else { return [] }
        self.facts = facts
        return []
    }

    /// A file has played to its end: whoever recorded it has what he wanted.
    mutating func sourceEnded(run: Int, at now: Now) -> [WorkerEffect] {
        guard run == stream.run else { return [] }
        for useCase in UseCase.allCases where leases.release(useCase, holder: nil) {
            leaseEnded(useCase, at: now.monotonic)
        }
        return settleSession(at: now) + streamEffects(.sourceEnded(run: run), at: now)
    }

    mutating func woke(at now: Now) -> [WorkerEffect] {
        var effects = streamEffects(.woke, at: now)
        // A stream that has just ended is not published once more.
        effects += settlePublisher(at: now)
        effects += publisherEffects(.woke, at: now)
        retryMemory(at: now)
        if let retryAt = folder.retryAt, retryAt <= now.monotonic {
            folder.retryAt = nil
            effects.append(.takeFolder)
        }
        if let retryAt = session?.storageRetryAt, retryAt <= now.monotonic {
            session?.storageRetryAt = nil
            effects.append(.probeStorage)
        }
        return effects
    }

    func streamState(at now: Now) -> StreamState {
        var state = StreamState(
            state: .idle, leases: leases.counts, source: settings.source, codec: facts?.codec, width: facts?.width,
            height: facts?.height, fps: facts?.fps, input: facts?.input,
            startedInSeconds: startedIn?.publishedSeconds, restarts: stream.restarts)
        switch stream.state {
        case .idle: break
        case .starting: state.state = .starting
        case .active: state.state = .active
        case .closing(_, let at):
            state.state = .closing
            state.closesAt = published(at, now)
        case .failed(let error, let retryAt):
            state.state = .failed
            state.error = PublishedError(error)
            state.retryAt = retryAt.map { published($0, now) }
        }
        return state
    }

    /// A deadline in wall time to the tenth of a second, so that reading the clocks again does not look like a change.
    func published(_ deadline: MonotonicTime, _ now: Now) -> WallTime {
        WallTime(milliseconds: (now.wall(at: deadline).milliseconds + 50).floorDivided(by: 100) * 100)
    }
}

extension LifecyclePolicies {
    subscript(_ useCase: UseCase) -> UseCasePolicy {
        switch useCase {
        case .recording: recording
        case .viewing: viewing
        case .snapshot: snapshot
        }
    }
}
