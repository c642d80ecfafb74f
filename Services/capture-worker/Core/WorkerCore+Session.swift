internal import BusContract
internal import Domain

/// The recording session: from the first recording lease to the last, over files, faults and restarts.
extension WorkerCore {
    /// Takes up what the worker before this one had begun.
    mutating func started(_ memory: WorkerMemory?, tail: SessionTail?, at now: Now) -> [WorkerEffect] {
        isStarted = true
        folder = FolderWait()
        guard let memory else { return takeStandingLease(at: now) }
        let isSameBoot = memory.boot == settings.boot
        leases = LeaseBook(memory.leases, at: now)
        var effects = takeStandingLease(at: now)
        guard let remembered = memory.session else { return effects }
        effects += (tail?.recovered ?? []).map { .emitSegment($0.event(node: settings.node)) }
        let end = tail?.endedAt ?? remembered.newestAt
        guard leases.isLeased(.recording) else {
            let wanted = memory.leases.filter { $0.useCase == .recording }.compactMap(\.until).max() ?? now.wall
            if wanted > end {
                effects.append(
                    .emitGap(GapEvent(session: remembered.id, from: end, to: wanted, cause: .workerDied)))
            }
            return effects
        }
        var clock = remembered.clock
        if !isSameBoot {
            clock = SessionClock(now)
            clock.wall = max(clock.wall, end)
        }
        return effects + resume(remembered, tail: tail, clock: clock, end: end, at: now)
    }

    /// A disk that is away or read-only may come back, and nobody but this worker would notice.
    mutating func folderRefused(_ error: CodedError, at now: Now) -> [WorkerEffect] {
        guard !isStarted else { return [] }
        folder.error = error
        folder.failures += 1
        folder.retryAt = now.monotonic + Self.folderBackoff.delay(attempt: folder.failures, chance: 0.5)
        return []
    }

    private mutating func takeStandingLease(at now: Now) -> [WorkerEffect] {
        guard settings.recordsAlways else {
            _ = leases.release(.recording, holder: .always)
            return []
        }
        do {
            try leases.take(.recording, holder: .always, duration: nil, at: now)
            return []
        } catch {
            preconditionFailure("the first leases fit: \(error)")
        }
    }

    private mutating func resume(
        _ remembered: WorkerMemory.Session, tail: SessionTail?, clock: SessionClock, end: WallTime, at now: Now
    ) -> [WorkerEffect] {
        let nextIndex = max(tail.map { $0.lastIndex + 1 } ?? 0, remembered.nextIndex)
        // The newest segment's first frame is used up even where its file is lost or cannot be read.
        let nextFrame = max(tail?.nextFrame ?? 0, remembered.nextFrame)
        // A session that never had a segment begins now; there is nothing that could have been lost.
        let gap = SegmentCutter.PendingGap(
            from: clock.monotonic(at: end), cause: .workerDied, firstLost: nextFrame, isCounted: false)
        let place = SegmentCutter.Place(
            session: remembered.id, startedAt: clock.monotonic(at: remembered.startedAt), nextIndex: nextIndex,
            nextFrame: nextFrame, gap: nextIndex > 0 ? gap : nil)
        return begin(place, since: remembered.startedAt, clock: clock, preroll: .zero, at: now)
    }

    mutating func settleSession(at now: Now) -> [WorkerEffect] {
        guard stopCause == nil else { return [] }
        if leases.isLeased(.recording), session == nil {
            let place = SegmentCutter.Place(session: drawSession(), startedAt: now.monotonic)
            return begin(
                place, since: now.wall, clock: SessionClock(now), preroll: wantedPreroll ?? settings.preroll, at: now)
        }
        if !leases.isLeased(.recording), let session {
            endingSessions.append(session.id)
            lastClock = session.clock
            self.session = nil
            way.recordingEnded(at: now.monotonic)
            return refuseWhatEnded() + [.endSession(.stop)] + gapOfAll(session, at: now)
        }
        return []
    }

    /// A session whose source never gave a frame has no file that could tell of it.
    private func gapOfAll(_ session: Session, at now: Now) -> [WorkerEffect] {
        guard session.nextIndex == 0, let cause = session.lastLoss else { return [] }
        let end = session.clock.wall(at: now.monotonic)
        return [.emitGap(GapEvent(session: session.id, from: session.since, to: end, cause: cause))]
    }

