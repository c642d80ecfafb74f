internal import BusContract
internal import Domain

/// Commands, and the replies that wait for what they set off.
extension WorkerCore {
    mutating func commanded(_ command: CameraCommand, token: CommandToken, at now: Now) -> [WorkerEffect] {
        if let error = folder.error, stopCause == nil { return [.refuse(token, error)] }
        guard isStarted, stopCause == nil else {
            return [.refuse(token, CodedError(.notReady, "the worker of \(settings.camera) is starting or stopping"))]
        }
        guard waiters.count < Self.waitersMax else {
            return [.refuse(token, CodedError(.conflict, "\(Self.waitersMax) commands wait for their answer already"))]
        }
        switch command {
        case .recording(.start(let holder, let duration, let preroll)):
            return start(holder, duration, preroll: preroll, token: token, at: now)
        case .recording(.stop(let holder)): return stop(holder, token: token, at: now)
        case .viewing(.start(let holder, let duration)):
            return startViewing(holder, duration, token: token, at: now)
        case .viewing(.stop(let holder)): return stopViewing(holder, token: token, at: now)
        case .snapshot(let wish): return takeSnapshot(wish, token: token, at: now)
        case .controls(let command): return turnControls(command, token: token)
        case .rotation(let command): return rotate(command, token: token, at: now)
        case .restart(let command): return restart(command, token: token, at: now)
        }
    }

    private mutating func restart(_ command: RestartCommand, token: CommandToken, at now: Now) -> [WorkerEffect] {
        if let seen = command.ifRestarts, seen != stream.restarts {
            let reason = "if_restarts: the source has been restarted \(stream.restarts) times"
            return [.refuse(token, CodedError(.conflict, reason))]
        }
        return streamEffects(.restartDemanded, at: now) + [
            .reply(token, .restart(RestartResult(camera: settings.camera, restarts: stream.restarts)))
        ]
    }

    private mutating func start(
        _ holder: Holder, _ duration: Duration?, preroll: Duration?, token: CommandToken, at now: Now
    ) -> [WorkerEffect] {
        let attempt: [WorkerEffect]
        do {
            attempt = try takeLease(.recording, holder: holder, duration: duration, at: now)
        } catch {
            return [.refuse(token, error)]
        }
        if session == nil { wantedPreroll = preroll }
        waiters.append(
            Waiter(
                token: token, wish: .firstFrame, since: now.monotonic,
                deadline: now.monotonic + settings.policies.recording.startTimeout))
        let effects = settleSession(at: now) + attempt
        return effects + (recordingState().state == .recording ? answerStarts(at: now) : [])
    }

    private mutating func stop(_ holder: Holder?, token: CommandToken, at now: Now) -> [WorkerEffect] {
        if leases.release(.recording, holder: holder) { leaseEnded(.recording, at: now.monotonic) }
        let effects = settleSession(at: now)
        guard token.isAwaited else { return effects }
        guard session == nil, let ending = endingSessions.last else {
            return effects + [.reply(token, .recording(recordingResult(since: nil, at: now)))]
        }
        waiters.append(
            Waiter(
                token: token, wish: .end(ending), since: now.monotonic, deadline: now.monotonic + Self.stopTimeout))
        return effects
    }

    private mutating func rotate(_ command: RotationCommand, token: CommandToken, at now: Now) -> [WorkerEffect] {
        guard let session, let segment = session.segment, let newest = session.newestTime else {
            return [.refuse(token, CodedError(.notReady, "\(settings.camera) is not recording"))]
        }
        let wish = command.at.map(now.monotonic(at:)) ?? now.monotonic
        guard wish - now.monotonic <= RotationSettings.intervalMax else {
            return [.refuse(token, CodedError(.invalidArgument, "at: lies more than a day ahead"))]
        }
        guard wish - now.monotonic >= .zero - RotationSettings.intervalMax else {
            return [.refuse(token, CodedError(.invalidArgument, "at: lies more than a day back"))]
        }
        if command.at != nil, isCut(wish, newest: newest, newestWish: session.newestWish, at: now.monotonic) {
            let result = RotationResult(
                camera: settings.camera, session: session.id, segment: segment,
                offsetSeconds: (newest - wish).publishedSeconds, rotated: false)
            return [.reply(token, .rotation(result))]
        }
        waiters.append(
            Waiter(
                token: token, wish: .cut(wish), since: now.monotonic,
                deadline: max(wish, now.monotonic)
                    + Self.rotationTimeout))
        let isScheduled = command.at != nil && (wish - session.schedule.next).magnitude <= boundarySlack
        return isScheduled ? [] : [.cut(at: wish)]
    }

