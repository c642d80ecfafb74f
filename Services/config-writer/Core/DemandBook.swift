internal import BusContract
internal import Domain

/// Who watches at the media server, as a lease of the holder `mediamtx` on each camera that is watched. Pure.
///
/// The server tells when somebody waits for a publisher, when the last of those who came so has left, and when somebody
/// begins to read; it tells of no other leaving. Readers that it keeps waiting are counted by nobody. So: a hook takes
/// the lease, every count confirms or ends it, and where the count cannot be trusted (nobody publishes, the server does
/// not answer) the lease is kept for as long as a reader could be waiting, and no longer: until somebody publishes
/// again, if the publisher was lost under its readers. While nobody can count, who has begun to read has a lease too,
/// for `uncountedMax` if no hook is going to tell of the end.
///
/// Invariants: viewers that were counted have a lease; a lease that no viewer and no wait justifies ends; commands to a
/// worker are at least `retryPause` apart unless what they ask for changed.
struct DemandBook: Hashable, Sendable {
    /// Of a lease, unless a reader may wait longer. It dies by itself when the config-writer does.
    static let leaseDuration: Duration = .seconds(300)
    static let renewal: Duration = .seconds(60)
    /// Counts without a viewer that end a lease: one could fall between a reader's questions and its stream.
    static let quietLooksMax = 2
    /// Beyond the server's own patience with a reader.
    static let holdMargin: Duration = .seconds(5)
    static let retryPause: Duration = .seconds(1)
    /// After a refusal, or where no worker answers.
    static let again = Backoff(first: retryPause, most: .seconds(30), jitter: 0)
    /// How long a reader of whom nothing more is heard is believed in.
    static let uncountedMax: Duration = .seconds(3600)
    /// A worker's state that is older than the last command does not speak of it.
    static let answerMax: Duration = .seconds(5)

    enum Step: Hashable {
        case start(CameraID, Duration)
        case stop(CameraID)
    }

    private struct Lease: Hashable {
        var askedAt: MonotonicTime
        var endsAt: MonotonicTime
        var renewAt: MonotonicTime
    }

    private struct Demand: Hashable {
        /// How long the server keeps a reader waiting.
        var patience: Duration
        var lease: Lease?
        /// Until then a reader may be waiting whom nobody can count.
        var waitsUntil: MonotonicTime?
        var quietLooks = 0
        /// Somebody watched when it was counted last, or has begun to since.
        var isWatched = false
        /// When somebody was last known to watch; nil: never.
        var knownAt: MonotonicTime?
        /// A hook has told of the demand, and a hook will tell of its end.
        var isTold = false
        /// Somebody has published since the demand.
        var wasPublished = false
        /// The publisher was lost while it had readers: one who came back may be on hold for as long as nobody
        /// publishes, and no second event will tell of it.
        var mayHold = false
        /// The hook said that the last reader has left; the next count decides alone.
        var wantsVerdict = false
        var refusals = 0
        var retryAt: MonotonicTime?
        var stoppedAt: MonotonicTime?
        /// What its worker says of the publication.
        var isPublished = false
    }

    private var demands: [CameraID: Demand] = [:]

    mutating func configured(_ wishes: [PathWish]) -> [Step] {
        let wanted = wishes.filter { $0.kind == .published }
        let cameras = Set(wanted.map(\.camera))
        let gone = demands.filter { !cameras.contains($0.key) && $0.value.lease != nil }.keys.sorted()
        demands = demands.filter { cameras.contains($0.key) }
        for wish in wanted { demands[wish.camera, default: Demand(patience: .zero)].patience = wish.startTimeout }
        return gone.map { .stop($0) }
    }

    func knows(_ camera: CameraID) -> Bool { demands[camera] != nil }
    /// Whether a reader may be waiting. Not one who may be on hold for ever: to be cut off is the better end of that.
    func isWaiting(_ camera: CameraID, at now: MonotonicTime) -> Bool {
        demands[camera]?.waitsUntil.map { $0 > now } ?? false
    }
    func isLeased(_ camera: CameraID) -> Bool { demands[camera]?.lease != nil }
    var isAnyoneThere: Bool { demands.values.contains { $0.lease != nil || $0.wantsVerdict } }
    var wantsLook: Bool { demands.values.contains(where: \.wantsVerdict) }