    private mutating func begin(
        _ place: SegmentCutter.Place, since: WallTime, clock: SessionClock, preroll: Duration, at now: Now
    ) -> [WorkerEffect] {
        wantedPreroll = nil
        var session = Session(
            id: place.session, since: since, startedAt: since, clock: clock, nextIndex: place.nextIndex,
            nextFrame: place.nextFrame,
            schedule: SegmentCutter.Schedule(next: now.monotonic, interval: rotation.interval))
        session.schedule = schedule(of: session, at: now)
        self.session = session
        return [.beginSession(place, clock, session.schedule, preroll: preroll)]
    }

    mutating func segmentOpened(_ opened: SegmentOpened, at now: Now) -> [WorkerEffect] {
        let opening = opened.opening
        var effects: [WorkerEffect] = []
        let clock = session.flatMap { $0.id == opening.session ? $0.clock : nil } ?? SessionClock(now)
        if let gap = opening.gap { effects.append(.emitGap(gap.event(opening.session, clock: clock))) }
        effects.append(.emitSegment(opened.event(node: settings.node)))
        guard var session, session.id == opening.session else { return effects }
        if opening.index == 0 {
            session.startedAt = opened.startedAt
            session.preroll = max(.zero, session.since - opened.startedAt)
        }
        let segment = RecordingState.OpenSegment(index: opening.index, file: opened.file, startedAt: opened.startedAt)
        session.segment = segment
        session.segmentOffset = opening.offset
        session.newestTime = opening.time
        session.newestWish = opening.wish
        session.nextIndex = opening.index + 1
        session.nextFrame = opening.firstFrame + 1
        session.storageError = nil
        session.schedule.advance(beyond: opening.time)
        self.session = session
        effects += answerCuts(by: opening, segment: segment)
        effects += reschedule(at: now)
        return effects
    }

    mutating func firstPartWritten(_ id: SessionID, at now: Now) -> [WorkerEffect] {
        guard session?.id == id else { return [] }
        session?.hasFrameOnDisk = true
        session?.storageFailures = 0
        return answerStarts(at: now)
    }

    mutating func segmentClosed(_ closed: SegmentClosed) -> [WorkerEffect] {
        if session?.id == closed.session, session?.segment?.index == closed.index { session?.segment = nil }
        return [.emitSegment(closed.event(node: settings.node))]
    }

    mutating func storageFailed(_ id: SessionID, _ error: CodedError, at now: Now) -> [WorkerEffect] {
        guard session?.id == id else { return [] }
        session?.segment = nil
        retryStorage(after: error, at: now)
        return refuseStarts(error)
    }

    private mutating func retryStorage(after error: CodedError, at now: Now) {
        let failures = (session?.storageFailures ?? 0) + 1
        session?.storageError = error
        session?.storageFailures = failures
        session?.storageRetryAt = now.monotonic + Self.storageBackoff.delay(attempt: failures, chance: 0.5)
    }

    /// Only a disk that has taken a file is given a segment: an attempt that fails costs an index, events and a line in
    /// every log.
    mutating func storageProbed(_ error: CodedError?, at now: Now) -> [WorkerEffect] {
        // A session that has begun meanwhile, or a failure, has its own turn.
        guard session?.storageError != nil, session?.storageRetryAt == nil else { return [] }
        guard let error else { return [.allowOpening] }
        retryStorage(after: error, at: now)
        return []
    }

    mutating func sessionEnded(_ id: SessionID, gap: SegmentCutter.EndedGap?) -> [WorkerEffect] {
        var effects: [WorkerEffect] = []
        // A worker that stops leaves its gap to the next one, which knows when frames came again.
        if stopCause == nil || session?.id != id, let gap, let clock = endedClock(id) {
            effects.append(.emitGap(gap.event(id, clock: clock)))
        }
        endingSessions.removeAll { $0 == id }
        effects += answerEnds(of: id)
        return effects
    }

    private func endedClock(_ id: SessionID) -> SessionClock? {
        session?.id == id ? session?.clock : lastClock
    }

    // MARK: Boundaries

    mutating func planReceived(_ plan: RotationState, at now: Now) -> [WorkerEffect] {
        guard let interval = Duration(wholeSeconds: plan.intervalSeconds), interval >= RotationSettings.intervalMin,
            interval <= RotationSettings.intervalMax
        else { return [] }
        rotation.interval = interval
        rotation.align = plan.align
        rotationShift = Duration(wholeSeconds: plan.staggerSeconds) ?? .zero
        plannedNext = plan.nextAt
        return reschedule(at: now)
    }

