package import Bus
internal import BusContract
internal import ClusterConfig
package import Domain
internal import Ledger
internal import Logging
internal import RotationServiceCore
package import ServiceKit

/// One node's rotation-service: the loop that feeds the Core and performs what it says.
///
/// Owns the bus client and a room for each storage folder. One task runs `run`, takes one event at a time, and is the
/// only one that touches the Core. `Main` creates it.
package struct RotationService {
    /// How long the broker keeps this service's subscriptions and the events for them while it restarts. What comes
    /// later than that is found by the scan.
    package static let sessionExpirySeconds: UInt32 = 3600

    private let context: ServiceContext
    private let settings: NodeSettings
    private let bus: BusClient
    private let rooms: [StorageFolder: StorageRoom]
    private let inbox: Inbox<Input>
    private var logger: Logger { context.logger }

    private enum Input: Sendable {
        case bus(BusInput)
        case happened(RotationEvent)
        case stop(ServiceExit)
    }

    /// - Parameter network: nil connects to the configured broker.
    package init(context: ServiceContext, network: (any BusNetwork)? = nil) throws(CodedError) {
        self.context = context
        settings = NodeSettings(context.configuration)
        let stateDir = context.configuration.stateDir
        try AtomicFile.createFolder("\(stateDir)/outbox")
        let inbox = Inbox<Input>()
        self.inbox = inbox
        context.heart.watch(inbox)
        var busSettings = context.busSettings
        busSettings.sessionExpirySeconds = Self.sessionExpirySeconds
        bus = BusClient(
            settings: busSettings, presences: [context.presence],
            outbox: try EventOutbox(path: "\(stateDir)/outbox/\(context.service).events"), network: network,
            now: { ServiceClock.now().wall }, logger: context.logger)
        var rooms: [StorageFolder: StorageRoom] = [:]
        for folder in settings.folders {
            let mounts = settings.cameras.filter { $0.folder == folder.folder }.map { camera in
                StorageMount(
                    storage: folder.folder.path, camera: camera.id, stateDir: stateDir, logger: context.logger)
            }
            rooms[folder.folder] = StorageRoom(folder.folder, mounts: mounts, logger: context.logger) {
                inbox.put(.happened($0))
            }
        }
        self.rooms = rooms
    }

    /// Runs until the process is told to stop, or ends with `fenced` where another one owns a storage folder.
    package func run() async -> ServiceExit {
        for room in rooms.values {
            let isOurs = await BlockingThread.run("ledger") { room.enter() }
            guard isOurs else { return .fenced }
        }
        bus.subscribe(subscriptions)
        let listeners = [
            Task { [bus, inbox] in for await input in bus.inputs { await inbox.offer(.bus(input)) } },
            Task { [context, inbox] in
                await context.shutdown.wait()
                inbox.put(.stop(.done))
            },
        ]
        bus.start()
        inbox.put(.happened(.started))
        let exit = await loop()
        for listener in listeners { listener.cancel() }
        inbox.end()
        for room in rooms.values { await room.leave() }
        await bus.stop()
        return exit
    }

    private var subscriptions: [TopicTemplate] {
        [
            RecordingState.template, CameraAvailability.template, SegmentEvent.template, GapEvent.template,
            CameraCommandTopic.everyCamera,
            CameraCommandTopic.everyGroup, StorageCommand.template,
            TopicTemplate(pattern: "services/\(ServiceName.rotationService)/+"),
        ]
    }

    private func loop() async -> ServiceExit {
        var core = RotationCore(settings)
        var askers = AskerBook()
        var timer: Task<Void, Never>?
        defer { timer?.cancel() }
        while let input = await inbox.next() {
            let event: RotationEvent
            switch input {
            case .bus(.disconnected(.takenOver)):
                logger.warning("another rotation-service has taken this node over")
                return .fenced
            case .bus(let input):
                guard let arrived = arrived(input, &askers) else { continue }
                event = arrived
            case .happened(let happened): event = happened
            case .stop(let exit): return exit
            }
            for effect in core.handle(event, at: ServiceClock.now()) {
                perform(effect, &askers, &timer)
            }
        }
        return .done
    }

    // MARK: Events

    /// The event in what came from the bus; nil for what concerns nobody or cannot be read.
    private func arrived(_ input: BusInput, _ askers: inout AskerBook) -> RotationEvent? {
        switch input {
        case .connected:
            return .busConnected
        case .disconnected:
            return nil
        case .outboxOverflowed(let count):
            logger.error("events dropped, the outbox is full", metadata: ["count": "\(count)"])
            return nil
        case .message(let message): return commanded(message, &askers) ?? reported(message)
        }
    }

    private func commanded(_ message: InboundMessage, _ askers: inout AskerBook) -> RotationEvent? {
        let root = context.configuration.broker.topicRoot
        // How a retained command is cleared, which is what its refusal asks for.
        if message.isRetained, message.payload.isEmpty { return nil }
        if let topic = CameraCommandTopic(topic: message.topic) {
            let token = askers.token(for: BusCodec.command(message, root: root))
            switch topic.target {
            case .camera(let camera): return .cameraCommanded(.camera(camera), token)
            case .invalidCamera(let text): return .cameraCommanded(.invalid(text), token)
            case .group(let group): return .cameraCommanded(.group(group), token)
            case .invalidGroup(let text): return .cameraCommanded(.invalidGroup(text), token)
            }
        }
        guard let level = StorageCommand.template.levels(of: message.topic)?.first else { return nil }
        guard level == settings.node.rawValue else {
            let token = askers.token(for: BusCodec.command(message, root: root))
            return .cameraCommanded(NodeID(rawValue: level).map { .node($0) } ?? .invalidNode(level), token)
        }
        let request = BusCodec.command(message, root: root)
        let token = askers.token(for: request)
        do throws(CodedError) {
            _ = try request.command(StorageCommand.self)
            return .repairCommanded(token)
        } catch {
            logger.notice("command refused", metadata: ["topic": "\(message.topic)", "error": "\(error.code)"])
            askers.refuse(token, error, camera: nil, on: bus)
            return nil
        }
    }

    private func reported(_ message: InboundMessage) -> RotationEvent? {
        if let (camera, state) = message.decoded(RecordingState.self, orLogTo: logger) {
            return .recordingReported(camera, state.message)
        }
        if let (camera, event) = message.decoded(SegmentEvent.self, orLogTo: logger) {
            return .segmentReported(camera, event.message)
        }
        if let (camera, event) = message.decoded(GapEvent.self, orLogTo: logger) {
            return .gapReported(camera, event.message)
        }
        if let (camera, word) = message.decoded(CameraAvailability.self, orLogTo: logger) {
            return .availabilityReported(camera, word.message)
        }
        if let (address, state) = message.decoded(ServiceState.self, orLogTo: logger),
            address.service == .rotationService, let node = NodeID(rawValue: address.instance.rawValue)
        {
            return .peerReported(node, isOnline: state.message.state == .online)
        }
        return nil
    }

    // MARK: Effects

    private func perform(_ effect: RotationEffect, _ askers: inout AskerBook, _ timer: inout Task<Void, Never>?) {
        switch effect {
        case .publishPlan(let camera, let state): bus.publish(state, to: camera)
        case .commandRotation(let camera, let at, let expiry): commandRotation(camera, at: at, expiry: expiry)
        case .recordSegment(let folder, let camera, let event):
            rooms[folder]?.record(SegmentRecord(event, camera: camera))
        case .tellImplausible(let camera, let event):
            logger.warning(
                "event refused",
                metadata: ["camera": "\(camera)", "file": "\(event.file)", "reason": "not a segment of this camera"])
        case .recordGap(let folder, let camera, let event): rooms[folder]?.record(GapRecord(event, camera: camera))
        case .endSessions(let folder, let camera, let current):
            rooms[folder]?.endSessions(of: camera, except: current)
        case .scan(let folder, let scope): rooms[folder]?.scan(scope)
        case .takeInventory(let folder): rooms[folder]?.takeInventory()
        case .delete(let folder, let segments): rooms[folder]?.delete(segments)
        case .publishStorage(let state): bus.publish(state, to: settings.node)
        case .reply(let token, let result): askers.accept(token, result, on: bus)
        case .refuse(let token, let error, let camera): askers.refuse(token, error, camera: camera, on: bus)
        case .wake(let time): timer = wake(at: time, instead: timer)
        }
    }

    private func wake(at time: MonotonicTime?, instead timer: Task<Void, Never>?) -> Task<Void, Never>? {
        timer?.cancel()
        return time.map { time in
            Task { [inbox] in
                let rest = time - ServiceClock.now().monotonic
                guard (try? await Task.sleep(for: max(rest, .zero))) != nil else { return }
                inbox.put(.happened(.woke))
            }
        }
    }

    /// The worker's answer is only for the log: it cuts by the plan whether the command comes or not.
    private func commandRotation(_ camera: CameraID, at: WallTime, expiry: Duration) {
        let payload = Array(#"{"command":"rotate","at":"\#(at.rfc3339)"}"#.utf8)
        Task { [bus, logger] in
            do throws(CodedError) {
                let reply = try await bus.request(
                    payload, to: RotationCommand.topic(for: camera), expecting: RotationResult.self, timeout: expiry)
                logger.debug(
                    "rotated",
                    metadata: [
                        "camera": "\(camera)", "offset": "\(reply.result?.offsetSeconds ?? 0)",
                        "error": "\(reply.error?.message ?? "none")",
                    ])
            } catch {
                logger.debug("rotation unanswered", metadata: ["camera": "\(camera)", "reason": "\(error)"])
            }
        }
    }
}
