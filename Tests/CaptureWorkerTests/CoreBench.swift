import BusContract
import CaptureWorkerCore
import Domain
import Testing

/// A worker's Core with a clock, and the Shell's part played by hand.
struct CoreBench {
    static let camera = CameraID(unchecked: "front")
    var core: WorkerCore
    var now = Now(
        monotonic: MonotonicTime(nanoseconds: 1_000_000_000_000), wall: WallTime(milliseconds: 1_800_000_000_000))
    private var tokens: UInt64 = 0

    init(_ change: (inout WorkerSettings) -> Void = { _ in }) {
        var settings = WorkerSettings(
            camera: Self.camera, node: NodeID(unchecked: "node1"), source: "test://pattern",
            rotation: RotationSettings(interval: .seconds(10), align: .clock), boot: "boot1")
        change(&settings)
        core = WorkerCore(settings, seed: 7)
    }

    mutating func step(_ event: WorkerEvent, after span: Duration = .zero) -> [WorkerEffect] {
        now = now + span
        return core.handle(event, at: now)
    }

    mutating func command(
        _ command: CameraCommand, after span: Duration = .zero
    ) -> (token: CommandToken, effects: [WorkerEffect]) {
        tokens += 1
        let token = CommandToken(number: tokens)
        return (token, step(.commanded(command, token), after: span))
    }

    mutating func start(duration: Duration? = nil) -> (token: CommandToken, effects: [WorkerEffect]) {
        command(.recording(.start(holder: .manual, duration: duration, preroll: nil)))
    }

    func opened(
        _ session: SessionID, index: Int, firstFrame: UInt64, wish: MonotonicTime? = nil
    ) -> WorkerEvent {
        let opening = SegmentCutter.Opening(
            session: session, index: index, firstFrame: firstFrame, time: now.monotonic, sessionOffset: .zero,
            wish: wish, gap: nil)
        return .segmentOpened(SegmentOpened(opening: opening, file: "f\(index)", startedAt: now.wall))
    }

    mutating func view(
        _ holder: Holder = .manual, duration: Duration? = nil, after span: Duration = .zero
    ) -> (token: CommandToken, effects: [WorkerEffect]) {
        command(.viewing(.start(holder: holder, duration: duration)), after: span)
    }

    /// Up to a session with its first part on disk.
    mutating func record() throws -> SessionID {
        _ = step(.started(nil, tail: nil))
        let session = try #require(start().effects.begun?.session)
        _ = step(.keyFrameCame(run: 1), after: .milliseconds(100))
        _ = step(opened(session, index: 0, firstFrame: 0))
        _ = step(.firstPartWritten(session, index: 0), after: .milliseconds(50))
        return session
    }
}

extension [WorkerEffect] {
    var begun: SegmentCutter.Place? {
        for case .beginSession(let place, _, _, _) in self { return place }
        return nil
    }
    var remembered: WorkerMemory? {
        for case .remember(let memory) in self.reversed() { return memory }
        return nil
    }
    var recording: RecordingState? {
        for case .publishRecording(let state) in self.reversed() { return state }
        return nil
    }
    var stream: StreamState? {
        for case .publishStream(let state) in self.reversed() { return state }
        return nil
    }
    var viewing: ViewingState? {
        for case .publishViewing(let state) in self.reversed() { return state }
        return nil
    }
    func answer(to token: CommandToken) -> Result<CommandResult, CodedError>? {
        for effect in self {
            if case .reply(token, let result) = effect { return .success(result) }
            if case .refuse(token, let error) = effect { return .failure(error) }
        }
        return nil
    }
    func refusal(of token: CommandToken) -> ErrorCode? {
        guard case .failure(let error)? = answer(to: token) else { return nil }
        return error.code
    }
}
