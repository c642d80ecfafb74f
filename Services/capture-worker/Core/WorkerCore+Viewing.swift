internal import BusContract
internal import Domain

/// Live view: leases, the media server's copy of the stream, and who watches it.
extension WorkerCore {
    mutating func startViewing(
        _ holder: Holder, _ duration: Duration?, token: CommandToken, at now: Now
    ) -> [WorkerEffect] {
        let attempt: [WorkerEffect]
        do {
            attempt = try takeLease(.viewing, holder: holder, duration: duration, at: now)
        } catch {
            return [.refuse(token, error)]
        }
        look = nil
        unansweredSince = nil
        waiters.append(
            Waiter(
                token: token, wish: .view, since: now.monotonic,
                deadline: now.monotonic + settings.policies.viewing.startTimeout))
        return attempt + publisherEffects(.encouraged, at: now)
    }

    mutating func stopViewing(_ holder: Holder?, token: CommandToken, at now: Now) -> [WorkerEffect] {
        if leases.release(.viewing, holder: holder) { leaseEnded(.viewing, at: now.monotonic) }
        return [
            .reply(
                token,
                .viewing(ViewingResult(camera: settings.camera, state: viewingState(at: now).state, urls: viewURLs)))
        ]
    }

    /// Whether the stream stays open for viewers who may come back.
    func viewingLingers(at now: MonotonicTime) -> Bool {
        !leases.isLeased(.viewing) && closesAt[.viewing].map { $0 > now } ?? false
    }

    mutating func settlePublisher(at now: Now) -> [WorkerEffect] {
        let isViewed = leases.isLeased(.viewing) || viewingLingers(at: now.monotonic)
        let isWanted =
            switch settings.publishing {
            case .never: false
            case .onDemand: stream.isDelivering && isViewed
            case .always: stream.isDelivering
            }
        guard isWanted != publisher.isWanted else { return answerViews(at: now) }
        return publisherEffects(.wishChanged(isWanted), at: now) + answerViews(at: now)
    }

    mutating func publisherEffects(_ event: PublishMachine.Event, at now: Now) -> [WorkerEffect] {
        publisher.handle(event, at: now.monotonic, chance: drawChance()).map { effect in
            switch effect {
            case .open(let run): .openPublisher(run: run)
            case .close: .closePublisher
            }
        }
    }

    /// Those who asked for live view have it.
    private mutating func answerViews(at now: Now) -> [WorkerEffect] {
        let state = viewingState(at: now)
        guard state.state == .active || state.state == .off || state.state == .closing else { return [] }
        return take { $0.wish == .view }.filter(\.token.isAwaited).map { waiter in
            guard state.state == .active else {
                return .refuse(waiter.token, CodedError(.conflict, "live view was stopped before it began"))
            }
            let took = (now.monotonic - waiter.since).publishedSeconds
            return .reply(
                waiter.token,
                .viewing(
                    ViewingResult(
                        camera: settings.camera, state: .active, urls: viewURLs, startedInSeconds: took)))
        }
    }

    /// What the media server says of this camera's path; nil while nobody can tell.
    mutating func readersReported(_ count: Int?, _ total: UInt64?, at now: Now) -> [WorkerEffect] {
        let before = readers
        // Where this worker reads from the media server, it is one of them and no viewer.
        let isReader = settings.readsFromMediaServer && way.route == .mediaServer && stream.isDelivering
        let viewers = count.map { max(0, $0 - (isReader ? 1 : 0)) }
        let newcomers = newcomers(viewers, total)
        readers = viewers
        way.serverReported(isThere: count != nil)
        guard readers != nil else { return [] }
        // The server is back and has the path again: a reader who is held there has waited long enough.
        let effects = before == nil ? publisherEffects(.encouraged, at: now) : []
        return effects + newcomers
    }

    /// Who has just come waits for a key frame; a source that encodes can give one at once.
    private mutating func newcomers(_ count: Int?, _ total: UInt64?) -> [WorkerEffect] {
        guard let count, count > 0 else { return [] }
        defer { readersTotal = total ?? readersTotal }
        return count > readers ?? 0 || total != nil && total != readersTotal ? [.requestKeyFrame] : []
    }

    // MARK: The last look before the stream closes

    /// Whoever came in since the last viewer left caused no event, and would be cut off: asks before it closes.
    mutating func lookBeforeClosing(at now: Now) -> [WorkerEffect] {
        guard stopCause == nil, publisher.isOpen, let at = publicationEnd, at <= now.monotonic else { return [] }
        guard look == nil else {
            // Nobody answers.
            look = nil
            keepKnownReaders(at: now)
            return settleStream(at: now)
        }
        let deadline = now.monotonic + Self.lookTimeout
        look = deadline
        closesAt[.viewing] = deadline
        return [.lookAtReaders] + settleStream(at: now)
    }

    /// When the close-after ends that keeps the stream at the media server; nil if something else keeps it there.
    private var publicationEnd: MonotonicTime? {
        switch settings.publishing {
        case .never: nil
        case .onDemand: leases.isLeased(.viewing) ? nil : closesAt[.viewing]
        case .always: leases.isEmpty && settings.preroll == .zero ? closesAt.values.max() : nil
        }
    }

    mutating func readersCounted(_ count: Int?, _ total: UInt64?, at now: Now) -> [WorkerEffect] {
        guard look != nil else { return [] }
        look = nil
        guard let count else {
            closesAt[.viewing] = now.monotonic
            keepKnownReaders(at: now)
            return []
        }
        let newcomers = newcomers(count, total)
        readers = count
        unansweredSince = nil
        // The config-writer takes a lease for them; this is the time that it has for it.
        closesAt[.viewing] = now.monotonic + (count > 0 ? Self.readersGrace : .zero)
        return newcomers
    }

    /// Those who watched when somebody could last tell are taken to watch still, for a while: their lease ended because
    /// nobody was there to renew it.
    private mutating func keepKnownReaders(at now: Now) {
        guard let readers, readers > 0 else { return }
        let since = unansweredSince ?? now.monotonic
        unansweredSince = since
        guard now.monotonic - since < Self.unansweredMax else { return }
        closesAt[.viewing] = now.monotonic + Self.unansweredPause
    }

    // MARK: What is said of it

    /// A player finds what this worker publishes, and what the media server has from the camera itself.
    var viewURLs: [String] {
        guard settings.publishing != .never || settings.readsFromMediaServer else { return [] }
        return settings.viewURL.map { [$0] } ?? []
    }

    func viewingState(at now: Now) -> ViewingState {
        var state = ViewingState(
            state: .off,
            leases: leases.leases(for: .viewing).map {
                RecordingState.Lease(holder: $0.holder, since: $0.since, until: $0.until)
            }, viewers: readers, urls: viewURLs)
        guard leases.isLeased(.viewing) else {
            if viewingLingers(at: now.monotonic), stream.isDelivering {
                state.state = .closing
                state.closesAt = closesAt[.viewing].map { published($0, now) }
            }
            return state
        }
        (state.state, state.error) = viewingPhase
        return state
    }

    private var viewingPhase: (ViewingState.Phase, PublishedError?) {
        if case .failed(let error, _) = stream.state { return (.failed, PublishedError(error)) }
        guard settings.publishing != .never else { return (stream.isDelivering ? .active : .starting, nil) }
        switch publisher.state {
        case .idle, .connecting: return (.starting, nil)
        case .publishing: return (.active, nil)
        case .failed(let error, _): return (.failed, PublishedError(error))
        }
    }
}
