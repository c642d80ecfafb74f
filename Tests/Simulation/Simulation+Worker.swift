import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// The worker's Shell: performs the Core's effects on the simulated world.
extension Simulation {
    /// Longer than the longest honest silence of the camera.
    var stallTimeout: Duration { settings.interval + settings.interval + .seconds(2) }

    func startWorker() {
        guard worker == nil else { return }
        processes += 1
        let settings = WorkerSettings(
            camera: Self.camera, node: Self.node, source: "test://pattern", preroll: settings.preroll,
            rotation: settings.rotation, publishing: settings.publishing, boot: "boot")
        do {
            let memory = workerState.memory
            let tail = try memory?.session.flatMap { session throws(CodedError) in try readTail(session) }
            worker = SimulatedWorker(id: processes, settings: settings, seed: random.next())
            note("worker \(processes) starts")
            agenda.add(.reconnect(.worker), at: clock.now + .milliseconds(random.int(in: 1...50)))
            tell(.started(memory, tail: tail))
        } catch {
            // The disk refuses to finish the last file: the worker waits for it, its leases are not given up.
            agenda.add(.startWorker, at: clock.now + .seconds(1))
        }
    }

    private func readTail(_ session: WorkerMemory.Session) throws(CodedError) -> SessionTail? {
        var recovered: [SegmentClosed] = []
        var last: SimulatedDisk.File?
        let files = disk.files.values.filter { $0.manifest.session == session.id }
            .sorted { $0.manifest.index < $1.manifest.index }
        for file in files {
            guard file.isPartial else {
                last = file
                continue
            }
            guard let whole = try disk.recover(file.path) else { continue }
            checkCompleted(whole)
            recovered.append(closed(whole, reason: .recovered))
            last = whole
        }
        return last.map {
            SessionTail(
                lastIndex: $0.manifest.index, nextFrame: $0.manifest.firstFrame + $0.frames,
                endedAt: $0.manifest.startedAt + $0.duration, recovered: recovered)
        }
    }

    private func closed(_ file: SimulatedDisk.File, reason: SegmentEnd) -> SegmentClosed {
        SegmentClosed(
            session: file.manifest.session, index: file.manifest.index, file: file.path.completed.relativePath,
            startedAt: file.manifest.startedAt, duration: file.duration, frames: file.frames,
            firstFrame: file.manifest.firstFrame, bytes: file.bytes,
            offset: file.manifest.offsetSeconds.map { .seconds($0) }, reason: reason)
    }

    func killWorker() {
        flushIfDue()
        guard let dead = worker else { return }
        note("worker \(dead.id) killed")
        if let since = dead.file?.unwrittenSince, dead.file?.unwritten != nil, !isDiskSlow, dead.jobs.isEmpty,
            clock.now - since > SimulatedWorker.partMax + settings.interval + .milliseconds(500)
        {
            promises.breaks(5, "\(clock.now - since) of frames were in memory only")
        }
        promises.excuse(.workerDied, at: clock.now)
        noteGiven()
        // The next process knows nothing of a session whose end this one had still to tell.
        for case .end(let ending) in dead.jobs { promises.sessions[ending.session]?.isEndChecked = true }
        worker = nil
        camera.disconnect()
        unlink(.worker)
        disk.processDied(dead.id)
        agenda.add(.startWorker, at: clock.now + random.duration(in: .milliseconds(200) ... .seconds(4)))
    }

    func tell(_ event: WorkerEvent) {
        guard let effects = worker?.core.handle(event, at: clock.reading) else { return }
        for effect in effects { perform(effect) }
    }

    /// Events of the pipeline's threads reach the loop in their order, a moment later.
    func report(_ event: WorkerEvent) {
        guard let process = worker else { return }
        let at = max(process.newestReport, clock.now + .microseconds(random.int(in: 10...3000)))
        worker?.newestReport = at
        agenda.add(.worker(event, process: process.id), at: at)
    }

