import BusContract
import Domain
import RotationServiceCore
import TestSupport

/// What is due for the rotation-service.
enum RotationDue {
    case start
    case event(RotationEvent, process: Int)
    case woke(token: Int, process: Int)
    case scanned(StorageFolder, ScanScope, process: Int)
    case continued(process: Int)
}

/// The rotation-service's process and its ledger, which outlives it.
struct SimulatedRotation {
    struct Key: Hashable, Comparable {
        var session: SessionID
        var index: Int

        static func < (left: Self, right: Self) -> Bool { (left.session, left.index) < (right.session, right.index) }
    }

    struct GapKey: Hashable {
        var session: SessionID
        var from: WallTime
    }

    static let folder = StorageFolder("/recordings")

    var core: RotationCore?
    var process = 0
    var wakeToken = 0
    var isHung = false
    var waiting: [RotationEvent] = []
    var plan: RotationState?
    var segments: [Key: SegmentEvent] = [:]
    var gaps: [GapKey: GapEvent] = [:]
    /// Complete files that a scan has compared with the ledger; they do not change any more.
    var compared: Set<SegmentPath> = []
}

/// The rotation-service's Shell: performs the Core's effects on the simulated world.
extension Simulation {
    func rotationDue(_ due: RotationDue) {
        switch due {
        case .start: startRotation()
        case .event(let event, let process): if process == rotation.process { tellRotation(event) }
        case .woke(let token, let process):
            if process == rotation.process, token == rotation.wakeToken { tellRotation(.woke) }
        case .scanned(let folder, let scope, let process):
            if process == rotation.process { tellRotation(.scanEnded(folder, scope, scan())) }
        case .continued(let process): if process == rotation.process { continueRotation() }
        }
    }

    private func startRotation() {
        guard rotation.core == nil else { return }
        processes += 1
        let node = NodeSettings(
            node: Self.node,
            cameras: [.init(id: Self.camera, folder: SimulatedRotation.folder, rotation: settings.rotation)],
            folders: [.init(folder: SimulatedRotation.folder)])
        rotation.process = processes
        rotation.core = RotationCore(node)
        rotation.isHung = false
        rotation.waiting = []
        rotation.plan = nil
        tellRotation(.started)
        agenda.add(.reconnect(.rotation), at: clock.now + .milliseconds(random.int(in: 1...50)))
    }

    func killRotation() {
        guard rotation.core != nil else { return }
        rotation.core = nil
        rotation.process = 0
        unlink(.rotation)
        agenda.add(.rotation(.start), at: clock.now + random.duration(in: .milliseconds(500) ... .seconds(600)))
    }

    /// SIGSTOP: nothing runs, and what comes waits in the process.
    func hangRotation(for span: Duration) {
        guard rotation.core != nil, !rotation.isHung else { return }
        rotation.isHung = true
        agenda.add(.rotation(.continued(process: rotation.process)), at: clock.now + span)
    }

    func continueRotation() {
        guard rotation.isHung else { return }
        rotation.isHung = false
        let waiting = rotation.waiting
        rotation.waiting = []
        for event in waiting { tellRotation(event) }
    }

    func tellRotation(_ event: RotationEvent) {
        guard !rotation.isHung else {
            rotation.waiting.append(event)
            return
        }
        guard let effects = rotation.core?.handle(event, at: clock.reading) else { return }
        for effect in effects { perform(effect) }
    }

    private func perform(_ effect: RotationEffect) {
        switch effect {
        case .publishPlan(_, let plan):
            rotation.plan = plan
            publish(.plan(plan), from: .rotation)
        case .commandRotation(_, let at, _):
            publish(.command(.rotation(RotationCommand(at: at)), number: 0), from: .rotation)
        case .recordSegment(let folder, _, let event):
            if let failure = disk.failure { return later(.ledgerFailed(folder, failure)) }
            record(event)
        case .recordGap(let folder, _, let event):
            if let failure = disk.failure { return later(.ledgerFailed(folder, failure)) }
            record(event)
        case .tellImplausible(_, let event): preconditionFailure("a worker's own event is refused: \(event)")
        case .scan(let folder, let scope):
            let end = clock.now + random.duration(in: .milliseconds(5) ... .milliseconds(500))
            agenda.add(.rotation(.scanned(folder, scope, process: rotation.process)), at: end)
        case .takeInventory(let folder):
            later(.inventoryTaken(folder, .success(Inventory(cameras: [], totalBytes: 1 << 40, freeBytes: 1 << 39))))
        case .delete(_, let segments):
            promises.breaks(4, "\(segments.count) segments deleted though nothing limits them")
        case .wake(let time):
            rotation.wakeToken += 1
            guard let time else { return }
            let due = RotationDue.woke(token: rotation.wakeToken, process: rotation.process)
            agenda.add(.rotation(due), at: max(time, clock.now))
        case .endSessions, .publishStorage, .reply, .refuse: break
        }
    }

    private func later(_ event: RotationEvent) {
        agenda.add(.rotation(.event(event, process: rotation.process)), at: clock.now + .milliseconds(1))
    }

    // MARK: The ledger

    /// Idempotent, and indifferent to order: `closed` is never overwritten by `opened`.
    private func record(_ event: SegmentEvent) {
        let key = SimulatedRotation.Key(session: event.session, index: event.index)
        guard let known = rotation.segments[key] else {
            rotation.segments[key] = event
            return
        }
        if known.event == .opened || event.frames ?? 0 > known.frames ?? 0 { rotation.segments[key] = event }
    }

    private func record(_ event: GapEvent) {
        let key = SimulatedRotation.GapKey(session: event.session, from: event.from)
        if let known = rotation.gaps[key], known.to >= event.to { return }
        rotation.gaps[key] = event
    }

    /// Finishes what nobody writes, and brings the ledger up to the files.
    private func scan() -> Result<ScanCounts, CodedError> {
        var counts = ScanCounts()
        for key in disk.files.keys where !rotation.compared.contains(key) {
            guard var file = disk.files[key] else { continue }
            do throws(CodedError) {
                if file.isPartial {
                    guard let whole = try disk.recover(file.path) else { continue }
                    checkCompleted(whole)
                    file = whole
                    counts.recovered += 1
                } else if let failure = disk.failure {
                    throw failure
                }
            } catch {
                return .failure(error)
            }
            rotation.compared.insert(key)
            imports(file)
        }
        counts.segments = disk.files.count
        return .success(counts)
    }

    private func imports(_ file: SimulatedDisk.File) {
        let manifest = file.manifest
        record(
            SegmentEvent(
                event: .closed, session: manifest.session, index: manifest.index, node: manifest.node,
                file: file.path.relativePath, startedAt: manifest.startedAt,
                endedAt: manifest.startedAt + file.duration, frames: file.frames, firstFrame: manifest.firstFrame,
                lastFrame: manifest.firstFrame + file.frames - 1, bytes: file.bytes, reason: .recovered))
        guard let gap = manifest.gap else { return }
        record(
            GapEvent(
                session: manifest.session, from: gap.from, to: gap.to, cause: gap.cause, framesLost: gap.framesLost))
    }
}
