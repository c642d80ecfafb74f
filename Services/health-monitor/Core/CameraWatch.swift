internal import BusContract
internal import Domain

/// What is known of one camera, and what it amounts to.
///
/// Owns the newest states of its worker and what they were like before. Invariants: a camera that nobody wants anything
/// of is well when its worker is there; a pause of the camera's own length is no trouble, since what is allowed is
/// learnt from the camera; that a count stands still is believed of what the worker says, never of its silence, which
/// is another trouble; nothing is judged by a state from before the worker's present life. Called by `HealthCore`,
/// which publishes the verdict and performs the restarts.
struct CameraWatch: Hashable, Sendable {
    /// Without statistics for longer the worker is silent: they come every 2 s.
    static let silentAfter: Duration = .seconds(8)
    /// Between two statistics: a count may have grown that much earlier than it was told.
    static let statsSlack: Duration = .seconds(2)
    /// What a worker may be told to wait for a first key frame, `start_timeout` at its most, and a quarter of a minute
    /// to say that it did not come: the worker gives up by itself, this is for one that does not.
    static let startingMax: Duration = .seconds(315)
    /// From a lease to the first frame on disk, where the stream runs.
    static let recordingMax: Duration = .seconds(30)
    /// A part on disk holds at most a second, is written when the frame after it has come, and may take its time.
    static let filesSlack: Duration = .seconds(6)
    /// The config-writer tells of bytes alone every 10 s. Also from a lease to live view, where the stream runs.
    static let publishingMax: Duration = .seconds(25)
    /// A part is a second long: a disk that takes longer for it falls behind.
    static let slowWrite: Duration = .seconds(1)
    /// Two statistics without another loss, the second of which may be late, and it has passed.
    static let droppingFor: Duration = .seconds(5)
    /// A worker is not back sooner: what is `offline` for less is a late will of an earlier connection, which the
    /// present one overrules at once.
    static let lateWillMax: Duration = .milliseconds(500)
    /// Restarts in an hour that are worth a word.
    static let restartsOften = 5

    private(set) var availability: CameraAvailability?
    private(set) var stream: StreamState?
    private(set) var recording: RecordingState?
    private(set) var viewing: ViewingState?
    /// Since when the stream is in its present state.
    private var streamSince: MonotonicTime?
    /// Since when recording is wanted and does not go on.
    private var notRecordingSince: MonotonicTime?
    /// Since when live view is wanted and the media server does not take the stream, and what the worker said of it.
    private var notViewedSince: MonotonicTime?
    private var viewingError: PublishedError?
    /// Since when the worker is said to be `offline`, as heard over the present connection.
    private var offlineSince: MonotonicTime?
    private var statsAt: MonotonicTime?
    private var partWrite: Duration = .zero
    private var frames = Growth()
    private var written = Growth()
    /// At the media server; has grown at no time while nothing says that the stream should be there.
    private var published = Growth()
    /// Nil while nothing is known of the server, or it has no such path.
    private var path: MediaServerState.Path?
    private var dropped = Growth()
    /// The worker knows better what its source may take until it is known: only what nobody may take is a stall.
    private var silence = StallTimeout(initial: StallTimeout.most)
    private var restarts = RebootLoop()

    /// When `assessment` may change though nothing is heard.
    private(set) var wakeAt: MonotonicTime?

    // MARK: What is heard

    mutating func take(_ state: CameraAvailability, at now: MonotonicTime) {
        if state != availability {
            forgetCounts()
            if state == .online { begin(at: now) }
        }
        offlineSince = state == .offline ? offlineSince ?? now : nil
        availability = state
    }

    /// The connection to the bus is back. What was said meanwhile was missed: no silence is older than this.
    mutating func reconnected(at now: MonotonicTime) {
        offlineSince = nil
        listenAnew(at: now)
    }

    /// The worker is there: what an earlier one said says nothing of it. It tells its states after this word.
    private mutating func begin(at now: MonotonicTime) {
        if let offlineSince, now - offlineSince > Self.lateWillMax {
            stream = nil
            recording = nil
            viewing = nil
            notRecordingSince = nil
            noteViewing(at: now)
            published.forget()
        }
        listenAnew(at: now)
    }

    private mutating func listenAnew(at now: MonotonicTime) {
        statsAt = nil
        frames.forget()
        written.forget()
        streamSince = stream == nil ? nil : now
        if notRecordingSince != nil { notRecordingSince = now }
        if notViewedSince != nil { notViewedSince = now }
        if published.grewAt != nil { published.restart(at: now) }
    }

    mutating func take(_ state: StreamState, at now: MonotonicTime) {
        if state.state != stream?.state || state.restarts != stream?.restarts { streamSince = now }
        if state.state != stream?.state {
            if !Self.delivers(state.state) || !(stream.map { Self.delivers($0.state) } ?? false) {
                forgetCounts()
                if published.grewAt != nil { published.restart(at: now) }
            }
        }
        if let before = stream?.restarts, state.restarts > before {
            for _ in 0..<min(state.restarts - before, RebootLoop.loopStarts) { restarts.began(at: now) }
        }
        stream = state
        noteRecording(at: now)
        noteViewing(at: now)
    }

