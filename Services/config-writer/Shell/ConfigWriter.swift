package import Bus
package import BusContract
package import ClusterConfig
package import ConfigWriterCore
internal import Domain
internal import Logging
package import ServiceKit

/// What else the process looks after and must hear of: the media server beside the node.
package protocol ConfigWriterCompanion: Sendable {
    var subscriptions: [TopicTemplate] { get }
    /// Once, when the bus has been started.
    func start() async
    /// With what is in force, before `start` for the first time, and with every revision; `cameras` are those of this
    /// node.
    func configure(_ settings: MediaServerSettings?, cameras: [CameraConfiguration]) async
    func take(_ message: InboundMessage) async
    func stop() async
}

/// One node's config-writer: the loop that feeds the Core and performs what it says.
///
/// Owns the bus client, the config folder, the watch over the user's file and the texts at hand. One task runs `run`,
/// takes one event at a time, and is the only one that touches the Core. What reads and writes is in
/// `ConfigWriterFolder` and `ConfigWriterReader`.
package struct ConfigWriter {
    private let context: ServiceContext
    private let reader: ConfigWriterReader
    private let folder: ConfigWriterFolder
    private let setting: ConfigCore.Setting
    private let bus: BusClient
    private let companion: (any ConfigWriterCompanion)?
    private let inbox = Inbox<Input>()
    /// A topic below the root that only this process listens to.
    private let marker: String
    private var logger: Logger { context.logger }
    private var node: NodeID { context.configuration.node }

    private enum Input: Sendable {
        case bus(BusInput)
        case fileChanged
        case woke
        case stop
    }

    /// What the loop carries from one input to the next.
    private struct State {
        var core: ConfigCore
        var retirement: ConfigRetirement
        var desk = ConfigWriterDesk()
        /// Texts that the Core may name.
        var texts: [ConfigText: ConfigWriterReader.Loaded] = [:]
        /// What the file held when it was read last.
        var lastRead: ConfigText?
        var timer: Task<Void, Never>?

        /// What is in force may be read again when a secret of it is gone; what it meant then stays at hand.
        mutating func keep(_ reading: ConfigReading, _ loaded: ConfigWriterReader.Loaded?) {
            guard let loaded, loaded.configuration != nil || texts[reading.text] == nil else { return }
            texts[reading.text] = loaded
        }
    }

    /// - Parameters:
    ///   - setting: whether somebody starts processes anew because of a revision.
    ///   - network: nil connects to the configured broker.
    ///   - companion: given the bus client; started, told and stopped by this loop.
    package init(
        context: ServiceContext, reader: ConfigWriterReader, folder: ConfigWriterFolder, setting: ConfigCore.Setting,
        network: (any BusNetwork)? = nil, companion: ((BusClient) -> any ConfigWriterCompanion)? = nil
    ) {
        self.context = context
        self.reader = reader
        self.folder = folder
        self.setting = setting
        marker = "\(ReplyAddress.folder)/\(context.service)-\(context.instance)-marker"
        bus = BusClient(
            settings: context.busSettings, presences: [context.presence], network: network,
            now: { ServiceClock.now().wall }, logger: context.logger)
        self.companion = companion?(bus)
    }

    /// Runs until the process is told to stop, or ends with `fenced` where another one speaks for this node.
    package func run() async -> ServiceExit {
        let remembered = await BlockingThread.run("memory") { [folder, reader] in folder.memory(reader) }
        var state = State(
            core: ConfigCore(node: node, setting: setting), retirement: ConfigRetirement(node: node),
            texts: remembered.loaded)
        // From here on, so that no change falls between the first look and the watch.
        let watch = FileWatch(reader.files) { [inbox] in inbox.put(.fileChanged) }
        await take(.started(remembered.memory), &state)
        await lookAtFile(&state)
        bus.subscribe(subscriptions)
        let listeners = [
            Task { [bus, inbox] in for await input in bus.inputs { await inbox.offer(.bus(input)) } },
            Task { [context, inbox] in
                await context.shutdown.wait()
                inbox.put(.stop)
            },
        ]
        bus.start()
        await companion?.start()
        let exit = await loop(&state)
        state.timer?.cancel()
        watch.stop()
        for listener in listeners { listener.cancel() }
        inbox.end()
        await companion?.stop()
        await bus.stop()
        return exit
    }

    private var subscriptions: [TopicTemplate] {
        [
            ConfigCommand.template, RecordingState.template, CameraAvailability.template, CameraConfigState.template,
            RotationState.template, TopicTemplate(pattern: "services/\(ServiceName.captureWorker)/+"),
            TopicTemplate(pattern: marker),
        ] + (companion?.subscriptions ?? [])
    }

    private func loop(_ state: inout State) async -> ServiceExit {
        while let input = await inbox.next() {
            switch input {
            case .bus(.disconnected(.takenOver)):
                logger.warning("another config-writer has taken this node over")
                return .fenced
            case .bus(let input): await arrived(input, &state)
            case .fileChanged: await lookAtFile(&state)
            case .woke: await take(.woke, &state)
            case .stop: return .done
            }
        }
        return .done
    }

    // MARK: Events

    private func arrived(_ input: BusInput, _ state: inout State) async {
        switch input {
        case .connected:
            state.retirement.busConnected()
            await take(.busConnected, &state)
            // Comes back after everything that is retained, so that nobody has to guess how long to wait.
            let root = context.configuration.broker.topicRoot
            bus.reply(
                Reply<String>(ok: "marker", requestID: nil),
                to: ReplyAddress(topic: "\(root)/\(marker)", correlation: nil))
        case .disconnected:
            await take(.busLost, &state)
        case .outboxOverflowed: break  // This service has no events.
        case .message(let message):
            await companion?.take(message)
            await received(message, &state)
        }
    }

    private func received(_ message: InboundMessage, _ state: inout State) async {
        if message.topic == marker {
            clear(state.retirement.statesKnown())
            await take(.statesKnown, &state)
        } else if ConfigCommand.address(from: message.topic) != nil {
            await commanded(message, &state)
        } else if let (camera, recording) = message.decoded(RecordingState.self, orLogTo: logger) {
            await take(
                .recordingReported(camera, RecordingWord(recording.message), number: recording.seq), &state)
            clear(state.retirement.stateReported(camera))
        } else if let (camera, word) = message.decoded(CameraAvailability.self, orLogTo: logger) {
            let isOnline = word.message == .online
            await take(.workerReported(camera, isOnline: isOnline), &state)
            clear(state.retirement.availabilityReported(camera, isOnline: isOnline))
        } else if let (camera, settings) = message.decoded(CameraConfigState.self, orLogTo: logger) {
            clear(state.retirement.settingsReported(camera, node: settings.message.node))
        } else if let (camera, _) = message.decoded(RotationState.self, orLogTo: logger) {
            clear(state.retirement.stateReported(camera))
        } else if let (worker, _) = message.decoded(ServiceState.self, orLogTo: logger),
            let camera = CameraID(rawValue: worker.instance.rawValue)
        {
            clear(state.retirement.stateReported(camera))
        }
    }

    private func lookAtFile(_ state: inout State) async {
        let (reading, loaded) = await BlockingThread.run("read") { [reader] in reader.readFile() }
        state.keep(reading, loaded)
        state.lastRead = reading.text
        log(reading)
        await take(.fileRead(reading), &state)
    }

    private func commanded(_ message: InboundMessage, _ state: inout State) async {
        // How a retained message is cleared, which is what a refusal of one asks for.
        if message.isRetained, message.payload.isEmpty { return }
        let request = BusCodec.command(message, root: context.configuration.broker.topicRoot)
        let command: ConfigCommand
        do throws(CodedError) {
            command = try request.command(ConfigCommand.self)
        } catch {
            logger.notice("command refused", metadata: ["reason": "\(error)"])
            let token = state.desk.token(for: request)
            return state.desk.refuse(token, error, on: bus)
        }
        guard command.node == nil || command.node == node else { return }
        let token = state.desk.token(for: request)
        do throws(CodedError) {
            let event = try await event(command, token, &state)
            await take(event, &state)
        } catch {
            state.desk.refuse(token, error, on: bus)
        }
    }

    /// Reads the text that a command is about.
    private func event(
        _ command: ConfigCommand, _ token: CommandToken, _ state: inout State
    ) async throws(CodedError) -> ConfigEvent {
        let note = ConfigNote(who: command.who, why: command.why)
        switch command.action {
        case .validate(let text): return .asked(await read(text, &state), token)
        case .apply(let text, let now):
            let wish = ConfigWish(
                await read(text, &state), origin: text == nil ? .file : .command, now: now, note: note)
            return .commanded(wish, token)
        case .rollback(let revision, let now):
            let present = state.core.inForce
            let text = present.flatMap { state.texts[$0.text]?.bytes } ?? []
            let found = try await BlockingThread.run("history") { [folder] () throws(CodedError) in
                try folder.text(of: revision, before: present?.number ?? .max, otherThan: text)
            }
            let (reading, loaded) = await BlockingThread.run("read") { [reader] in
                reader.read(found.text, origin: "revision \(found.number)")
            }
            state.keep(reading, loaded)
            var rollback = note
            rollback.why = note.why ?? "back to revision \(found.number)"
            return .commanded(ConfigWish(reading, origin: .rollback, now: now, note: rollback), token)
        }
    }

    /// - Parameter text: nil: the file as it stands.
    private func read(_ text: String?, _ state: inout State) async -> ConfigReading {
        guard let text else {
            let (reading, loaded) = await BlockingThread.run("read") { [reader] in reader.readFile() }
            state.keep(reading, loaded)
            state.lastRead = reading.text
            return reading
        }
        let (reading, loaded) = await BlockingThread.run("read") { [reader] in
            reader.read(Array(text.utf8), origin: "text")
        }
        state.keep(reading, loaded)
        return reading
    }
}

