internal import BusContract
package import Domain

/// What a worker needs to know of its camera.
package struct WorkerSettings: Hashable, Sendable {
    package var camera: CameraID
    package var node: NodeID
    /// Without credentials.
    package var source: String
    package var recordsAlways: Bool
    package var preroll: Duration
    package var policies: LifecyclePolicies
    package var rotation: RotationSettings
    package var publishing: Publishing
    /// Where a player finds the stream, without credentials; nil if there is no media server.
    package var viewURL: String?
    /// Whether the media server holds the connection to the camera and the worker reads from it.
    package var readsFromMediaServer: Bool
    /// Whether the source is a camera at this machine, which lets one turn its controls.
    package var hasControls: Bool
    package var boot: String

    /// When the media server gets the stream.
    package enum Publishing: Hashable, Sendable {
        /// There is no media server, or it pulls the stream itself.
        case never
        /// While somebody watches, and for the close-after of viewing.
        case onDemand
        /// Whenever the stream runs.
        case always
    }

    package init(
        camera: CameraID, node: NodeID, source: String, recordsAlways: Bool = false, preroll: Duration = .zero,
        policies: LifecyclePolicies = LifecyclePolicies(), rotation: RotationSettings = RotationSettings(),
        publishing: Publishing = .never, viewURL: String? = nil, readsFromMediaServer: Bool = false,
        hasControls: Bool = false, boot: String
    ) {
        self.camera = camera
        self.node = node
        self.source = source
        self.recordsAlways = recordsAlways
        self.preroll = preroll
        self.policies = policies
        self.rotation = rotation
        self.publishing = publishing
        self.viewURL = viewURL
        self.readsFromMediaServer = readsFromMediaServer
        self.hasControls = hasControls
        self.boot = boot
    }
}