    // MARK: What the server tells by itself

    mutating func demanded(_ camera: CameraID, at now: MonotonicTime) -> [Step] {
        guard var demand = demands[camera] else { return [] }
        defer { demands[camera] = demand }
        demand.waitsUntil = now + demand.patience + Self.holdMargin
        demand.quietLooks = 0
        demand.wantsVerdict = false
        demand.isTold = true
        // In a new cycle everyone on hold is told when its time is over.
        (demand.wasPublished, demand.mayHold) = (false, false)
        guard demand.lease.map({ now - $0.askedAt >= Self.retryPause }) ?? true else { return [] }
        return take(&demand, of: camera, at: now)
    }

    /// - Parameter canCount: the next look will tell more; without it the hook's word is all there is.
    mutating func undemanded(_ camera: CameraID, canCount: Bool, at now: MonotonicTime) -> [Step] {
        guard var demand = demands[camera] else { return [] }
        defer { demands[camera] = demand }
        guard canCount else {
            demand.waitsUntil = nil
            return end(&demand, of: camera, at: now)
        }
        demand.wantsVerdict = true
        return []
    }

    /// Somebody has begun to read what is published.
    mutating func readerCame(_ camera: CameraID, canCount: Bool, at now: MonotonicTime) -> [Step] {
        guard var demand = demands[camera] else { return [] }
        defer { demands[camera] = demand }
        demand.isWatched = true
        demand.knownAt = now
        demand.quietLooks = 0
        return canCount ? [] : keep(&demand, of: camera, at: now)
    }

    // MARK: What is counted

    mutating func counted(_ traffic: [String: MediaServerState.Path], at now: MonotonicTime) -> [Step] {
        demands.keys.sorted().flatMap { camera in
            counted(
                camera, traffic[camera.rawValue] ?? MediaServerState.Path(ready: false, viewers: 0, bytes: 0), at: now)
        }
    }

    private mutating func counted(
        _ camera: CameraID, _ path: MediaServerState.Path, at now: MonotonicTime
    ) -> [Step] {
        guard var demand = demands[camera] else { return [] }
        defer { demands[camera] = demand }
        let isVerdict = demand.wantsVerdict
        demand.wantsVerdict = false
        if path.ready || path.viewers > 0 { (demand.wasPublished, demand.mayHold) = (true, false) }
        if path.viewers > 0 {
            demand.isWatched = true
            demand.knownAt = now
            demand.quietLooks = 0
            demand.waitsUntil = nil
            return keep(&demand, of: camera, at: now)
        }
        guard path.ready else { return uncounted(&demand, of: camera, isVerdict: isVerdict, at: now) }
        demand.isWatched = false
        demand.waitsUntil = nil
        demand.quietLooks += 1
        return demand.quietLooks >= Self.quietLooksMax || isVerdict ? end(&demand, of: camera, at: now) : []
    }

    /// Those whom the other one held are gone with it; those who watched may be coming back.
    mutating func serverIsAnother(at now: MonotonicTime) {
        for (camera, demand) in demands {
            if demand.isWatched { demands[camera]?.waitsUntil = now + demand.patience + Self.holdMargin }
            demands[camera]?.isWatched = false
            demands[camera]?.isTold = false
            demands[camera]?.wasPublished = false
            demands[camera]?.mayHold = false
        }
    }

    /// Nobody publishes, so a reader who is there waits, and the count says nothing.
    private func uncounted(
        _ demand: inout Demand, of camera: CameraID, isVerdict: Bool, at now: MonotonicTime
    ) -> [Step] {
        demand.quietLooks = 0
        if demand.isWatched || isVerdict {
            // The publisher was lost and its viewers come back; or the server has given up on a reader whom it may have
            // forgotten: it stays on hold until somebody publishes.
            demand.mayHold = demand.isWatched || demand.wasPublished
            demand.isWatched = false
            demand.waitsUntil = now + demand.patience + Self.holdMargin
        }
        if demand.mayHold { return keep(&demand, of: camera, at: now) }
        guard let until = demand.waitsUntil, until > now else {
            demand.waitsUntil = nil
            return end(&demand, of: camera, at: now)
        }
        return keep(&demand, of: camera, at: now)
    }

