internal import Bus
internal import BusContract
internal import CaptureWorkerCore
package import ClusterConfig
package import Domain
package import Logging
internal import Media
package import ServiceKit

/// One camera's worker: the loop that feeds the Core and performs what it says.
///
/// Owns the bus client, the pipeline, the folder's lock and the worker's memory. One task runs `run`, takes one event
/// at a time, and is the only one that touches the Core. `Main` creates it.
package struct CaptureWorker {
    private let camera: CameraConfiguration
    private let context: ServiceContext
    /// Nil: there is none, or none that can be reached.
    private let mediaServer: MediaServerSettings?
    private let bus: BusClient
    private let pipeline: CapturePipeline
    private let memory: WorkerMemoryFile
    private let folder: CameraFolder
    private let inbox: Inbox<Input>
    private let logger: Logger

    private enum Input: Sendable {
        case bus(BusInput)
        case happened(WorkerEvent)
        case folderTaken
        case statsDue
    }

    /// While the stream is active.
    static let statsInterval: Duration = .seconds(2)

    package init(camera: CameraConfiguration, context: ServiceContext) throws(CodedError) {
        self.camera = camera
        self.context = context
        logger = context.logger
        let stateDir = context.configuration.stateDir
        try AtomicFile.createFolder("\(stateDir)/leases")
        try AtomicFile.createFolder("\(stateDir)/outbox")
        memory = WorkerMemoryFile(stateDir: stateDir, camera: camera.id)
        let inbox = Inbox<Input>()
        self.inbox = inbox
        context.heart.watch(inbox)
        bus = BusClient(
            settings: context.busSettings, presences: [.availability(camera.id), context.presence],
            outbox: try EventOutbox(path: "\(stateDir)/outbox/\(camera.id).events"),
            now: { ServiceClock.now().wall }, logger: context.logger)
        let folder = CameraFolder(
            storage: camera.storage.path, camera: camera.id,
            mount: StorageMount(
                storage: camera.storage.path, camera: camera.id, stateDir: stateDir, logger: context.logger))
        self.folder = folder
        mediaServer = Self.reachable(context.configuration.mediaServer, for: camera.id, logger: context.logger)
        pipeline = CapturePipeline(
            camera: camera, node: context.configuration.node, folder: folder,
            mediaServer: try mediaServer.map { server throws(CodedError) in
                try Self.address(of: camera.id, at: server)
            }
        ) { event in
            inbox.put(.happened(event))
        }
    }

    /// Settings that lead nowhere cost the live view and not the recording.
    package static func reachable(
        _ server: MediaServerSettings?, for camera: CameraID, logger: Logger
    ) -> MediaServerSettings? {
        guard let server else { return nil }
        do throws(CodedError) {
            _ = try address(of: camera, at: server)
            return server
        } catch {
            logger.error("no live view: media server not usable", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// The camera's path at the media server.
    private static func address(of camera: CameraID, at server: MediaServerSettings) throws(CodedError) -> RTSPAddress {
        try RTSPAddress(
            server.address(of: camera), username: server.username ?? "", password: server.password?.reveal() ?? "")
    }

    /// Runs until the process is told to stop or another worker takes the camera over.
    package func run() async -> ServiceExit {
        var desk = CommandDesk(camera: camera, root: context.configuration.broker.topicRoot)
        let plan = TopicTemplate(pattern: RotationState.topic(for: camera.id))
        bus.subscribe(desk.subscriptions + [plan] + mediaServerTopics)
        let listeners = [
            Task { [bus, inbox] in for await input in bus.inputs { await inbox.offer(.bus(input)) } },
            Task { [context, inbox] in
                await context.shutdown.wait()
                inbox.put(.happened(.stopDemanded(.signal)))
            },
        ]
        bus.start()
        takeFolder()
        let cause = await loop(&desk)
        for listener in listeners { listener.cancel() }
        inbox.end()
        pipeline.quit()
        await bus.stop()
        return switch cause {
        case .signal: .done
        case .fenced: .fenced
        }
    }

    /// A disk that refuses is the Core's to try again.
    private func takeFolder() {
        BlockingThread.start("folder-lock") { [inbox, logger, folder] in
            do throws(CodedError) {
                try folder.take { Self.tellWait(folder, logger) }
                inbox.put(.folderTaken)
            } catch {
                logger.error("folder not usable", metadata: ["folder": "\(folder.path)", "error": "\(error)"])
                let code: ErrorCode = error.code == .storageFull ? .storageFull : .storageFailed
                let refusal = CodedError(
                    code, "the camera's folder cannot be used: \(error.message)", cause: error.cause)
                inbox.put(.happened(.folderRefused(refusal)))
            }
        }
    }

    private static func tellWait(_ folder: CameraFolder, _ logger: Logger) {
        logger.warning("another process holds the camera's folder; waiting", metadata: ["folder": "\(folder.path)"])
    }

    private func probeStorage() {
        let end = { @Sendable [inbox, logger] (error: CodedError?) in
            if let error { logger.error("storage still fails", metadata: ["error": "\(error)"]) }
            inbox.put(.happened(.storageProbed(error)))
        }
        do throws(CodedError) {
            try BlockingThread.attempt("probe") { [logger, folder] in
                do throws(CodedError) {
                    try folder.probe { Self.tellWait(folder, logger) }
                    end(nil)
                } catch {
                    end(error)
                }
            }
        } catch {
            end(CodedError(.storageFailed, error.message, cause: error.cause))
        }
    }

    private func loop(_ desk: inout CommandDesk) async -> StopCause {
        var core = WorkerCore(settings, seed: UInt64.random(in: .min ... .max))
        var timers = Timers()
        while let input = await inbox.next() {
            let event: WorkerEvent
            switch input {
            case .bus(let input):
                guard let arrived = arrived(input, at: &desk) else { continue }
                WorkerEventLog(logger: logger).note(arrived)
                event = arrived
            case .happened(let happened):
                WorkerEventLog(logger: logger).note(happened)
                event = happened
            case .folderTaken: event = await remembered()
            case .statsDue:
                bus.publish(pipeline.stats(since: &timers.lastStats), to: camera.id)
                continue
            }
            for effect in core.handle(event, at: ServiceClock.now()) {
                if case .exit(let cause) = effect { return cause }
                await perform(effect, desk: &desk, timers: &timers)
            }
        }
        return .signal
    }

    private var settings: WorkerSettings {
        WorkerSettings(
            camera: camera.id, node: context.configuration.node, source: camera.source.publicText,
            recordsAlways: camera.record == .always, preroll: camera.preroll, policies: camera.lifecycle,
            rotation: camera.rotation, publishing: publishing,
            viewURL: mediaServer?.publicAddress(of: camera.id),
            readsFromMediaServer: camera.ingest == .mediaServer && mediaServer != nil,
            hasControls: camera.source.isWebcam, boot: BootIdentity.current())
    }

    private var publishing: WorkerSettings.Publishing {
        guard let server = mediaServer, camera.ingest == .worker else { return .never }
        switch server.publish {
        case .onDemand: return .onDemand
        case .always: return .always
        case .never: return .never
        }
    }

    /// Where the config-writer says who watches.
    private var mediaServerTopics: [TopicTemplate] {
        guard mediaServer != nil else { return [] }
        return [TopicTemplate(pattern: MediaServerState.topic(for: context.configuration.node))]
    }

    /// What an earlier worker of this camera left, in memory and on disk.
    private func remembered() async -> WorkerEvent {
        let reader = SessionTailReader(storage: camera.storage.path, camera: camera.id) { [logger] path, error in
            logger.error(
                "segment not readable", metadata: ["file": "\(path.relativePath)", "error": "\(error)"])
        }
        do {
            return try await BlockingThread.run("recovery") { [memory] () throws(CodedError) in
                guard let memory = try memory.read() else { return .started(nil, tail: nil) }
                return .started(memory, tail: memory.session.flatMap { reader.read($0) })
            }
        } catch {
            logger.error("earlier session not readable", metadata: ["error": "\(error)"])
            return .started(nil, tail: nil)
        }
    }

    /// The event in what came from the bus; nil for what is answered here or concerns nobody.
    private func arrived(_ input: BusInput, at desk: inout CommandDesk) -> WorkerEvent? {
        switch input {
        case .connected: return nil
        case .disconnected(.takenOver):
            logger.warning("another worker has taken this camera over")
            return .stopDemanded(.fenced)
        case .disconnected: return nil
        case .outboxOverflowed(let count):
            logger.error("events dropped, the outbox is full", metadata: ["count": "\(count)"])
            return nil
        case .message(let message):
            if let (_, plan) = message.decoded(RotationState.self) {
                do throws(CodedError) {
                    return .planReceived(try plan.get().message)
                } catch {
                    logger.warning("rotation plan not readable", metadata: ["error": "\(error)"])
                    return nil
                }
            }
            if let (_, server) = message.decoded(MediaServerState.self) { return readers(server) }
            guard let (token, command) = desk.receive(message) else { return nil }
            switch command {
            case .success(let command): return .commanded(command, token)
            case .failure(let error):
                logger.notice("command refused", metadata: ["topic": "\(message.topic)", "error": "\(error.code)"])
                desk.refuse(token, error, on: bus)
                return nil
            }
        }
    }
}

// MARK: The media server's readers

extension CaptureWorker {
    private func readers(_ server: Result<Stamped<MediaServerState>, CodedError>) -> WorkerEvent? {
        do throws(CodedError) {
            let state = try server.get().message
            let path = state.reachable ? state.paths[camera.id.rawValue] : nil
            return .readersReported(path?.viewers, total: path?.readersTotal)
        } catch {
            logger.warning("media server state not readable", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Nobody's answer is an answer too: the stream must not stay open for ever because a service is away.
    private func lookAtReaders() {
        let (camera, node) = (camera.id, context.configuration.node)
        let payload = Array(#"{"command":"look","camera":"\#(camera)"}"#.utf8)
        Task { [bus, inbox, logger] in
            do throws(CodedError) {
                let reply = try await bus.request(
                    payload, to: MediaServerCommand.topic(for: node), expecting: MediaServerResult.self,
                    timeout: WorkerCore.lookTimeout)
                if let error = reply.error { logger.info("readers not known", metadata: ["error": "\(error.message)"]) }
                let path = reply.result?.paths[camera.rawValue]
                inbox.put(.happened(.readersCounted(path?.viewers, total: path?.readersTotal)))
            } catch {
                logger.info("readers not known", metadata: ["error": "\(error)"])
                inbox.put(.happened(.readersCounted(nil)))
            }
        }
    }
}

// MARK: Effects

extension CaptureWorker {
    /// The one wake that the Core asked for last, and the beat of the statistics.
    private struct Timers {
        var wake: Task<Void, Never>?
        var stats: Task<Void, Never>?
        var lastStats: CapturePipeline.StatsMark?
    }

    private func perform(_ effect: WorkerEffect, desk: inout CommandDesk, timers: inout Timers) async {
        switch effect {
        case .takeFolder: takeFolder()
        case .openSource(let run, let route): pipeline.openSource(run: run, via: route)
        case .closeSource: pipeline.closeSource()
        case .loseFrames(let cause): pipeline.loseFrames(cause)
        case .beginSession(let place, let clock, let schedule, let preroll):
            logger.info("session begun", metadata: ["session": "\(place.session)", "wall": "\(clock.wall)"])
            pipeline.beginSession(place, clock: clock, schedule: schedule, preroll: preroll)
        case .endSession(let reason): pipeline.endSession(reason)
        case .setSchedule(let schedule): pipeline.setSchedule(schedule)
        case .cut(let time): pipeline.cut(at: time)
        case .allowOpening: pipeline.allowOpening()
        case .probeStorage: probeStorage()
        case .requestKeyFrame: pipeline.requestKeyFrame()
        case .openPublisher(let run): pipeline.openPublisher(run: run)
        case .closePublisher: pipeline.closePublisher()
        case .lookAtReaders: lookAtReaders()
        case .takeSnapshot(let job, let wishes):
            pipeline.takeSnapshot(job: job, wishes) { [bus, logger, camera] picture in
                switch picture.image {
                case .success(let image): bus.publish(SnapshotImage(bytes: image), to: camera.id)
                case .failure(let error):
                    // An older picture would be taken for this one.
                    bus.clear(SnapshotImage.self, at: camera.id)
                    logger.info("snapshot not on the bus", metadata: ["error": "\(error)"])
                }
            }
        case .turnControls(let wishes, let token): pipeline.turnControls(wishes, token)
        case .publishControls(let state): bus.publish(state, to: camera.id)
        case .publishStream(let state):
            bus.publish(state, to: camera.id)
            beat(state.state == .active || state.state == .closing, &timers)
        case .publishRecording(let state): bus.publish(state, to: camera.id)
        case .publishViewing(let state): bus.publish(state, to: camera.id)
        case .publishSnapshot(let state): bus.publish(state, to: camera.id)
        case .emitSegment(let event): bus.publish(event, to: camera.id)
        case .emitGap(let event):
            logger.warning(
                "gap", metadata: ["cause": "\(event.cause.rawValue)", "seconds": "\(event.seconds)"])
            bus.publish(event, to: camera.id)
        case .reply(let token, let result): desk.accept(token, result, on: bus)
        case .refuse(let token, let error): desk.refuse(token, error, on: bus)
        case .remember(let memory): await remember(memory)
        case .wake(let time): wake(at: time, &timers)
        case .exit: preconditionFailure("the loop handles exit")
        }
    }

    /// A disk that refuses the memory costs the resumption after a crash, not the recording; it is tried again.
    private func remember(_ record: WorkerMemory) async {
        do {
            try await BlockingThread.attemptRun("memory") { [memory] () throws(CodedError) in try memory.write(record) }
        } catch {
            logger.error("leases not written", metadata: ["error": "\(error)"])
            inbox.put(.happened(.notRemembered))
        }
    }

    private func wake(at time: MonotonicTime?, _ timers: inout Timers) {
        timers.wake?.cancel()
        timers.wake = time.map { time in
            Task { [inbox] in
                // A wake that came early would be the last one: the Core asks only when its deadline changes.
                while ServiceClock.now().monotonic < time {
                    let rest = time - ServiceClock.now().monotonic
                    guard (try? await Task.sleep(for: max(rest, .milliseconds(1)))) != nil else { return }
                }
                inbox.put(.happened(.woke))
            }
        }
    }

    private func beat(_ isActive: Bool, _ timers: inout Timers) {
        guard isActive else {
            timers.stats?.cancel()
            timers.stats = nil
            timers.lastStats = nil
            return
        }
        guard timers.stats == nil else { return }
        _ = pipeline.stats(since: &timers.lastStats)
        timers.stats = Task { [inbox] in
            while (try? await Task.sleep(for: Self.statsInterval)) != nil { inbox.put(.statsDue) }
        }
    }
}
