internal import BusContract
package import Domain

/// The rotation-service of one node as a pure value: event and time in, effects out.
///
/// Owns the plans of the node's cameras, the wish list of scans, the watch over each storage folder, and the word on
/// cameras that do not exist. Invariants: at most one inventory, deletion and scan per folder at a time; every event of
/// this node's workers goes to the ledger, however often it comes; nothing is published twice unchanged; the last wake
/// asked for is never later than the first thing that is due. Called by the Shell's one loop and by the simulation.
/// Files, SQL and sockets do not belong here.
package struct RotationCore: Hashable, Sendable {
    package let settings: NodeSettings
    private var plans: [CameraID: RotationPlan] = [:]
    private let folderOf: [CameraID: StorageFolder]
    private var sessions: [CameraID: SessionID] = [:]
    private var openSegments = OpenSegments()
    private var scans: ScanPlan
    private var watches: [StorageFolder: StorageWatch] = [:]
    private var unknown: UnknownCameras
    private var publishedStorage: StorageState?
    private var wakeAt: MonotonicTime?
    /// While a session goes on, the clocks are compared at least at this moment.
    private var clockCheckAt: MonotonicTime?

    package init(_ settings: NodeSettings) {
        self.settings = settings
        folderOf = Dictionary(uniqueKeysWithValues: settings.cameras.map { ($0.id, $0.folder) })
        scans = ScanPlan(settings.folders.map(\.folder))
        unknown = UnknownCameras(settings)
        let cameras = settings.cameras.sorted { $0.id < $1.id }
        for (index, camera) in cameras.enumerated() {
            let shift = RotationPlan.shift(camera.rotation, index: index, of: cameras.count)
            plans[camera.id] = RotationPlan(camera.rotation, shift: shift)
        }
        for folder in settings.folders {
            let own = settings.cameras.filter { $0.folder == folder.folder }
            watches[folder.folder] = StorageWatch(
                folder, limits: Dictionary(uniqueKeysWithValues: own.map { ($0.id, $0.retention) }))
        }
    }

    package mutating func handle(_ event: RotationEvent, at now: Now) -> [RotationEffect] {
        var effects: [RotationEffect]
        switch event {
        case .started: effects = started(at: now)
        case .busConnected:
            unknown.connected(at: now.monotonic)
            scans.wantAll(at: now.monotonic + ScanPlan.afterConnect)
            effects = []
        case .recordingReported(let camera, let state): effects = recordingReported(camera, state, at: now)
        case .availabilityReported(let camera, let availability):
            availabilityReported(camera, availability, at: now)
            effects = []
        case .segmentReported(let camera, let event): effects = segmentReported(camera, event, at: now)
        case .gapReported(let camera, let event):
            effects = folderOf[camera].map { [.recordGap($0, camera, event)] } ?? []
        case .peerReported(let node, let isOnline):
            unknown.peerReported(node, isOnline: isOnline)
            effects = []
        case .cameraCommanded(let camera, let token):
            effects = refusals(unknown.commanded(camera, token, at: now.monotonic))
        case .repairCommanded(let token): effects = repairCommanded(token, at: now)
        case .scanEnded(let folder, let scope, let result): effects = scanEnded(folder, scope, result, at: now)
        case .inventoryTaken(let folder, let result): effects = inventoryTaken(folder, result, at: now)
        case .deletionEnded(let folder, let result):
            watches[folder]?.deletionEnded(result, at: now.monotonic)
            effects = publishStorage()
        case .ledgerFailed(let folder, let error): effects = ledgerFailed(folder, error, at: now)
        case .woke:
            wakeAt = nil
            effects = []
        }
        return effects + settle(at: now)
    }

    // MARK: What is due by time alone

    private mutating func settle(at now: Now) -> [RotationEffect] {
        var effects: [RotationEffect] = []
        for camera in plans.keys.sorted() { effects += advance(camera, at: now) }
        effects += refusals(unknown.judge(at: now.monotonic))
        effects += scans.begin(at: now.monotonic).map { .scan($0.0, $0.1) }
        for folder in watches.keys.sorted() where watches[folder]?.begin(at: now.monotonic) == true {
            effects.append(.takeInventory(folder))
        }
        let isPlanning = plans.values.contains(where: \.isPlanning)
        clockCheckAt = isPlanning ? now.monotonic + RotationPlan.clockCheckInterval : nil
        return effects + wake()
    }

    private mutating func wake() -> [RotationEffect] {
        let first =
            (plans.values.map(\.wakeAt) + watches.values.map(\.wakeAt)
            + [unknown.wakeAt, scans.wakeAt, clockCheckAt]).compactMap { $0 }.min()
        // A check of the clocks may come early: it costs nothing, and a new wake for every event would.
        if let first, let wakeAt, wakeAt <= first { return [] }
        guard first != wakeAt else { return [] }
        wakeAt = first
        return [.wake(first)]
    }

    private mutating func advance(_ camera: CameraID, at now: Now) -> [RotationEffect] {
        perform(plans[camera]?.advance(at: now) ?? [], of: camera)
    }

    private func perform(_ steps: [RotationPlan.Step], of camera: CameraID) -> [RotationEffect] {
        steps.map { step in
            switch step {
            case .publish(let state): .publishPlan(camera, state)
            case .command(let at, let expiry): .commandRotation(camera, at: at, expiry: expiry)
            }
        }
    }

    // MARK: Events

    private mutating func started(at now: Now) -> [RotationEffect] {
        var effects: [RotationEffect] = []
        for camera in plans.keys.sorted() { effects += perform(plans[camera]?.started() ?? [], of: camera) }
        scans.wantAll(at: now.monotonic)
        for folder in watches.keys { watches[folder]?.look(at: now.monotonic) }
        return effects
    }

    private mutating func recordingReported(
        _ camera: CameraID, _ state: RecordingState, at now: Now
    ) -> [RotationEffect] {
        guard let folder = folderOf[camera] else { return [] }
        let effects = perform(plans[camera]?.recordingReported(state, at: now) ?? [], of: camera)
        // While one session is being completed the next may already be there, and the worker says so.
        guard state.state != .stopping else { return effects }
        let isNew = sessions[camera] != state.session || (state.session == nil && state.state == .off)
        sessions[camera] = state.session
        return isNew ? effects + [.endSessions(folder, camera, except: state.session)] : effects
    }

    private mutating func availabilityReported(
        _ camera: CameraID, _ availability: CameraAvailability, at now: Now
    ) {
        unknown.announced(camera)
        guard let folder = folderOf[camera] else { return }
        switch availability {
        case .online: cancelScan(of: camera, in: folder)
        case .offline: scans.want(.camera(camera), of: folder, at: now.monotonic + ScanPlan.afterWorkerGone)
        }
    }

    private mutating func segmentReported(
        _ camera: CameraID, _ event: SegmentEvent, at now: Now
    ) -> [RotationEffect] {
        guard let folder = folderOf[camera], event.node == settings.node else { return [] }
        // Anyone may publish: an event that names another camera's file must not lead a deletion there.
        guard event.path(of: camera) != nil else { return [.tellImplausible(camera, event)] }
        openSegments.reported(event, of: camera)
        if openSegments.hasPassedOver(camera) {
            scans.want(.camera(camera), of: folder, at: now.monotonic + ScanPlan.afterPassedOver)
        } else if event.event == .opened, openSegments.hasOrphan(camera) {
            scans.want(.camera(camera), of: folder, at: now.monotonic + ScanPlan.afterOrphan)
        }
        if event.event == .closed {
            watches[folder]?.changed(at: now.monotonic)
            cancelScan(of: camera, in: folder)
        }
        return [.recordSegment(folder, camera, event)]
            + perform(plans[camera]?.segmentOpened(event) ?? [], of: camera)
    }

    /// Unless something is left that the files alone can tell.
    private mutating func cancelScan(of camera: CameraID, in folder: StorageFolder) {
        guard !openSegments.hasOrphan(camera), !openSegments.hasPassedOver(camera) else { return }
        scans.cancel(.camera(camera), of: folder)
    }

    private mutating func repairCommanded(_ token: CommandToken, at now: Now) -> [RotationEffect] {
        guard scans.wait(token, at: now.monotonic) else {
            return [.refuse(token, CodedError(.conflict, "too many wait for a repair already"), camera: nil)]
        }
        return []
    }

    private mutating func scanEnded(
        _ folder: StorageFolder, _ scope: ScanScope, _ result: Result<ScanCounts, CodedError>, at now: Now
    ) -> [RotationEffect] {
        if case .success = result {
            switch scope {
            case .everything:
                for (camera, place) in folderOf where place == folder { openSegments.settled(camera) }
                watches[folder]?.ledgerRecovered()
            case .camera(let camera): openSegments.settled(camera)
            }
            watches[folder]?.changed(at: now.monotonic)
        }
        let answers = scans.ended(folder, scope, result, at: now.monotonic)
        return answers.map { token, result in
            switch result {
            case .failure(let error): .refuse(token, error, camera: nil)
            case .success(let counts): .reply(token, StorageResult(node: settings.node, counts))
            }
        } + publishStorage()
    }

    private mutating func inventoryTaken(
        _ folder: StorageFolder, _ result: Result<Inventory, CodedError>, at now: Now
    ) -> [RotationEffect] {
        let deletions = watches[folder]?.inventoryTaken(result, at: now) ?? []
        return (deletions.isEmpty ? [] : [.delete(folder, deletions)]) + publishStorage()
    }

    private mutating func ledgerFailed(
        _ folder: StorageFolder, _ error: CodedError, at now: Now
    ) -> [RotationEffect] {
        watches[folder]?.ledgerFailed(error, at: now.monotonic)
        scans.want(.everything, of: folder, at: now.monotonic + ScanPlan.afterFailure)
        return publishStorage()
    }

    private mutating func publishStorage() -> [RotationEffect] {
        let ordered = watches.keys.sorted().compactMap { watches[$0] }
        guard let state = StorageState(ordered), state != publishedStorage else { return [] }
        publishedStorage = state
        return [.publishStorage(state)]
    }

    private func refusals(_ verdicts: [UnknownCameras.Verdict]) -> [RotationEffect] {
        verdicts.map { .refuse($0.token, $0.error, camera: $0.camera) }
    }
}

extension StorageResult {
    init(node: NodeID, _ counts: ScanCounts) {
        self.init(
            node: node, segments: counts.segments, recovered: counts.recovered, imported: counts.imported,
            missing: counts.missing, quarantined: counts.quarantined)
    }
}
