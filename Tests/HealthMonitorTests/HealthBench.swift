import BusContract
import Domain
import HealthMonitorCore
import TestSupport

/// A health-monitor that leads a small fleet, on a clock that the test moves.
final class HealthBench {
    static let front = CameraID(unchecked: "front")
    static let attic = NodeID(unchecked: "attic")
    static let own = InstanceID(unchecked: "attic")
    static let worker = ServiceAddress(.captureWorker, InstanceID(unchecked: "front"))

    private(set) var core: HealthCore
    var now = Now(monotonic: MonotonicTime(nanoseconds: 5_000_000_000), wall: WallTime(milliseconds: 1_800_000_000_000))
    private(set) var wake: MonotonicTime?
    /// Everything since the last call of `take`.
    private var effects: [HealthEffect] = []
    private(set) var stats = StreamStats()

    init(_ settings: HealthSettings = HealthSettings(), leading: Bool = true) {
        core = HealthCore(settings, own: Self.own, seed: 1)
        guard leading else { return }
        step(.busConnected)
        pass(LeaderLease.span + .seconds(2))
        _ = take()
    }

    func step(_ event: HealthEvent) {
        let new = core.handle(event, at: now)
        effects += new
        for effect in new {
            if case .wake(let time) = effect { wake = time }
        }
        // The broker gives a leader its own word.
        for effect in new {
            if case .publishLeader(let leader) = effect { step(.leaderReported(leader)) }
        }
    }

    /// Lets time pass, with every wake that is asked for in it.
    func pass(_ span: Duration) {
        let end = now + span
        while let due = wake, due <= end.monotonic {
            now = now + max(due - now.monotonic, .zero)
            wake = nil
            step(.woke)
        }
        now = now + (end.monotonic - now.monotonic)
    }

    func take() -> [HealthEffect] {
        defer { effects = [] }
        return effects
    }

    /// A worker that is there, streams and records.
    func record() {
        online()
        step(.streamReported(Self.front, stream(.active)))
        step(.recordingReported(Self.front, RecordingState(state: .recording)))
    }

    func online(_ started: Int64 = 1_800_000_000_000, session: String = "a") {
        step(
            .serviceReported(
                Self.worker, Self.service(.online, started: started, session: session), sentAt: nil))
        step(.availabilityReported(Self.front, .online))
    }

    static func service(
        _ state: ServiceState.Presence, started: Int64, session: String, orderly: Bool? = nil
    ) -> ServiceState {
        ServiceState(
            state: state, version: "0.1.0", node: attic, pid: 7, startedAt: WallTime(milliseconds: started),
            session: session, orderly: orderly)
    }

    func mediaServer(reachable: Bool = true, path: MediaServerState.Path?) {
        let paths = path.map { [Self.front.rawValue: $0] } ?? [:]
        let state = MediaServerState(
            reachable: reachable, breaker: reachable ? .closed : .open, mode: .api, paths: reachable ? paths : [:])
        step(.mediaServerReported(Self.attic, state))
    }

    /// The state of the storage, every minute.
    func fill(minutes: Int, from free: Int64, by bytes: Int64, keeping kept: Int64? = nil) {
        for minute in 0..<minutes {
            let state = StorageState(
                totalBytes: 500_000_000_000, freeBytes: free - Int64(minute) * bytes, minFreeBytes: kept, usedBytes: 0,
                oldestAt: nil, status: .ok)
            step(.storageReported(Self.attic, state, sentAt: nil))
            pass(.seconds(60))
        }
    }

    func stream(_ phase: StreamState.Phase, restarts: Int = 0, error: CodedError? = nil) -> StreamState {
        StreamState(
            state: phase, leases: .init(recording: 1), source: "rtsp://10.0.0.7/live", restarts: restarts,
            error: error.map(PublishedError.init))
    }

    /// Statistics every 2 s for `span`.
    func play(
        _ span: Duration, fps: Double = 25, interval: Double = 0.05, growsFiles: Bool = true, dropped: UInt64 = 0,
        partWrite: Double = 0.005, clock: Duration = .zero
    ) {
        for _ in 0..<Int(span.seconds / 2) {
            pass(.seconds(2))
            stats.framesTotal += UInt64(fps * 2)
            if growsFiles { stats.writtenBytesTotal = (stats.writtenBytesTotal ?? 0) + 10_000 }
            stats.maxInterarrivalSeconds = fps > 0 ? interval : 0
            stats.droppedTotal += dropped
            stats.partWriteSecondsP99 = partWrite
            step(.statsReported(Self.front, stats, sentAt: now.wall + clock - .milliseconds(1)))
        }
    }

    /// The last verdict on the camera that was published, of all effects since `take`.
    func verdict() -> CameraHealth? {
        effects.compactMap { if case .publishCamera(Self.front, let health) = $0 { health } else { nil } }.last
    }

    func restarts() -> [RestartCommand] {
        effects.compactMap { if case .restart(Self.front, let command) = $0 { command } else { nil } }
    }

    /// What was said of the camera that was not good.
    func complaints() -> [CameraHealth] {
        effects.compactMap { effect in
            guard case .publishCamera(Self.front, let health) = effect, health.status != .ok else { return nil }
            return health
        }
    }

    func nodeVerdict() -> NodeHealth? {
        effects.compactMap { if case .publishNode(Self.attic, let health) = $0 { health } else { nil } }.last
    }

    func serviceVerdict() -> ServiceHealth? {
        effects.compactMap { if case .publishService(Self.worker, let health) = $0 { health } else { nil } }.last
    }
}