// MARK: Effects

extension ConfigWriter {
    /// Hands an event to the Core, performs what it says, and hands it what came of that.
    private func take(_ event: ConfigEvent, _ state: inout State) async {
        var events = [event]
        while !events.isEmpty {
            for effect in state.core.handle(events.removeFirst(), at: ServiceClock.now()) {
                if let outcome = await perform(effect, &state) { events.append(outcome) }
            }
        }
        let kept = state.core.texts
        state.texts = state.texts.filter { kept.contains($0.key) }
    }

    private func perform(_ effect: ConfigEffect, _ state: inout State) async -> ConfigEvent? {
        switch effect {
        case .record, .recordRefused, .markApplied, .markSuperseded, .rememberFileSeen, .activate:
            return await write(effect, state.texts)
        case .writeFile(let text): return await writeFile(text, &state)
        case .publishCameras(let revision): await publishCameras(revision, &state)
        case .publish(let message):
            log(message)
            bus.publish(message, to: FleetAddress())
        case .reply(let token, let result): state.desk.accept(token, result, on: bus)
        case .refuse(let token, let error, let result):
            logger.notice("command refused", metadata: ["reason": "\(error)"])
            state.desk.refuse(token, error, result, on: bus)
        case .wake(let time):
            state.timer?.cancel()
            state.timer = time.map { time in
                Task { [inbox] in
                    // A wake that came early would be the last one.
                    while ServiceClock.now().monotonic < time {
                        let rest = time - ServiceClock.now().monotonic
                        guard (try? await Task.sleep(for: max(rest, .milliseconds(1)))) != nil else { return }
                    }
                    inbox.put(.woke)
                }
            }
        }
        return nil
    }