    mutating func take(_ state: RecordingState, at now: MonotonicTime) {
        if state.state == .recording, recording?.state != .recording { written.restart(at: now) }
        recording = state
        noteRecording(at: now)
    }

    mutating func take(_ state: ViewingState, at now: MonotonicTime) {
        let wasActive = viewing?.state == .active
        viewing = state
        noteViewing(at: now)
        if (state.state == .active) != wasActive { notePath(viewersCame: !wasActive, at: now) }
    }

    mutating func take(_ stats: StreamStats, at now: MonotonicTime) {
        statsAt = now
        frames.take(stats.framesTotal, at: now)
        if let bytes = stats.writtenBytesTotal { written.take(bytes, at: now) }
        if let before = dropped.value, stats.droppedTotal > before {
            dropped.take(stats.droppedTotal, at: now)
        } else if dropped.value == nil || stats.droppedTotal < dropped.value ?? 0 {
            dropped.forget()
            dropped.take(stats.droppedTotal, at: now - Self.droppingFor)
        }
        partWrite = .seconds(max(0, min(stats.partWriteSecondsP99, 3600)))
        if stats.maxInterarrivalSeconds > 0, stats.maxInterarrivalSeconds < 3600 {
            silence.pictureCame(after: .seconds(stats.maxInterarrivalSeconds), at: now)
        }
    }

    /// What the media server has of the camera's path; nil: it has none. Where nobody publishes, the config-writer
    /// makes no path; where it has made one, what is lost on the way to it is missing there.
    mutating func take(path: MediaServerState.Path?, at now: MonotonicTime) {
        self.path = path
        notePath(at: now)
    }

    /// Nobody can tell what the media server has.
    mutating func mediaServerUnknown() {
        path = nil
        published.forget()
    }

    /// A path that is ready is published to, be it that nobody watches; one that is not should be while somebody does.
    private mutating func notePath(viewersCame: Bool = false, at now: MonotonicTime) {
        let isViewed = viewing?.state == .active
        if let path, path.ready {
            published.take(path.bytes, at: now)
        } else if !isViewed {
            published.forget()
        }
        if isViewed, path != nil, viewersCame || published.grewAt == nil { published.restart(at: now) }
    }

    private mutating func forgetCounts() {
        statsAt = nil
        frames.forget()
        written.forget()
        dropped.forget()
        silence = StallTimeout(initial: StallTimeout.most)
        partWrite = .zero
    }

    private mutating func noteRecording(at now: MonotonicTime) {
        let isWanted = (stream?.leases.recording ?? 0) > 0 && stream?.state == .active
        let isMissing = isWanted && (recording?.state == .off || recording?.state == .starting)
        notRecordingSince = isMissing ? notRecordingSince ?? now : nil
    }

    /// Between its attempts a worker says that it starts: what it said of the last one stands.
    private mutating func noteViewing(at now: MonotonicTime) {
        let isMissing = stream?.state == .active && (viewing?.state == .starting || viewing?.state == .failed)
        notViewedSince = isMissing ? notViewedSince ?? now : nil
        viewingError = isMissing ? viewing?.error ?? viewingError : nil
    }

    static func delivers(_ phase: StreamState.Phase) -> Bool { phase == .active || phase == .closing }

    var restartsSeen: Int { stream?.restarts ?? 0 }
}

// MARK: What it amounts to

extension CameraWatch {
    struct Assessment: Hashable, Sendable {
        var status: HealthStatus
        var reasons: [HealthReason]
        var restarts1h: Int
        /// Why the source is to be restarted; nil: it is not.
        var restart: HealthReason?
    }

    /// Whether the source has shown since its last start that it needs no help: one that is said to run and has sent
    /// nothing yet may still turn out to be stalled.
    var isProven: Bool {
        guard let stream else { return true }
        return stream.state != .starting && (!Self.delivers(stream.state) || silence.isKnown)
    }

    /// Also sets `wakeAt`.
    mutating func assess(at now: MonotonicTime) -> Assessment {
        wakeAt = restarts.wakeAt(at: now)
        restarts.forget(before: now - RebootLoop.hour)
        let restarts1h = restarts.count(within: RebootLoop.hour, at: now)
        guard let availability else {
            return Assessment(status: .unknown, reasons: [], restarts1h: restarts1h)
        }
        guard availability == .online else {
            let reason = HealthReason(.workerOffline, "its worker is not there")
            return Assessment(status: .offline, reasons: [reason], restarts1h: restarts1h)
        }
        let failing = [sourceFailed, storageFailed, recordingFailed].compactMap { $0 }
        let stuck = [
            startingTooLong(at: now), stalled(at: now), notRecording(at: now),
        ].compactMap { $0 }
        let silent = [workerSilent(at: now), filesNotGrowing].compactMap { $0 }
        let worrying = [
            storageSlow, droppingFrames(at: now), publishingStalled(at: now) ?? publishingRefused(at: now),
            restartingOften(restarts1h),
        ].compactMap { $0 }
        let reasons = failing + stuck + silent + worrying
        let status: HealthStatus = reasons.isEmpty ? .ok : reasons.count == worrying.count ? .degraded : .failing
        return Assessment(status: status, reasons: reasons, restarts1h: restarts1h, restart: stuck.first)
    }

