internal import BusContract
internal import CaptureWorkerCore
internal import ClusterConfig
internal import Domain
internal import Media
internal import ServiceKit
internal import Synchronization
internal import VideoDevices

/// The live pipeline of one camera: source, repaired timestamps, numbers, ring, recorder, publisher, snapshots.
///
/// Owns the source's thread and everything that happens to a frame on it. Invariants: one source at a time, the next
/// one opens after the last one has closed; frames of an older run are dropped; no lock is held while anything blocks;
/// a full queue costs whole groups of pictures and never the source, except for a source that can be held back.
/// `CaptureWorker` calls it from outside; what happens in here it reports as events of the Core.
final class CapturePipeline: Sendable {
    /// A frame as the ring keeps it.
    struct Kept: Sendable {
        var packet: Packet
        var format: StreamFormat
        /// Nil for audio.
        var frame: SegmentCutter.Frame?
    }

    /// The most memory for pre-roll.
    static let ringBytesMax = 128 * 1024 * 1024
    /// How long a source may take to open at most. Whether it takes too long is the Core's to say, which closes it.
    static let openTimeout: Duration = .seconds(60)

    let camera: CameraConfiguration
    private let node: NodeID
    private let folder: CameraFolder
    private let mediaServer: RTSPAddress?
    let report: @Sendable (WorkerEvent) -> Void
    /// Which webcam it is and how it is turned, over the runs of its source.
    let webcam: CameraMemory
    private let state: Mutex<State>
    private let runs = Mutex(Runs())
    let recorder: SegmentRecorder
    let publisher: StreamPublisher
    private let snapshots: SnapshotThread

    private struct State {
        var run = 0
        var cutter = SegmentCutter()
        var ring: GOPRing<Kept>
        var clock: SessionClock?
        var startedAt: MonotonicTime?
        var overrun = OverrunGuard()
        var stats = PipelineStats()
    }

    /// What a source of unknown pace is allowed, after runs that ended in silence before it was known.
    private let patience = Mutex(StallTimeout.unknown)

    private struct Runs: Sendable {
        var current: (run: Int, source: any MediaSource)?
        var wanted: Int?
        var route = SourceRoute.camera
        var isBusy = false
    }

    init(
        camera: CameraConfiguration, node: NodeID, folder: CameraFolder, mediaServer: RTSPAddress?,
        report: @escaping @Sendable (WorkerEvent) -> Void
    ) {
        self.camera = camera
        self.node = node
        self.folder = folder
        self.mediaServer = mediaServer
        self.report = report
        webcam = CameraMemory(controls: camera.controls)
        state = Mutex(State(ring: GOPRing(span: camera.preroll, bytesMax: Self.ringBytesMax)))
        recorder = SegmentRecorder(
            SegmentRecorder.Settings(storage: camera.storage.path, durability: camera.storage.durability),
            folder: folder, report: report)
        publisher = StreamPublisher(camera: camera.id, address: mediaServer, report: report)
        snapshots = SnapshotThread(SnapshotTaker(storage: camera.storage.path, camera: camera.id, folder: folder))
        recorder.start { [weak self] loss in self?.storageLost(loss) ?? false }
    }

    // MARK: The source's life

    /// Opens the source as soon as the one before it has closed.
    func openSource(run: Int, via route: SourceRoute) {
        let starts = runs.withLock { runs in
            runs.wanted = run
            runs.route = route
            if runs.isBusy { return false }
            runs.isBusy = true
            return true
        }
        guard starts else { return }
        do throws(CodedError) {
            try BlockingThread.attempt("source") { self.runSources() }
        } catch {
            runs.withLock { ($0.wanted, $0.isBusy) = (nil, false) }
            report(.sourceFailed(error, run: run))
        }
    }

    func closeSource() {
        let source = runs.withLock { runs in
            runs.wanted = nil
            return runs.current?.source
        }
        state.withLock { state in
            state.run = 0
            state.ring.removeAll()
        }
        source?.interrupt()
        snapshots.streamEnded()
    }

