internal import BusContract
internal import Domain

/// What is known of one camera: the newest of each state, and what its events add up to since this process started.
///
/// Invariants: bounded, whatever comes in: one text per noun, closed label sets, the last `RecentKeys.keysMax`
/// keys of events that may come twice. Owned by `MetricsCore`.
struct CameraBoard: Hashable, Sendable {
    /// Texts by noun, as they stand in the camera's document.
    private(set) var texts: [String: String] = [:]
    private(set) var isOnline = false
    private(set) var stream: StreamState?
    private(set) var recording: RecordingState?
    private(set) var viewers: Int?
    private(set) var stats: StreamStats?
    private(set) var statsAt: MonotonicTime?
    private(set) var health: CameraHealth?
    private(set) var lastHeardAt: MonotonicTime

    private(set) var activations = Histogram.activation
    private(set) var sessions = Histogram.session
    private(set) var offsets = Histogram.offset
    private(set) var snapshots = Histogram.snapshot
    private(set) var segmentEnds: [SegmentEnd: UInt64] = [:]
    private(set) var recordedFrames: UInt64 = 0
    private(set) var recordedBytes: UInt64 = 0
    private(set) var recordedSeconds: Double = 0
    private(set) var gapCounts: [GapCause: UInt64] = [:]
    private(set) var gapSeconds: [GapCause: Double] = [:]
    private(set) var errors: [ErrorCode: UInt64] = [:]

    private var span: HistorySample
    private var lastSnapshotAt: WallTime?
    private let since: WallTime
    private var seen = RecentKeys()

    /// Two periods of telemetry and some patience; then it says nothing of now any more.
    static let statsLast: Duration = .seconds(7)

    init(_ camera: CameraID, at now: Now) {
        lastHeardAt = now.monotonic
        since = now.wall
        span = HistorySample(.camera(camera), at: HistoryStep.tenSeconds.start(of: now.wall))
    }

    /// Stats that still hold.
    func currentStats(at now: MonotonicTime) -> StreamStats? {
        guard let stats, let statsAt, now - statsAt <= Self.statsLast else { return nil }
        return stats
    }

    var isKnown: Bool { !texts.isEmpty }

    /// - Returns: false for what was told before and counts once.
    mutating func fold(_ report: CameraReport, json: String, at now: Now) -> Bool {
        lastHeardAt = now.monotonic
        switch report {
        case .availability(let word): isOnline = word == .online
        case .stream(let state): fold(state)
        case .recording(let state): fold(state, at: now)
        case .viewing(let state): viewers = state.viewers
        case .snapshot(let state): fold(state)
        case .stats(let stats): fold(stats, at: now)
        case .health(let report): health = report
        case .rotation, .configuration: break
        case .segment(let event):
            guard seen.insert("\(event.event.rawValue) \(event.session) \(event.index)") else { return false }
            fold(event)
            return true
        case .gap(let gap):
            guard seen.insert("gap \(gap.session) \(gap.from.milliseconds)") else { return false }
            gapCounts[gap.cause, default: 0] += 1
            gapSeconds[gap.cause, default: 0] += gap.seconds
            return true
        case .error(let error):
            errors[error.code, default: 0] += 1
            return true
        }
        texts[report.noun] = json
        return true
    }

    mutating func clear(_ noun: String) {
        texts[noun] = nil
        switch noun {
        case "availability": isOnline = false
        case "stream": stream = nil
        case "recording": recording = nil
        case "viewing": viewers = nil
        case "stats": stats = nil
        case "health": health = nil
        default: break
        }
    }

    // MARK: States

    /// Only a change from something else is an activation: after a connect the broker says again what was said before.
    private mutating func fold(_ state: StreamState) {
        if let before = stream, before.state != .active, before.state != .closing, state.state == .active,
            let seconds = state.startedInSeconds
        {
            activations.observe(seconds)
        }
        stream = state
    }

    private mutating func fold(_ state: RecordingState, at now: Now) {
        if let before = recording, let session = before.session, let since = before.since,
            state.session != session || state.state == .off
        {
            sessions.observe((now.wall - since).seconds)
        }
        recording = state.session == nil && state.state == .off ? RecordingState(state: .off) : state
    }

    private mutating func fold(_ state: SnapshotState) {
        // What is older than this board is what the broker kept.
        if state.capturedAt >= since, lastSnapshotAt != state.capturedAt { snapshots.observe(state.tookSeconds) }
        lastSnapshotAt = state.capturedAt
    }

    private mutating func fold(_ next: StreamStats, at now: Now) {
        var sample = HistorySample(span.subject, at: span.at, count: 1)
        sample.fps = next.fps
        sample.bitrateBps = next.bitrateBps
        sample.partWriteSeconds = next.partWriteSecondsP99
        if let stats, next.droppedTotal >= stats.droppedTotal {
            sample.droppedFrames = Double(next.droppedTotal - stats.droppedTotal)
        }
        span = span.merged(with: sample)
        stats = next
        statsAt = now.monotonic
    }

    // MARK: Events

    private mutating func fold(_ event: SegmentEvent) {
        switch event.event {
        case .opened:
            if let offset = event.offsetSeconds { offsets.observe(offset) }
        case .closed:
            if let reason = event.reason { segmentEnds[reason, default: 0] += 1 }
            // Bounded by `RecordingLimits`; a sum that does not fit any more stays where it is.
            recordedFrames = recordedFrames.adding(event.frames ?? 0)
            recordedBytes = recordedBytes.adding(event.bytes ?? 0)
            recordedSeconds += event.durationSeconds ?? 0
        }
    }

    // MARK: History

    /// The span that ends now, unless nothing happened in it.
    mutating func endSpan(of length: Duration, at now: Now) -> HistorySample? {
        var ended = span
        if recording?.state == .recording { ended.recordingSeconds = length.seconds }
        span = HistorySample(ended.subject, at: HistoryStep.tenSeconds.start(of: now.wall))
        return ended.isEmpty ? nil : ended
    }
}

/// The newest keys of events that are delivered at least once; what is older than all of them is taken for new.
struct RecentKeys: Hashable, Sendable {
    static let keysMax = 64
    private var keys: [String] = []

    /// - Returns: false if it is there already.
    mutating func insert(_ key: String) -> Bool {
        guard !keys.contains(key) else { return false }
        if keys.count >= Self.keysMax { keys.removeFirst() }
        keys.append(key)
        return true
    }
}

extension UInt64 {
    fileprivate func adding(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? self : sum
    }
}