    // MARK: What the worker says

    mutating func reported(_ camera: CameraID, isPublished: Bool, isLeased: Bool, at now: MonotonicTime) {
        guard var demand = demands[camera] else { return }
        defer { demands[camera] = demand }
        demand.isPublished = isPublished
        if isPublished { demand.wasPublished = true }
        if isLeased, demand.lease == nil, demand.stoppedAt.map({ now - $0 > Self.answerMax }) ?? true {
            // Of an earlier life of this service; the counts decide.
            demand.knownAt = now
            demand.lease = Lease(askedAt: now, endsAt: now + Self.leaseDuration, renewAt: now + Self.renewal)
        } else if !isLeased, let lease = demand.lease, now - lease.askedAt > Self.answerMax {
            demand.lease = nil
        }
    }

    mutating func answered(_ camera: CameraID, _ error: CodedError?, at now: MonotonicTime) {
        guard var demand = demands[camera] else { return }
        defer { demands[camera] = demand }
        guard error != nil else {
            demand.refusals = 0
            return
        }
        demand.lease = nil
        demand.refusals += 1
        demand.retryAt = now + Self.again.delay(attempt: demand.refusals, chance: 0.5)
    }

    // MARK: What is due by time alone

    /// - Parameter canCount: false while the server does not answer. Then a lease goes on as long as its worker can
    ///   publish and somebody may be watching: who sees the picture must not lose it because nobody can count.
    mutating func settle(canCount: Bool, at now: MonotonicTime) -> [Step] {
        demands.keys.sorted().flatMap { camera -> [Step] in
            guard var demand = demands[camera] else { return [] }
            defer { demands[camera] = demand }
            if let lease = demand.lease, lease.endsAt <= now { demand.lease = nil }
            if demand.wantsVerdict, !canCount {
                demand.wantsVerdict = false
                return end(&demand, of: camera, at: now)
            }
            let isWaiting = demand.mayHold || demand.waitsUntil.map { $0 > now } ?? false
            if isWaiting, demand.lease == nil { return keep(&demand, of: camera, at: now) }
            guard !canCount else { return [] }
            let isKnown = demand.isTold || demand.knownAt.map { now - $0 < Self.uncountedMax } ?? false
            let isWatched = demand.isPublished && isKnown && (demand.lease != nil || demand.isWatched)
            return isWatched || isWaiting && demand.lease != nil ? keep(&demand, of: camera, at: now) : []
        }
    }

    /// All moments at which `settle` may have something to do.
    var moments: [MonotonicTime] {
        demands.values.flatMap { demand in
            [demand.lease?.renewAt, demand.lease?.endsAt, demand.waitsUntil, demand.retryAt].compactMap { $0 }
        }
    }

    // MARK: Leases

    private func keep(_ demand: inout Demand, of camera: CameraID, at now: MonotonicTime) -> [Step] {
        if let lease = demand.lease { return now >= lease.renewAt ? take(&demand, of: camera, at: now) : [] }
        guard demand.retryAt.map({ $0 <= now }) ?? true else { return [] }
        return take(&demand, of: camera, at: now)
    }

    private func take(_ demand: inout Demand, of camera: CameraID, at now: MonotonicTime) -> [Step] {
        let duration = max(Self.leaseDuration, demand.patience + Self.holdMargin + Self.renewal)
        demand.lease = Lease(askedAt: now, endsAt: now + duration, renewAt: now + Self.renewal)
        demand.retryAt = nil
        demand.stoppedAt = nil
        return [.start(camera, duration)]
    }

    private func end(_ demand: inout Demand, of camera: CameraID, at now: MonotonicTime) -> [Step] {
        demand.quietLooks = 0
        (demand.wasPublished, demand.mayHold) = (false, false)
        (demand.isWatched, demand.isTold) = (false, false)
        guard demand.lease != nil else { return [] }
        demand.stoppedAt = now
        demand.lease = nil
        return [.stop(camera)]
    }
}