    /// Runs one source after the other until none is wanted; the thread ends then.
    private func runSources() {
        while let run = nextRun() {
            let stallTimeout = patience.withLock { $0 }
            let source = MediaSources.make(
                address, encoder: camera.encoder, audio: camera.audio,
                openTimeout: Self.openTimeout, stallTimeout: stallTimeout,
                camera: { [webcam] in VideoCamera($0, memory: webcam, stallTimeout: stallTimeout) })
            let isWanted = runs.withLock { runs in
                runs.current = (run, source)
                return runs.wanted == run
            }
            var notes: [String] = []
            if isWanted { play(source, run: run, notes: &notes) }
            runs.withLock { $0.current = nil }
            notes += source.notes
            if !notes.isEmpty { report(.sourceNoted(notes, run: run)) }
            source.close()
        }
    }

    /// Where the run that is wanted finds the camera's pictures.
    private var address: SourceAddress {
        guard let mediaServer, runs.withLock({ $0.route }) == .mediaServer else { return camera.source }
        return mediaServer.source
    }

    private func nextRun() -> Int? {
        runs.withLock { runs in
            let run = runs.wanted
            runs.isBusy = run != nil
            return run
        }
    }

    private func play(_ source: any MediaSource, run: Int, notes: inout [String]) {
        defer { runs.withLock { if $0.wanted == run { $0.wanted = nil } } }
        let before = state.withLock { $0.stats.frames }
        do {
            var format = try source.open()
            var feed = FrameFeed(format, run: run, paces: source.paces)
            defer { notes += feed.notes }
            state.withLock { state in
                // A run that was closed while it opened must not bring its frames in behind the close.
                if runs.withLock({ $0.wanted == run }) { state.run = run }
            }
            report(.sourceOpened(format.facts(of: source), run: run))
            readControls()
            while true {
                switch try source.next() {
                case .packet(let packet):
                    if !source.paces { recorder.queue.waitForRoom() }
                    guard take(packet, format: format, feed: &feed, source: source) else { return }
                case .skipped(let frames): skip(frames, run: run, notes: source.notes)
                case .formatChanged(let changed):
                    format = changed
                    feed.beginsFormat = true
                    report(.formatChanged(format.facts(of: source), run: run))
                case .end:
                    report(.sourceEnded(run: run))
                    return
                }
            }
        } catch {
            // A source that was told to stop has not failed.
            guard runs.withLock({ $0.wanted == run }) else { return }
            learn(from: error, frames: state.withLock { $0.stats.frames } - before)
            report(.sourceFailed(error, run: run))
        }
    }

    /// A camera that fell silent before its pace was known may only be slower than anybody thought.
    private func learn(from error: CodedError, frames: UInt64) {
        let isKnown = frames > StallTimeout.knownAfter
        patience.withLock { patience in
            if isKnown {
                patience = StallTimeout.unknown
            } else if error.code == .timeout {
                patience = min(patience * 2, StallTimeout.most)
            }
        }
    }

    // MARK: One packet