    private func perform(_ effect: WorkerEffect) {
        switch effect {
        case .takeFolder: promises.breaks(2, "a folder that was there is taken again")
        case .openSource(let run, _):
            worker?.wantedRun = run
            worker?.hasKeyFrame = false
            let answer = clock.now + random.duration(in: .milliseconds(20) ... .seconds(2))
            agenda.add(.sourceAnswers(run: run, process: worker?.id ?? 0), at: answer)
        case .closeSource: closeSource()
        case .loseFrames(let cause): loseFrames(cause)
        case .beginSession(let place, let sessionClock, let schedule, let preroll):
            beginSession(place, sessionClock, schedule, preroll)
        case .endSession(let reason):
            guard let session = worker?.cutter.session, let next = worker?.cutter.nextFrame else { return }
            noteGiven()
            if worker?.missed == 0 { promises.sessions[session]?.endedAt = clock.now }
            let gap = worker?.cutter.end(at: clock.now)
            put(.end(.init(session: session, reason: reason, gap: gap, at: clock.now, nextFrame: next)))
        case .setSchedule(let schedule):
            note("schedule: next \(clock.reading.wall(at: schedule.next))")
            if settings.sabotage != .neverRotates { worker?.cutter.setSchedule(schedule) }
        case .cut(let time): if settings.sabotage != .neverRotates { _ = worker?.cutter.rotate(at: time) }
        case .allowOpening: worker?.cutter.allowOpening()
        case .probeStorage: report(.storageProbed(disk.failure))
        case .requestKeyFrame, .publishViewing, .publishSnapshot, .turnControls, .publishControls: break
        case .openPublisher, .closePublisher, .lookAtReaders, .takeSnapshot: performForViewers(effect)
        case .publishStream(let state):
            worker?.stream = state
            publish(.stream(state), from: .worker)
        case .publishRecording(let state):
            note("recording \(state.state) leases=\(state.leases.count)")
            worker?.recording = state
            publish(.recording(state), from: .worker)
        case .emitSegment(let event): emit(.segment(event))
        case .emitGap(let event):
            promises.sessions[event.session]?.told.append(event)
            emit(.gap(event))
        case .reply(let token, let result): publish(.accepted(result, number: token.number), from: .worker)
        case .refuse(let token, let error): publish(.refused(error, number: token.number), from: .worker)
        case .remember(let memory): if settings.sabotage != .forgetsLeases { workerState.memory = memory }
        case .wake(let time):
            worker?.wakeToken += 1
            guard let time, let process = worker else { return }
            agenda.add(.woke(token: process.wakeToken, process: process.id), at: max(time, clock.now))
        case .exit: promises.breaks(2, "the worker left though nobody had asked it to")
        }
    }

    // MARK: The source

    private func closeSource() {
        worker?.wantedRun = nil
        worker?.run = 0
        worker?.group.removeAll()
        camera.disconnect()
    }

    func sourceAnswers(_ run: Int) {
        guard worker?.wantedRun == run else { return }
        guard camera.isPlugged else {
            promises.excuse(.sourceLost, at: clock.now)
            return report(.sourceFailed(CodedError(.sourceUnavailable, "no route"), run: run))
        }
        camera.connect(at: clock.now)
        worker?.run = run
        let fps = 1 / settings.interval.seconds
        report(
            .sourceOpened(SourceFacts(codec: "h264", width: 640, height: 360, fps: fps, keepsTime: true), run: run))
        if camera.isSilent { awaitStall() }
    }

    func awaitStall() {
        guard camera.isConnected, let process = worker else { return }
        agenda.add(.stallEnds(run: process.run, process: process.id), at: clock.now + stallTimeout)
    }

    func stallEnds(_ run: Int) {
        guard worker?.run == run, camera.isConnected, camera.isSilent else { return }
        camera.disconnect()
        promises.excuse(.sourceStalled, at: clock.now)
        report(.sourceFailed(CodedError(.timeout, "nothing came"), run: run))
    }

    func unplug() {
        camera.isPlugged = false
        guard camera.isConnected, let run = worker?.run else { return }
        camera.disconnect()
        promises.excuse(.sourceLost, at: clock.now)
        report(.sourceFailed(CodedError(.sourceUnavailable, "connection reset"), run: run))
    }

    // MARK: Pictures

    func pictureArrives() {
        guard let picture = camera.take(), let process = worker, process.run != 0 else { return }
        promises.pictures += 1
        guard process.hungUntil <= clock.now else {
            process.missed += 1
            return
        }
        leaveOutMissed()
        if picture.isKey, !process.hasKeyFrame {
            process.hasKeyFrame = true
            report(.keyFrameCame(run: process.run))
        }
        if picture.isKey { process.group.removeAll(keepingCapacity: true) }
        process.group.append(picture)
        guardAgainstOverrun(picture)
        record(picture)
    }