    /// Where the clocks of bus and worker are read apart by less than this, a boundary is the same boundary.
    var boundarySlack: Duration { min(.seconds(1), rotation.interval / 4) }

    /// A schedule in phase is left alone, so that no boundary moves while it is being cut.
    private mutating func reschedule(at now: Now) -> [WorkerEffect] {
        guard let session, facts?.keepsTime ?? true else { return [] }
        let wanted = schedule(of: session, at: now)
        guard !wanted.agrees(with: session.schedule, slack: .milliseconds(50)) else { return [] }
        self.session?.schedule = wanted
        return [.setSchedule(wanted)]
    }

    /// The service's next boundary if it lies ahead, else the next on the same grid that the service uses.
    private func schedule(of session: Session, at now: Now) -> SegmentCutter.Schedule {
        let interval = rotation.interval
        if let plannedNext, plannedNext > now.wall, plannedNext - now.wall <= interval + interval {
            return SegmentCutter.Schedule(next: now.monotonic(at: plannedNext), interval: interval)
        }
        let grid = BoundaryGrid(rotation, sessionStart: session.startedAt, shift: rotationShift)
        switch rotation.align {
        case .clock:
            return SegmentCutter.Schedule(
                next: now.monotonic(at: grid.boundary(after: now.wall)), interval: interval)
        case .session:
            let here = session.clock.wall(at: now.monotonic)
            return SegmentCutter.Schedule(
                next: session.clock.monotonic(at: grid.boundary(after: here)), interval: interval)
        }
    }

    // MARK: The end of the process

    mutating func stopDemanded(_ cause: StopCause, at now: Now) -> [WorkerEffect] {
        guard stopCause == nil else { return [] }
        stopCause = cause
        exitBy = now.monotonic + Self.exitTimeout
        let closing = publisherEffects(.wishChanged(false), at: now) + [.closeSource]
        guard let session else { return closing }
        endingSessions.append(session.id)
        return [.endSession(.shutdown)] + closing
    }

    /// Leaves when the last file is complete, or when waiting longer is in vain: the next worker finishes the file.
    mutating func settleStop(at now: Now) -> [WorkerEffect] {
        guard let stopCause, !hasExited else { return [] }
        guard endingSessions.isEmpty || exitBy.map({ $0 <= now.monotonic }) ?? false else { return [] }
        hasExited = true
        return [.exit(stopCause)]
    }

    func recordingState() -> RecordingState {
        var state = RecordingState(
            state: endingSessions.isEmpty ? .off : .stopping,
            leases: leases.leases(for: .recording).map {
                RecordingState.Lease(holder: $0.holder, since: $0.since, until: $0.until)
            })
        if let error = folder.error, stopCause == nil {
            state.state = .failed
            state.error = PublishedError(error)
        }
        guard let session, stopCause == nil else { return state }
        state.session = session.id
        state.since = session.since
        state.segment = session.segment
        state.prerollSeconds = session.preroll?.publishedSeconds
        state.state = session.hasFrameOnDisk && session.segment != nil ? .recording : .starting
        if case .failed(let error, _) = stream.state {
            state.state = .failed
            state.error = PublishedError(error)
        }
        if let error = session.storageError {
            state.state = .failed
            state.error = PublishedError(error)
        }
        return state
    }
}

extension SegmentOpened {
    func event(node: NodeID) -> SegmentEvent {
        SegmentEvent(
            event: .opened, session: opening.session, index: opening.index, node: node, file: file,
            startedAt: startedAt, firstFrame: opening.firstFrame, offsetSeconds: opening.offset?.publishedSeconds)
    }
}

extension SegmentClosed {
    func event(node: NodeID) -> SegmentEvent {
        SegmentEvent(
            event: .closed, session: session, index: index, node: node, file: file, startedAt: startedAt,
            endedAt: startedAt + duration, durationSeconds: Double(duration.nanoseconds / 1000) / 1e6,
            frames: frames, firstFrame: firstFrame, lastFrame: frames > 0 ? firstFrame + frames - 1 : nil,
            bytes: bytes, offsetSeconds: offset?.publishedSeconds, reason: reason)
    }
}

extension SegmentCutter.EndedGap {
    func event(_ session: SessionID, clock: SessionClock) -> GapEvent {
        GapEvent(
            session: session, from: clock.wall(at: from), to: clock.wall(at: to), cause: cause,
            framesLost: framesLost)
    }
}