    /// False when the run is over.
    private func take(
        _ packet: Packet, format: StreamFormat, feed: inout FrameFeed, source: any MediaSource
    ) -> Bool {
        let frame = feed.place(packet)
        let kept = Kept(packet: packet, format: format, frame: frame)
        let (time, isKey) = (frame?.time ?? feed.lastTime, frame?.isKey ?? false)
        let (goesOn, wish, prerollHeld) = state.withLock { state -> (Bool, MonotonicTime?, Duration?) in
            guard state.run == feed.run else { return (false, nil, nil) }
            if let frame { state.stats.count(frame, bytes: packet.byteCount) }
            if feed.lastFault != nil { state.stats.repaired += 1 }
            let isCut = state.ring.append(kept, isKey: isKey, time: time, bytes: packet.byteCount)
            if source.paces { guardAgainstOverrun(&state, at: time, isKey: isKey) }
            record(kept, in: &state)
            publisher.offer(kept)
            return (true, state.cutter.nextWish, isCut ? time - (state.ring.oldest ?? time) : nil)
        }
        if let prerollHeld, camera.preroll > .zero, !feed.hasShortPreroll {
            feed.hasShortPreroll = true
            report(.prerollCut(wanted: camera.preroll, held: prerollHeld))
        }
        if goesOn, let frame { snapshots.frameCame(isKey: frame.isKey) }
        // Only now: what the event leads to finds the frame in the ring.
        if goesOn, let frame, frame.isKey, !feed.hasKeyFrame {
            feed.hasKeyFrame = true
            report(.keyFrameCame(run: feed.run))
        }
        if let wish { source.requestKeyFrame(from: wish) }
        return goesOn
    }

    private func guardAgainstOverrun(_ state: inout State, at time: MonotonicTime, isKey: Bool) {
        let losing = state.overrun.packetComes(at: time, isKey: isKey, queue: recorder.queue, cutter: &state.cutter)
        if let losing { report(.overran(losing, notes: ["the disk does not keep up"])) }
    }

    /// What the source had no time for is an overrun like that of a disk. Pre-roll begins anew: it has no holes either.
    private func skip(_ frames: Int, run: Int, notes: [String]) {
        state.withLock { state in
            guard state.run == run else { return }
            state.ring.removeAll()
            state.stats.dropped += UInt64(frames)
            guard let session = state.cutter.session else { return }
            let wasOpen = state.cutter.isOpen
            state.cutter.leaveOut(frames, at: ServiceClock.now().monotonic)
            if wasOpen { recorder.queue.put(.close(.error)) }
            report(.overran(session, notes: notes))
        }
    }

    private func record(_ kept: Kept, in state: inout State) {
        guard let frame = kept.frame else {
            if state.cutter.isOpen { recorder.queue.put(.packet(kept.packet)) }
            return
        }
        switch state.cutter.accept(frame) {
        case .skip:
            if state.overrun.isOn { state.stats.dropped += 1 }
        case .append: recorder.queue.put(.packet(kept.packet))
        case .open(let opening):
            recorder.queue.put(.open(plan(opening, kept.format, in: &state), nextVideoDTS: nil))
            recorder.queue.put(.packet(kept.packet))
        case .cut(let opening):
            recorder.queue.put(.open(plan(opening, kept.format, in: &state), nextVideoDTS: kept.packet.dts))
            recorder.queue.put(.packet(kept.packet))
        }
    }

    private func plan(
        _ opening: SegmentCutter.Opening, _ format: StreamFormat, in state: inout State
    ) -> SegmentPlan {
        let clock = state.clock ?? SessionClock(ServiceClock.now())
        if opening.index == 0 { state.startedAt = opening.time }
        let gap = opening.gap.map {
            SegmentManifest.Gap(
                from: clock.wall(at: $0.from), to: clock.wall(at: $0.to), cause: $0.cause,
                framesLost: $0.framesLost)
        }
        let manifest = SegmentManifest(
            session: opening.session, camera: camera.id, node: node, index: opening.index,
            firstFrame: opening.firstFrame, startedAt: clock.wall(at: opening.time),
            sessionStartedAt: clock.wall(at: state.startedAt ?? opening.time),
            sessionOffsetNanoseconds: opening.sessionOffset.nanoseconds,
            offsetSeconds: opening.offset?.publishedSeconds, gap: gap)
        return SegmentPlan(opening: opening, manifest: manifest, format: format)
    }

    // MARK: What the Core wants

