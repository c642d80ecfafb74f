internal import BusContract
internal import Domain

/// What is known of one process. One that was told to end is as offline as one that has died, but its next start counts
/// for nothing: a worker is started anew with every change of its settings.
struct ServiceWatch: Hashable, Sendable {
    private(set) var state: ServiceState?
    private var starts = RebootLoop()

    mutating func take(_ state: ServiceState, at now: MonotonicTime) {
        if let known = self.state {
            guard !state.isLate(after: known) else { return }
            let wasToldToEnd = known.state == .offline && known.orderly == true
            if known.startedAt != state.startedAt, !wasToldToEnd { starts.began(at: now) }
        }
        self.state = state
    }

    func wakeAt(at now: MonotonicTime) -> MonotonicTime? { starts.wakeAt(at: now) }

    func verdict(at now: MonotonicTime) -> ServiceHealth {
        let restarts = starts.count(within: RebootLoop.hour, at: now)
        guard let state else { return ServiceHealth(status: .unknown) }
        var reasons: [HealthReason] = []
        if state.state == .offline { reasons.append(HealthReason(.serviceOffline, "its process is not there")) }
        if starts.isLoop(at: now) {
            let minutes = RebootLoop.window.written
            reasons.append(HealthReason(.rebootLoop, "it has begun anew several times within \(minutes)"))
        }
        let status: HealthStatus = state.state == .offline ? .offline : reasons.isEmpty ? .ok : .degraded
        return ServiceHealth(status: status, reasons: reasons, restarts1h: restarts)
    }
}

/// What is known of one host.
struct NodeWatch: Hashable, Sendable {
    private var trend = DiskTrend()
    private var clock = ClockOffset()
    private var storage: StorageState?
    /// As it was told last: a tenth of a second more or less is not told.
    private var toldOffset: Duration?

    mutating func heard(sentAt: WallTime, at now: Now) { clock.take(sentAt: sentAt, at: now) }
    mutating func clockStepped() { clock = ClockOffset() }

    mutating func take(_ state: StorageState, at now: MonotonicTime) {
        storage = state
        trend.take(freeBytes: state.freeBytes, totalBytes: state.totalBytes, at: now)
    }

    /// A disk that fills within a day is worth a date.
    static let horizon: Duration = .seconds(86_400)
    /// Dates are told to this, so that a verdict does not change with every state.
    static let dateStep: Duration = .seconds(600)

    /// A disk with a date is looked at again after this, though nothing is said of it.
    static let fillingEvery: Duration = .seconds(60)

    static let offsetStep: Duration = .milliseconds(100)

    /// - Parameter isConnected: whether silence means that nothing has changed.
    mutating func verdict(_ settings: HealthSettings, isConnected: Bool, at now: Now) -> NodeHealth {
        if isConnected, let storage {
            trend.take(freeBytes: storage.freeBytes, totalBytes: storage.totalBytes, at: now.monotonic)
        }
        var health = NodeHealth(status: .ok)
        if let heard = clock.offset {
            let offset = toldOffset.flatMap { ($0 - heard).absolute <= Self.offsetStep ? $0 : nil } ?? heard
            toldOffset = offset
            // Plus zero: there is no -0.
            health.clockOffsetSeconds = (offset.seconds * 10).rounded() / 10 + 0
            if offset.absolute > settings.clockOffsetMax {
                let text = offset.absolute.tenths
                let way = offset > .zero ? "ahead of" : "behind"
                health.reasons.append(HealthReason(.clockOffset, "its clock is \(text) \(way) the health-monitor's"))
            }
        }
        switch storage?.status {
        case .full: health.reasons.append(HealthReason(.storageFull, storage?.error?.message ?? "its disk is full"))
        case .failed: health.reasons.append(HealthReason(.storageFailed, storage?.error?.message ?? "its disk fails"))
        case .ok, .low, nil: break
        }
        let hasFailed = health.reasons.contains { $0.code == .storageFull || $0.code == .storageFailed }
        if let fullIn = fullIn(at: now.monotonic) {
            let rounded = (now.wall + fullIn).nanoseconds.roundedDown(toMultipleOf: Self.dateStep.nanoseconds)
            health.diskFullAt = WallTime(nanoseconds: rounded)
            if fullIn < settings.diskWarning, !hasFailed {
                let date = WallTime(nanoseconds: rounded).rfc3339.prefix(16)
                health.reasons.append(HealthReason(.diskFullSoon, "its disk will be full at \(date)Z if it goes on so"))
            }
        }
        health.status = hasFailed ? .failing : health.reasons.isEmpty ? .ok : .degraded
        return health
    }

    /// Nil where that is not within `horizon`, and where retention keeps the disk from it.
    private func fullIn(at now: MonotonicTime) -> Duration? {
        if let storage, let kept = storage.minFreeBytes, storage.freeBytes >= kept { return nil }
        guard let newestAt = trend.newestAt, let fullIn = trend.fullIn, fullIn < Self.horizon else { return nil }
        return max(fullIn - (now - newestAt), .zero)
    }
}

extension Duration {
    var absolute: Duration { self < .zero ? .zero - self : self }
}
