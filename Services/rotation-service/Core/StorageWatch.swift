internal import BusContract
internal import Domain

/// What one storage folder's state is, and when it is looked at again. Owns the clock's trust and the last inventory.
/// Called by `RotationCore`; which segments go is `RetentionPlan`'s to say.
struct StorageWatch: Hashable, Sendable {
    /// Between two looks that nothing caused.
    static let period: Duration = .seconds(60)
    /// Between two looks that closed segments caused.
    static let spacing: Duration = .seconds(5)
    /// Between any two looks, however fast the disk fills.
    static let spacingMin: Duration = .milliseconds(250)
    /// It is looked at again before this share of the free space can be gone.
    static let shareOfFree = 8.0
    /// Free space below which a folder counts as full, whatever the limits say.
    static let fullBytes: Int64 = 16 * 1024 * 1024

    let settings: NodeSettings.Folder
    private let limits: [CameraID: RetentionLimits]
    private var trust = ClockTrust()
    private var isMeasuring = false
    private var isDeleting = false
    private var lookAt: MonotonicTime?
    private var lookedAt: MonotonicTime?
    private(set) var inventory: Inventory?
    private(set) var error: CodedError?
    /// The ledger could not be written; stands until a scan has brought it up to date.
    private var ledgerError: CodedError?
    /// How fast free space went lately, as the last two looks showed; zero: it did not.
    private var bytesPerSecond = 0.0
    private var measuredAt: MonotonicTime?

    init(_ settings: NodeSettings.Folder, limits: [CameraID: RetentionLimits]) {
        self.settings = settings
        self.limits = limits
    }

    var wakeAt: MonotonicTime? { isMeasuring || isDeleting ? nil : lookAt }

    mutating func look(at time: MonotonicTime) { lookAt = min(lookAt ?? time, time) }

    /// Space changed: look soon, but not at every one of many changes.
    mutating func changed(at time: MonotonicTime) {
        look(at: max(time, (lookedAt ?? time) + min(Self.spacing, patience)))
    }

    /// How long the disk may be left alone: one that fills fast is looked at more often, so that retention frees space
    /// before it is full.
    private var patience: Duration {
        guard bytesPerSecond > 0, let inventory else { return Self.period }
        let seconds = Double(inventory.freeBytes) / Self.shareOfFree / bytesPerSecond
        return min(max(.seconds(min(seconds, Self.period.seconds)), Self.spacingMin), Self.period)
    }

    private mutating func learnSpeed(_ next: Inventory, at time: MonotonicTime) {
        defer { measuredAt = time }
        guard let inventory, let measuredAt, time > measuredAt else { return }
        let speed = Double(inventory.freeBytes - next.freeBytes) / (time - measuredAt).seconds
        // Space that retention has freed meanwhile says nothing of how fast the rest goes.
        bytesPerSecond = speed > 0 ? max(speed, bytesPerSecond / 2) : bytesPerSecond / 2
        if bytesPerSecond < 1 { bytesPerSecond = 0 }
    }

    mutating func ledgerFailed(_ error: CodedError, at time: MonotonicTime) {
        ledgerError = error
        changed(at: time)
    }

    mutating func ledgerRecovered() { ledgerError = nil }

    /// Whether an inventory is due; it counts as begun.
    mutating func begin(at time: MonotonicTime) -> Bool {
        guard let wakeAt, wakeAt <= time else { return false }
        isMeasuring = true
        lookAt = nil
        lookedAt = time
        return true
    }

    /// What has to go now.
    mutating func inventoryTaken(_ result: Result<Inventory, CodedError>, at now: Now) -> [StoredSegment] {
        isMeasuring = false
        look(at: now.monotonic + Self.period)
        switch result {
        case .failure(let failure):
            error = failure
            return []
        case .success(let inventory):
            error = nil
            learnSpeed(inventory, at: now.monotonic)
            self.inventory = inventory
            look(at: now.monotonic + patience)
            let plan = RetentionPlan(
                inventory, folder: settings.retention, limits: limits, now: now.wall,
                isAgeTrusted: trust.isTrusted(newestAt: inventory.newestAt, at: now))
            isDeleting = !plan.deletions.isEmpty
            return plan.deletions
        }
    }

    mutating func deletionEnded(_ result: Result<Int, CodedError>, at time: MonotonicTime) {
        isDeleting = false
        switch result {
        case .success(let count): look(at: count > 0 ? time : time + Self.period)
        case .failure(let failure):
            error = failure
            look(at: time + Self.period)
        }
    }

    var status: StorageState.Status {
        if ledgerError?.code == .storageFull || error?.code == .storageFull { return .full }
        guard error == nil, ledgerError == nil, let inventory else { return .failed }
        if inventory.freeBytes < Self.fullBytes { return .full }
        return inventory.freeBytes < settings.retention.minFree?.bytes ?? 0 ? .low : .ok
    }

    /// What is told of it.
    var told: CodedError? { error ?? ledgerError }
}

extension StorageState {
    /// One state for the node: the sums of its folders, the worst status of them. Nil before the first inventory.
    init?(_ watches: [StorageWatch]) {
        let inventories = watches.compactMap(\.inventory)
        guard inventories.count == watches.count || watches.contains(where: { $0.told != nil }) else { return nil }
        let order: [Status] = [.failed, .full, .low, .ok]
        let statuses = watches.map(\.status)
        let kept = watches.compactMap { $0.settings.retention.minFree?.bytes }
        self.init(
            totalBytes: inventories.reduce(Int64(0)) { $0.addingClamped($1.totalBytes) },
            freeBytes: inventories.reduce(Int64(0)) { $0.addingClamped($1.freeBytes) },
            minFreeBytes: kept.count == watches.count ? kept.reduce(0) { $0.addingClamped($1) } : nil,
            usedBytes: inventories.reduce(Int64(0)) { $0.addingClamped($1.usedBytes) },
            oldestAt: inventories.compactMap(\.oldestAt).min(),
            status: order.first(where: statuses.contains) ?? .ok,
            error: watches.compactMap(\.told).first.map(PublishedError.init))
    }
}