    /// Begins a session with the newest group of pictures in the ring, or as much more as the pre-roll asks for.
    func beginSession(
        _ place: SegmentCutter.Place, clock: SessionClock, schedule: SegmentCutter.Schedule, preroll: Duration
    ) {
        state.withLock { state in
            state.cutter.begin(place, schedule: schedule)
            state.clock = clock
            state.startedAt = place.startedAt
            state.overrun = OverrunGuard()
            guard place.gap == nil, state.run != 0 else { return }
            let from = ServiceClock.now().monotonic - preroll
            for kept in state.ring.elements(from: from) { record(kept, in: &state) }
            recorder.queue.allowBurst()
        }
    }

    func endSession(_ reason: SegmentEnd) {
        state.withLock { state in
            guard let session = state.cutter.session else { return }
            let (now, nextFrame) = (ServiceClock.now().monotonic, state.cutter.nextFrame)
            let gap = state.cutter.end(at: now)
            recorder.queue.put(
                .end(SessionEnding(session: session, reason: reason, gap: gap, at: now, nextFrame: nextFrame)))
        }
    }

    func setSchedule(_ schedule: SegmentCutter.Schedule) { state.withLock { $0.cutter.setSchedule(schedule) } }

    /// Cuts at the first key frame at or after `time`.
    func cut(at time: MonotonicTime) {
        let wish = state.withLock { state in
            // Wishes beyond what the cutter holds are answered by the cuts that it makes for the others.
            _ = state.cutter.rotate(at: time)
            return state.cutter.nextWish
        }
        if let wish { runs.withLock { $0.current?.source }?.requestKeyFrame(from: wish) }
    }

    func loseFrames(_ cause: GapCause) {
        state.withLock { state in
            let wasOpen = state.cutter.isOpen
            state.cutter.lose(cause, at: ServiceClock.now().monotonic)
            state.ring.removeAll()
            if wasOpen { recorder.queue.put(.close(.error)) }
        }
    }

    func requestKeyFrame() { runs.withLock { $0.current?.source }?.requestKeyFrame() }

    /// Begins with the newest key frame, and nothing between it and the next frame is missed.
    func openPublisher(run: Int) {
        state.withLock { state in
            publisher.open(run: run, beginning: Array(state.ring.elements(from: ServiceClock.now().monotonic)))
        }
    }

    func closePublisher() { publisher.close() }

    /// Makes pictures of the newest frame; `publish` gets each one as soon as all are on disk.
    func takeSnapshot(
        job: Int, _ wishes: [SnapshotCommand], publish: @escaping @Sendable (SnapshotTaker.Picture) -> Void
    ) {
        let deadline = ServiceClock.now().monotonic + camera.lifecycle.snapshot.startTimeout
        let job = SnapshotThread.Job(wishes: wishes, deadline: deadline) { [report] outcome in
            if case .success(let pictures) = outcome { pictures.forEach(publish) }
            report(.snapshotTaken(job: job, outcome.map { $0.map(\.facts) }))
        }
        let stream = SnapshotThread.Stream { [weak self] in
            let now = ServiceClock.now().monotonic
            return self?.state.withLock { Array($0.ring.elements(from: now)) } ?? []
        } requestKeyFrame: { [weak self] in
            self?.requestKeyFrame()
        }
        snapshots.put(job, from: stream)
    }

    func allowOpening() { state.withLock { $0.cutter.allowOpening() } }

    /// Takes back what the recorder could not write, and what waits behind it. False if the session has ended.
    private func storageLost(_ loss: SegmentRecorder.Loss) -> Bool {
        state.withLock { state in
            guard state.cutter.session == loss.session else { return false }
            state.cutter.lose(
                loss.cause, at: loss.keptUntil, firstLost: loss.firstLost, mayOpen: false)
            recorder.queue.dropMedia()
            return true
        }
    }

    /// What happened since the last call.
    func takeStats() -> PipelineStats {
        state.withLock { state in
            var stats = state.stats
            stats.prerollCut = UInt64(state.ring.overruns + state.ring.groupsCut)
            state.stats.beginPeriod()
            return stats
        }
    }

    func quit() {
        closeSource()
        publisher.close()
        recorder.queue.put(.quit)
    }
}