    private func write(_ effect: ConfigEffect, _ texts: [ConfigText: ConfigWriterReader.Loaded]) async -> ConfigEvent? {
        let outcome = await BlockingThread.run("write") { [folder] in folder.perform(effect, texts) }
        if case .activated(let revision, let error) = outcome {
            if let error {
                logger.error(
                    "revision cannot be written", metadata: ["revision": "\(revision)", "reason": "\(error)"])
            } else {
                logger.notice("in force", metadata: ["revision": "\(revision)"])
            }
        }
        return outcome
    }

    /// What somebody wrote into the file since it was read last is kept in the history, since it goes now.
    private func writeFile(_ text: ConfigText, _ state: inout State) async -> ConfigEvent? {
        guard let bytes = state.texts[text]?.bytes else { return nil }
        let lastRead = state.lastRead
        let error = await BlockingThread.run("write") { [folder, reader] in
            folder.replaceFile(reader, bytes, lastRead: lastRead)
        }
        if let error {
            logger.error(
                "the file cannot be written and differs from what is in force", metadata: ["reason": "\(error)"])
        } else {
            state.lastRead = text
            logger.info("file written", metadata: ["file": "\(reader.path ?? "")"])
        }
        return .fileWritten(text, error)
    }

    private func publishCameras(_ revision: Int, _ state: inout State) async {
        guard let inForce = state.core.inForce, inForce.number == revision,
            let configuration = state.texts[inForce.text]?.configuration
        else { return }
        let fleet = Set(configuration.cameras.map(\.id))
        release(state.retirement.returning(in: fleet))
        for camera in configuration.ownCameras {
            bus.publish(CameraConfigState(camera, revision: revision), to: camera.id)
        }
        clear(state.retirement.configured(fleet, own: Set(configuration.ownCameras.map(\.id))))
        await companion?.configure(configuration.mediaServer, cameras: configuration.ownCameras)
    }

    /// Every retained state of cameras that are no more.
    private func clear(_ cameras: [CameraID]) {
        for camera in cameras {
            logger.info("retained states cleared", metadata: ["camera": "\(camera)"])
            for entry in MessageRegistry.all where entry.type.delivery == .state { clear(entry.type, of: camera) }
            let worker = ServiceAddress(.captureWorker, InstanceID(unchecked: camera.rawValue))
            bus.clear(ServiceState.self, at: worker)
            bus.clear(ServiceHealth.self, at: worker)
        }
    }

    private func clear<M: BusMessage>(_ type: M.Type, of camera: CameraID) {
        if let address = camera as? M.Address { bus.clear(type, at: address) }
    }

    /// Cameras that are back: after a reconnect their states are not cleared once more.
    private func release(_ cameras: [CameraID]) {
        for camera in cameras {
            for entry in MessageRegistry.all where entry.type.delivery == .state { release(entry.type, of: camera) }
            let worker = ServiceAddress(.captureWorker, InstanceID(unchecked: camera.rawValue))
            bus.forget(ServiceState.self, at: worker)
            bus.forget(ServiceHealth.self, at: worker)
        }
    }

    private func release<M: BusMessage>(_ type: M.Type, of camera: CameraID) {
        if let address = camera as? M.Address { bus.forget(type, at: address) }
    }

    private func log(_ reading: ConfigReading) {
        guard case .invalid(let errors) = reading.outcome else { return }
        logger.error("the file does not load; what is in force stays", metadata: ["errors": "\(errors.count)"])
        for error in errors { LineLogHandler.standardError(error) }
    }

    private func log(_ state: ConfigState) {
        guard let pending = state.pending else { return }
        logger.notice(
            "revision waits", metadata: ["revision": "\(pending.revision)", "reason": "\(pending.reason)"])
    }
}