    /// Whether `time` has come; if not, it is looked at again then.
    private mutating func isDue(_ time: MonotonicTime?, at now: MonotonicTime) -> Bool {
        guard let time else { return false }
        guard time > now else { return true }
        wakeAt = wakeAt.map { min($0, time) } ?? time
        return false
    }

    private var sourceFailed: HealthReason? {
        guard stream?.state == .failed else { return nil }
        return HealthReason(.sourceFailed, stream?.error?.message ?? "the source has failed")
    }

    private var storageFailed: HealthReason? {
        switch recording?.error?.code {
        case .storageFull: HealthReason(.storageFull, recording?.error?.message ?? "the disk is full")
        case .storageFailed: HealthReason(.storageFailed, recording?.error?.message ?? "the disk fails")
        default: nil
        }
    }

    /// Given up though the stream runs; a stream that does not says why itself.
    private var recordingFailed: HealthReason? {
        guard recording?.state == .failed, storageFailed == nil, let stream, Self.delivers(stream.state) else {
            return nil
        }
        return HealthReason(.notRecording, recording?.error?.message ?? "the recording has failed")
    }

    private mutating func startingTooLong(at now: MonotonicTime) -> HealthReason? {
        guard stream?.state == .starting, isDue(streamSince.map { $0 + Self.startingMax }, at: now) else { return nil }
        return HealthReason(.startingTooLong, "the source has been starting for \(Self.startingMax.written)")
    }

    private func stalled(at now: MonotonicTime) -> HealthReason? {
        guard let stream, Self.delivers(stream.state), statsAt.map({ now - $0 < Self.silentAfter }) ?? false else {
            return nil
        }
        guard let statsAt, let grewAt = frames.grewAt, statsAt - grewAt > silence.allowed + Self.statsSlack else {
            return nil
        }
        return HealthReason(.stalled, "no frame for more than \(silence.allowed.tenths)")
    }

    private mutating func workerSilent(at now: MonotonicTime) -> HealthReason? {
        guard let stream, Self.delivers(stream.state) else { return nil }
        guard isDue((statsAt ?? streamSince).map { $0 + Self.silentAfter }, at: now) else { return nil }
        return HealthReason(.workerSilent, "its worker has said nothing for \(Self.silentAfter.written)")
    }

    private mutating func notRecording(at now: MonotonicTime) -> HealthReason? {
        guard recording?.error == nil, isDue(notRecordingSince.map { $0 + Self.recordingMax }, at: now) else {
            return nil
        }
        return HealthReason(.notRecording, "recording is wanted and has not begun for \(Self.recordingMax.written)")
    }

    private var filesNotGrowing: HealthReason? {
        guard recording?.state == .recording, let frameAt = frames.grewAt, let writtenAt = written.grewAt else {
            return nil
        }
        // Only frames that came since can be missing on the disk.
        let allowed = silence.allowed + Self.filesSlack
        guard frameAt - writtenAt > allowed else { return nil }
        return HealthReason(.filesNotGrowing, "frames come and no file has grown for \(allowed.tenths)")
    }

    private var storageSlow: HealthReason? {
        guard partWrite > Self.slowWrite, recording?.state == .recording else { return nil }
        return HealthReason(.storageSlow, "the disk takes more than \(Self.slowWrite.written) for a second of video")
    }

    private mutating func droppingFrames(at now: MonotonicTime) -> HealthReason? {
        guard let last = dropped.grewAt, last + Self.droppingFor > now else { return nil }
        _ = isDue(last + Self.droppingFor, at: now)
        return HealthReason(.droppingFrames, "frames were dropped in the last \(Self.droppingFor.written)")
    }

    private mutating func publishingStalled(at now: MonotonicTime) -> HealthReason? {
        guard let stream, Self.delivers(stream.state) else { return nil }
        guard isDue(published.grewAt.map { $0 + silence.allowed + Self.publishingMax }, at: now) else { return nil }
        return HealthReason(.publishingStalled, "the media server gets nothing of the stream")
    }

    private mutating func publishingRefused(at now: MonotonicTime) -> HealthReason? {
        guard isDue(notViewedSince.map { $0 + Self.publishingMax }, at: now) else { return nil }
        let waited = "live view is wanted and has not begun for \(Self.publishingMax.written)"
        return HealthReason(.publishingStalled, viewingError?.message ?? waited)
    }

    private func restartingOften(_ restarts1h: Int) -> HealthReason? {
        guard restarts1h >= Self.restartsOften else { return nil }
        return HealthReason(.restartingOften, "the source was restarted often in the last hour")
    }
}
