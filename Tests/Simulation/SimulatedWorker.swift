import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// One process of the capture-worker: its Cores, and what of its Shell decides about frames. It dies as a whole.
final class SimulatedWorker {
    enum Job {
        case open(SegmentCutter.Opening, SegmentManifest)
        case picture(SimulatedCamera.Picture)
        case close(SegmentEnd)
        case end(Ending)

        var isMedia: Bool {
            switch self {
            case .open, .picture: true
            case .close, .end: false
            }
        }
    }

    /// How a session ended, as the pipeline saw it.
    struct Ending {
        var session: SessionID
        var reason: SegmentEnd
        var gap: SegmentCutter.EndedGap?
        var at: MonotonicTime
        var nextFrame: UInt64
    }

    /// What the camera delivered while a session recorded.
    struct Given {
        /// The first picture that a file could begin with.
        var first: SimulatedCamera.Picture?
        var newest: SimulatedCamera.Picture?
    }

    /// Frames that could not be written when their session had ended for the pipeline: its end tells them.
    struct Loss {
        var session: SessionID
        var firstLost: UInt64
        var keptUntil: MonotonicTime
        var cause: GapCause

        func gap(with ending: Ending) -> SegmentCutter.EndedGap? {
            guard session == ending.session, firstLost < ending.nextFrame else { return ending.gap }
            let isCounted = ending.gap.map { $0.framesLost != nil } ?? true
            return SegmentCutter.EndedGap(
                from: keptUntil, to: max(ending.gap?.to ?? ending.at, keptUntil), cause: cause,
                framesLost: isCounted ? ending.nextFrame - firstLost : nil)
        }
    }

    /// The file that the recorder writes.
    struct OpenFile {
        var path: SegmentPath
        var opening: SegmentCutter.Opening
        var startedAt: WallTime
        var framesOnDisk: UInt64 = 0
        /// The moment of the first picture that is not on disk.
        var keptUntil: MonotonicTime
        /// The part in memory.
        var unwritten: Range<Int>?
        var unwrittenSince: MonotonicTime = .zero
        var newestAt: MonotonicTime = .zero
        var newestPicture: MonotonicTime = .zero
    }

    /// Parts are at most this long, in media time and in memory.
    static let partMax: Duration = .seconds(1)
    /// Jobs that may wait before frames are dropped, and the depth at which frames are taken again.
    static let jobsMax = 40
    static let jobsLow = 10

    /// Tells this process from every other of the simulation.
    let id: Int
    var core: WorkerCore
    var cutter = SegmentCutter()
    var clock: SessionClock?
    var sessionStartedAt: MonotonicTime?
    /// The source's run whose pictures are taken; 0: none.
    var run = 0
    var wantedRun: Int?
    var hasKeyFrame = false
    var group: [SimulatedCamera.Picture] = []
    var hasOverrun = false
    var jobs: [Job] = []
    var isDraining = false
    var file: OpenFile?
    var untold: Loss?
    /// Of the session that runs, since this process began it.
    var given = Given()
    var wakeToken = 0
    var newestReport: MonotonicTime = .zero
    /// SIGSTOP: nothing runs until then, and what comes waits in the process; pictures do not wait.
    var hungUntil = MonotonicTime.zero
    /// Pictures that came meanwhile.
    var missed = 0
    var stream: StreamState?
    var recording: RecordingState?
    /// The connection to the media server that is open or being opened.
    var publisherRun: Int?

    init(id: Int, settings: WorkerSettings, seed: UInt64) {
        self.id = id
        core = WorkerCore(settings, seed: seed)
    }
}

/// What outlives the worker's process: its state folder.
struct WorkerState {
    var memory: WorkerMemory?
    var outbox: [(number: Int, message: SimulatedMessage)] = []
    var nextNumber = 0
}

/// What travels on the simulated bus.
enum SimulatedMessage: Sendable {
    case availability(CameraAvailability)
    case stream(StreamState)
    case recording(RecordingState)
    case plan(RotationState)
    case segment(SegmentEvent)
    case gap(GapEvent)
    case command(CameraCommand, number: UInt64)
    case accepted(CommandResult, number: UInt64)
    case refused(CodedError, number: UInt64)

    var topic: String {
        switch self {
        case .availability: "availability"
        case .stream: "stream"
        case .recording: "recording"
        case .plan: "rotation"
        case .segment: "segment"
        case .gap: "gap"
        case .command: "set"
        case .accepted, .refused: "reply"
        }
    }

    var isRetained: Bool {
        switch self {
        case .availability, .stream, .recording, .plan: true
        case .segment, .gap, .command, .accepted, .refused: false
        }
    }
}