/// The mind of a capture-worker: leases, the life of the source, the session.
///
/// Owns every decision of a worker but those of single frames (`SegmentCutter`, `TimestampRepair`). Invariants: a
/// session runs exactly while a recording lease is held; the source runs while anything is leased, while its
/// close-after lasts or while pre-roll is wanted; states are published when they differ from the last ones published,
/// and memory is written when it differs from the last one written. The Shell's loop calls `handle` with everything
/// that happens and performs the effects in their order. No clock, no chance but the seed it is given, no IO.
package struct WorkerCore: Hashable, Sendable {
    /// One recording session that runs.
    struct Session: Hashable, Sendable {
        var id: SessionID
        var since: WallTime
        /// The first frame of its first segment, once there is one.
        var startedAt: WallTime
        var clock: SessionClock
        var segment: RecordingState.OpenSegment?
        var segmentOffset: Duration?
        /// The newest segment's first frame and the boundary that it answered.
        var newestTime: MonotonicTime?
        var newestWish: MonotonicTime?
        var nextIndex: Int
        var nextFrame: UInt64
        var hasFrameOnDisk = false
        /// Why the source failed last, if it did.
        var lastLoss: GapCause?
        var preroll: Duration?
        var schedule: SegmentCutter.Schedule
        var storageError: CodedError?
        var storageFailures = 0
        var storageRetryAt: MonotonicTime?
    }

    /// Why a worker has not started: the disk does not give it its folder.
    struct FolderWait: Hashable, Sendable {
        var error: CodedError?
        var failures = 0
        var retryAt: MonotonicTime?
    }

    /// A command whose reply waits for something to happen.
    struct Waiter: Hashable, Sendable {
        enum Wish: Hashable, Sendable {
            case firstFrame
            case view
            case cut(MonotonicTime)
            case end(SessionID)
        }
        var token: CommandToken
        var wish: Wish
        var since: MonotonicTime
        var deadline: MonotonicTime
    }

    /// How long a reply to a rotation waits for a key frame.
    package static let rotationTimeout = CommandLimits.rotationAnswerMax
    /// How long a reply to a stop waits for the last file.
    package static let stopTimeout = CommandLimits.stopAnswerMax
    /// How long a worker that must end waits for its last file. A disk that hangs longer has cost that part already.
    package static let exitTimeout: Duration = .seconds(30)
    /// Replies that wait at once; more commands are refused with `conflict`.
    package static let waitersMax = 256
    /// Changes of controls at once; more are refused with `conflict`.
    package static let turningMax = 8
    /// Between looks at a disk that refused. A look is one small file, so that recording goes on soon after there is
    /// space.
    package static let storageBackoff = Backoff(first: .milliseconds(500), most: .seconds(2), jitter: 0)
    /// Between attempts to write the memory.
    package static let memoryRetryAfter: Duration = .seconds(5)
    /// Between attempts to take a folder that is not there.
    package static let folderBackoff = Backoff(first: .seconds(1), most: .seconds(30), jitter: 0)

    /// How long a stream stays published at least after its last viewing lease: longer than the media server waits
    /// before it tells of its last reader's leaving (`runOnDemandCloseAfter`), since a reader who comes in between is
    /// held without a word.
    package static let lingerMin: Duration = .seconds(4)
    /// How long the last look at the readers may take.
    package static let lookTimeout: Duration = .seconds(2)
    /// What the config-writer has to take a lease for readers that the last look found.
    package static let readersGrace: Duration = .seconds(15)
    /// How long the stream stays published for readers who were there when somebody could last tell, while broker or
    /// config-writer are away; and how often it is asked meanwhile.
    package static let unansweredMax: Duration = .seconds(3600)
    package static let unansweredPause: Duration = .seconds(15)

    let settings: WorkerSettings
    var rotation: RotationSettings
    var rotationShift: Duration = .zero
    var plannedNext: WallTime?
    var leases = LeaseBook()
    var stream = StreamMachine()
    var publisher = PublishMachine()
    var snapshots = SnapshotQueue()
    /// Readers at the media server, as it last said.
    var readers: Int?
    /// And how many have begun there.
    var readersTotal: UInt64?
    /// Since when nobody can say whether those who were there last still watch, though their time is over.
    var unansweredSince: MonotonicTime?
    /// Until when the answer to the last look may come.
    var look: MonotonicTime?
    /// Which way the next run of the source takes.
    var way: SourceWay
    var facts: SourceFacts?
    var startedIn: Duration?
    var session: Session?
    /// Sessions whose last file is not complete yet.
    var endingSessions: [SessionID] = []
    /// Of the last session that ended: its last gap is told in it.
    var lastClock: SessionClock?
    /// The pre-roll that the command asked for that begins the next session.
    var wantedPreroll: Duration?
    var closesAt: [UseCase: MonotonicTime] = [:]
    var waiters: [Waiter] = []
    /// Changes of controls that are under way.
    var turning = 0
    var isStarted = false
    var folder = FolderWait()
    var stopCause: StopCause?
    /// With `stopCause`: when the process ends even if its last file is not complete.
    var exitBy: MonotonicTime?
    /// When the memory is written again that the disk has refused.
    var memoryRetryAt: MonotonicTime?
    var hasExited = false
    private var generator: SplitMix64
    private var published = Published()

    private struct Published: Hashable, Sendable {
        var stream: StreamState?
        var recording: RecordingState?
        var viewing: ViewingState?
        var memory: WorkerMemory?
        var wake: MonotonicTime?
    }

    /// - Parameter seed: random, drawn once per process; session ids and the spread of retries come from it.
    package init(_ settings: WorkerSettings, seed: UInt64) {
        self.settings = settings
        rotation = settings.rotation
        way = SourceWay(isOfMediaServer: settings.readsFromMediaServer)
        generator = SplitMix64(state: seed)
    }

    package mutating func handle(_ event: WorkerEvent, at now: Now) -> [WorkerEffect] {
        guard !hasExited else { return [] }
        let effects = lookBeforeClosing(at: now) + perform(event, at: now) + settle(at: now)
        // What the next worker must know is on disk before anything is done or answered.
        return remember() + effects
    }

    private mutating func perform(_ event: WorkerEvent, at now: Now) -> [WorkerEffect] {
        switch event {
        case .started(let memory, let tail): started(memory, tail: tail, at: now)
        case .folderRefused(let error): folderRefused(error, at: now)
        case .commanded(let command, let token): commanded(command, token: token, at: now)
        case .planReceived(let plan): planReceived(plan, at: now)
        case .sourceOpened(let facts, let run): sourceOpened(facts, run: run)
        case .keyFrameCame(let run): streamEffects(.keyFrameCame(run: run), at: now)
        case .formatChanged(let facts, let run): sourceOpened(facts, run: run)
        case .sourceFailed(let error, let run): streamEffects(.sourceFailed(error, run: run), at: now)
        case .sourceEnded(let run): sourceEnded(run: run, at: now)
        case .segmentOpened(let opened): segmentOpened(opened, at: now)
        case .firstPartWritten(let id, _): firstPartWritten(id, at: now)
        case .segmentClosed(let closed): segmentClosed(closed)
        case .overran, .prerollCut, .sourceNoted, .controlsUnread: []
        case .storageFailed(let id, let error): storageFailed(id, error, at: now)
        case .storageProbed(let error): storageProbed(error, at: now)
        case .sessionEnded(let id, let gap): sessionEnded(id, gap: gap)
        case .publisherConnected(let run): publisherEffects(.connected(run: run), at: now)
        case .publisherFailed(let error, let run): publisherEffects(.failed(error, run: run), at: now)
        case .readersReported(let count, let total): readersReported(count, total, at: now)
        case .readersCounted(let count, let total): readersCounted(count, total, at: now)
        case .snapshotTaken(let job, let outcome): snapshotTaken(job: job, outcome, at: now)
        case .segmentLeft: []
        case .controlsRead(let state): [.publishControls(state)]
        case .controlsTurned(let outcome, let token, let refusal): controlsTurned(outcome, refusal, token: token)
        case .notRemembered: notRemembered(at: now)
        case .woke: woke(at: now)
        case .stopDemanded(let cause): stopDemanded(cause, at: now)
        }
    }

    /// Brings everything that follows from leases and clocks up to date, then says what changed.
    private mutating func settle(at now: Now) -> [WorkerEffect] {
        guard stopCause == nil || isStarted else {
            // Told to stop while it still waited for its folder: there is nothing to finish.
            return settleStop(at: now)
        }
        guard isStarted else {
            // What nothing is known of yet is not published, but that no recording is possible.
            return folder.error == nil ? [] : announce(at: now)
        }
        var effects: [WorkerEffect] = []
        if stopCause == nil {
            expireLeases(at: now)
            closesAt = closesAt.filter { $0.value > now.monotonic }
            effects += settleSession(at: now)
            effects += settleStream(at: now)
            effects += settleWay(at: now)
            effects += settleSnapshots(at: now)
            // A snapshot that has just ended may have been the last to want the stream.
            effects += settleStream(at: now)
            effects += settlePublisher(at: now)
        } else {
            effects += settleStop(at: now)
        }
        effects += timeOutWaiters(at: now)
        effects += announce(at: now)
        return effects
    }

    private mutating func announce(at now: Now) -> [WorkerEffect] {
        var effects: [WorkerEffect] = []
        let stream = streamState(at: now)
        if stream != published.stream {
            published.stream = stream
            effects.append(.publishStream(stream))
        }
        let recording = recordingState()
        if recording != published.recording {
            published.recording = recording
            effects.append(.publishRecording(recording))
        }
        let viewing = viewingState(at: now)
        if viewing != published.viewing {
            published.viewing = viewing
            effects.append(.publishViewing(viewing))
        }
        let wake = nextDeadline
        if wake != published.wake {
            published.wake = wake
            effects.append(.wake(at: wake))
        }
        return effects
    }

    /// A worker that stops leaves its memory as it is: leases and session are the next one's.
    private mutating func remember() -> [WorkerEffect] {
        let memory = memory
        guard isStarted, stopCause == nil, memory != published.memory else { return [] }
        published.memory = memory
        return [.remember(memory)]
    }

    private mutating func notRemembered(at now: Now) -> [WorkerEffect] {
        memoryRetryAt = now.monotonic + Self.memoryRetryAfter
        return []
    }

    /// What is due is taken for unwritten.
    mutating func retryMemory(at now: Now) {
        guard let retryAt = memoryRetryAt, retryAt <= now.monotonic else { return }
        memoryRetryAt = nil
        published.memory = nil
    }

    private var nextDeadline: MonotonicTime? {
        let waiting = waiters.map(\.deadline)
        let lingering = leases.isLeased(.viewing) ? nil : closesAt[.viewing]
        let others = [
            leases.nextDeadline, stream.nextDeadline, publisher.nextDeadline, snapshots.nextDeadline, lingering,
            session?.storageRetryAt, folder.retryAt, memoryRetryAt, exitBy,
        ].compactMap { $0 }
        return (waiting + others).min()
    }

    // What tests and the simulation look at.
    package var isRecordingLeased: Bool { leases.isLeased(.recording) }
    package func isLeased(_ useCase: UseCase) -> Bool { leases.isLeased(useCase) }
    package var publisherRun: Int { publisher.run }
    package var streamState: StreamMachine.State { stream.state }
    package var nextWake: MonotonicTime? { nextDeadline }
    package var run: Int { stream.run }

    var memory: WorkerMemory {
        WorkerMemory(
            boot: settings.boot, leases: leases.records,
            session: session.map {
                WorkerMemory.Session(
                    id: $0.id, startedAt: $0.startedAt, clock: $0.clock, nextIndex: $0.nextIndex,
                    nextFrame: $0.nextFrame, newestAt: $0.segment?.startedAt ?? $0.startedAt)
            })
    }

    mutating func drawSession() -> SessionID { SessionID(high: generator.next(), low: generator.next()) }
    /// 0..<1.
    mutating func drawChance() -> Double { generator.unit() }
}