    /// The source says what it had no time for before it hands over the next picture.
    private func leaveOutMissed() {
        guard let process = worker, process.missed > 0 else { return }
        note("\(process.missed) pictures missed")
        promises.excuse(.overrun, at: clock.now)
        let wasOpen = process.cutter.isOpen
        if settings.sabotage != .forgetsMissed { process.cutter.leaveOut(process.missed, at: clock.now) }
        process.missed = 0
        process.group.removeAll()
        if wasOpen, !process.cutter.isOpen { put(.close(.error)) }
    }

    private func guardAgainstOverrun(_ picture: SimulatedCamera.Picture) {
        guard let process = worker, let session = process.cutter.session else { return }
        if process.hasOverrun, !process.cutter.isOpen {
            guard picture.isKey, process.jobs.count <= SimulatedWorker.jobsLow else { return }
            worker?.hasOverrun = false
            worker?.cutter.allowOpening()
        } else if process.jobs.count >= SimulatedWorker.jobsMax {
            worker?.hasOverrun = true
            promises.excuse(.overrun, at: clock.now)
            worker?.cutter.lose(.overrun, at: picture.time, mayOpen: false)
            put(.close(.error))
            report(.overran(session))
        }
    }

    private func record(_ picture: SimulatedCamera.Picture) {
        let frame = SegmentCutter.Frame(isKey: picture.isKey, time: picture.time, media: picture.media)
        if let process = worker, process.cutter.session != nil {
            if picture.isKey, process.given.first == nil { process.given.first = picture }
            process.given.newest = picture
        }
        guard let decision = worker?.cutter.accept(frame) else { return }
        switch settings.sabotage.applied(to: decision) {
        case .skip: break
        case .append: put(.picture(picture))
        case .open(let opening):
            put(.open(opening, manifest(opening)))
            if settings.sabotage != .dropsPictureAtOpening { put(.picture(picture)) }
        case .cut(let opening):
            put(.open(opening, manifest(opening)))
            if settings.sabotage != .dropsPictureAtBoundary { put(.picture(picture)) }
        }
    }

    private func manifest(_ opening: SegmentCutter.Opening) -> SegmentManifest {
        let wall = worker?.clock ?? SessionClock(clock.reading)
        if opening.index == 0 { worker?.sessionStartedAt = opening.time }
        let gap = opening.gap.map {
            SegmentManifest.Gap(
                from: wall.wall(at: $0.from), to: wall.wall(at: $0.to), cause: $0.cause, framesLost: $0.framesLost)
        }
        return SegmentManifest(
            session: opening.session, camera: Self.camera, node: Self.node, index: opening.index,
            firstFrame: opening.firstFrame, startedAt: wall.wall(at: opening.time),
            sessionStartedAt: wall.wall(at: worker?.sessionStartedAt ?? opening.time),
            sessionOffsetNanoseconds: opening.sessionOffset.nanoseconds,
            offsetSeconds: opening.offset?.publishedSeconds, gap: settings.sabotage == .forgetsGaps ? nil : gap)
    }

    private func beginSession(
        _ place: SegmentCutter.Place, _ sessionClock: SessionClock, _ schedule: SegmentCutter.Schedule,
        _ preroll: Duration
    ) {
        note("session \(place.session.short) begins at index \(place.nextIndex)")
        promises.sessionBegan(place.session)
        worker?.given = SimulatedWorker.Given()
        worker?.cutter.begin(place, schedule: settings.sabotage == .neverRotates ? nil : schedule)
        worker?.clock = sessionClock
        worker?.sessionStartedAt = place.startedAt
        worker?.hasOverrun = false
        guard place.gap == nil, let process = worker, process.run != 0 else { return }
        for picture in process.group { record(picture) }
    }

    /// What the running session was given so far, where it outlives the process.
    func noteGiven() {
        guard let process = worker, let session = process.cutter.session else { return }
        promises.gave(process.given, to: session)
    }

    private func loseFrames(_ cause: GapCause) {
        let wasOpen = worker?.cutter.isOpen ?? false
        note("frames stop: \(cause)")
        worker?.cutter.lose(cause, at: clock.now)
        worker?.group.removeAll()
        if wasOpen { put(.close(.error)) }
    }
}