    /// Whether a boundary is behind us: before the newest segment, or late word of the boundary that began it, told by
    /// clocks that were read apart.
    private func isCut(
        _ wish: MonotonicTime, newest: MonotonicTime, newestWish: MonotonicTime?, at now: MonotonicTime
    ) -> Bool {
        guard wish > newest else { return true }
        return wish <= now && newestWish.map { wish <= $0 + boundarySlack } ?? false
    }

    // MARK: Answers

    mutating func answerStarts(at now: Now) -> [WorkerEffect] {
        take { $0.wish == .firstFrame }.map {
            .reply($0.token, .recording(recordingResult(since: $0.since, at: now)))
        }
    }

    mutating func refuseStarts(_ error: CodedError) -> [WorkerEffect] {
        take { $0.wish == .firstFrame }.map { .refuse($0.token, error) }
    }

    /// What waited for a frame or a boundary of a session that is over waits for nothing any more.
    mutating func refuseWhatEnded() -> [WorkerEffect] {
        let error = CodedError(.conflict, "the recording was stopped before that")
        return take { waiter in
            switch waiter.wish {
            case .firstFrame, .cut: true
            case .view, .end: false
            }
        }.filter(\.token.isAwaited).map { .refuse($0.token, error) }
    }

    mutating func answerCuts(
        by opening: SegmentCutter.Opening, segment: RecordingState.OpenSegment
    ) -> [WorkerEffect] {
        let slack = boundarySlack
        let answered = take { waiter in
            guard case .cut(let wish) = waiter.wish else { return false }
            return wish <= opening.time || opening.wish.map { (wish - $0).magnitude <= slack } ?? false
        }
        return answered.map { waiter in
            guard case .cut(let wish) = waiter.wish else { preconditionFailure("only cuts were taken") }
            return .reply(
                waiter.token,
                .rotation(
                    RotationResult(
                        camera: settings.camera, session: opening.session, segment: segment,
                        offsetSeconds: (opening.time - wish).publishedSeconds, rotated: true)))
        }
    }

    mutating func answerEnds(of id: SessionID) -> [WorkerEffect] {
        let result = RecordingResult(camera: settings.camera, state: recordingState().state, session: id)
        return take { $0.wish == .end(id) }.map { .reply($0.token, .recording(result)) }
    }

    mutating func timeOutWaiters(at now: Now) -> [WorkerEffect] {
        take { $0.deadline <= now.monotonic }.map { .refuse($0.token, timeoutError(of: $0)) }
    }

    private func timeoutError(of waiter: Waiter) -> CodedError {
        switch waiter.wish {
        case .firstFrame:
            guard case .failed(let error, _) = stream.state else {
                return CodedError(.sourceUnavailable, "no frame yet; the lease is kept and the source is being tried")
            }
            return CodedError(.sourceUnavailable, "no frame yet; \(whatIsKept)", cause: error.description)
        case .view: return viewTimeout
        case .cut: return CodedError(.timeout, "no key frame came; the boundary is still wanted")
        case .end: return CodedError(.timeout, "the last file is not complete yet")
        }
    }

    private var whatIsKept: String {
        if case .failed(_, nil) = stream.state { return "the lease is kept; the next command tries the source again" }
        return "the lease is kept and it is tried again"
    }

    private var viewTimeout: CodedError {
        if case .failed(let error, _) = stream.state {
            return CodedError(.sourceUnavailable, "no picture yet; \(whatIsKept)", cause: error.description)
        }
        if let error = publisher.lastError {
            return CodedError(
                .mediaServerUnavailable, "the media server does not take the stream; \(whatIsKept)",
                cause: error.description)
        }
        return CodedError(.timeout, "no live view yet; \(whatIsKept)")
    }

    mutating func take(where isDone: (Waiter) -> Bool) -> [Waiter] {
        let done = waiters.filter(isDone)
        if !done.isEmpty { waiters.removeAll(where: isDone) }
        return done
    }

    private func recordingResult(since: MonotonicTime?, at now: Now) -> RecordingResult {
        let state = recordingState()
        return RecordingResult(
            camera: settings.camera, state: state.state, session: state.session, segment: state.segment,
            startedInSeconds: since.map { (now.monotonic - $0).publishedSeconds },
            prerollSeconds: state.prerollSeconds)
    }
}

extension Duration {
    fileprivate var magnitude: Duration { self < .zero ? .zero - self : self }
}
