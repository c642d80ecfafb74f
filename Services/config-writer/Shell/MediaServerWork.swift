internal import Bus
internal import BusContract
internal import ClusterConfig
internal import ConfigWriterCore
internal import Domain
internal import Logging
internal import MediaServer
internal import ServiceKit

/// What the keeper's loop holds: the Core, the wanted settings, and who waits for an answer. Nothing here waits:
/// requests run in tasks of their own, and their answers come back as inputs.
struct MediaServerWork {
    enum Answer: Sendable {
        case looked(Result<Reading, MediaServerFault>)
        case changed(PathChange, MediaServerFault?)
    }

    /// A look as it was read; how it stands to what is wanted is judged when it is taken.
    struct Reading: Sendable {
        var info: MediaServerInfo
        var paths: [PathReading]
        var configurations: [PathConfiguration]?
    }

    /// Of a camera that is not configured any more: its lease is only to be ended.
    static let leaseAnswerMax: Duration = .seconds(10)

    private struct Asker {
        var reply: ReplyAddress?
        var requestID: String?
    }

    private let node: NodeID
    private let topicRoot: String
    private let bus: BusClient
    private let logger: Logger
    private let endpoint: DemandEndpoint
    private let inbox: Inbox<MediaServerKeeper.Input>

    private var core: MediaServerCore
    private var settings: MediaServerSettings?
    private var wanted: [String: PathSettings] = [:]
    /// How long a worker may think before it says that a camera does not start.
    private var answerTimes: [CameraID: Duration] = [:]
    private var client: MediaServerClient?
    /// Of the client; an answer of an earlier one says nothing of this one.
    private var generation = 0
    private var request: Task<Void, Never>?
    private var timer: Task<Void, Never>?
    private var askers: [LookToken: Asker] = [:]
    private var nextToken: UInt64 = 0

    init(
        node: NodeID, topicRoot: String, bus: BusClient, logger: Logger, endpoint: DemandEndpoint,
        inbox: Inbox<MediaServerKeeper.Input>
    ) {
        self.node = node
        self.topicRoot = topicRoot
        self.bus = bus
        self.logger = logger
        self.endpoint = endpoint
        self.inbox = inbox
        core = MediaServerCore(node: node, seed: UInt64.random(in: .min ... .max))
    }

    func stop() {
        request?.cancel()
        timer?.cancel()
    }

    mutating func take(_ input: MediaServerKeeper.Input, at now: Now) {
        let event: MediaServerEvent?
        switch input {
        case .configured(let settings, let cameras): event = configured(settings, cameras)
        case .happened(let happened):
            if case .readerCame(let camera) = happened { endpoint.heardOfReader(at: camera) }
            event = happened
        case .answered(let generation, let answer): event = answered(answer, isCurrent: generation == self.generation)
        case .message(let message): event = arrived(message)
        }
        guard let event else { return }
        for effect in core.handle(event, at: now.monotonic) { perform(effect) }
    }

    // MARK: Inputs

    private mutating func configured(
        _ settings: MediaServerSettings?, _ cameras: [CameraConfiguration]
    ) -> MediaServerEvent {
        if client == nil || !isSameServer(settings) {
            request?.cancel()
            generation += 1
            client = settings.map { MediaServerClient($0) }
        }
        self.settings = settings
        wanted = [:]
        answerTimes = [:]
        guard let settings else {
            endpoint.configure(nil, cameras: [])
            return .configured(nil)
        }
        let fleet = PathSettings.Fleet(node: node, publish: settings.publish, hookURL: settings.hookURL)
        var wish = MediaServerWish(paths: [:], hasFile: settings.configFile != nil, server: generation)
        for camera in cameras {
            guard let path = PathSettings(camera, fleet: fleet) else { continue }
            wanted[path.name] = path
            let patience = camera.lifecycle.viewing.startTimeout + PathSettings.workerAllowance
            answerTimes[camera.id] = patience
            wish.paths[path.name] = PathWish(
                camera: camera.id, kind: camera.ingest == .mediaServer ? .pulled : .published,
                startTimeout: patience, settings: path.values.hashValue)
        }
        let published = wish.paths.values.filter { $0.kind == .published }.map(\.camera)
        endpoint.configure(settings.publish == .never ? nil : settings.hookListen, cameras: Set(published))
        return .configured(wish)
    }

    private func isSameServer(_ other: MediaServerSettings?) -> Bool {
        settings?.api == other?.api && settings?.username == other?.username && settings?.password == other?.password
    }

    /// The Core has forgotten the questions to an earlier client.
    private func answered(_ answer: Answer, isCurrent: Bool) -> MediaServerEvent? {
        guard isCurrent else { return nil }
        switch answer {
        case .looked(.success(let reading)): return .looked(.success(look(reading)))
        case .looked(.failure(let fault)): return .looked(.failure(MediaServerFailure(fault)))
        case .changed(let change, let fault): return .changed(change, fault.map(MediaServerFailure.init))
        }
    }

    private func look(_ reading: Reading) -> MediaServerLook {
        var standings: [String: PathStanding]?
        if let configurations = reading.configurations {
            var found: [String: PathStanding] = [:]
            for path in configurations { found[path.name] = standing(path) }
            standings = found
        }
        let traffic = reading.paths.map { path in
            (path.name, MediaServerState.Path(ready: path.ready, viewers: path.readers.count, bytes: path.bytes))
        }
        return MediaServerLook(
            version: reading.info.version, started: reading.info.started,
            traffic: Dictionary(traffic) { first, _ in first },
            readers: Dictionary(reading.paths.map { ($0.name, Set($0.readers.map(\.id))) }) { first, _ in first },
            standings: standings)
    }

    private func standing(_ path: PathConfiguration) -> PathStanding? {
        guard let wish = wanted[path.name] else { return PathSettings.isMade(by: node, path.values) ? .leftOver : nil }
        let differences = wish.differences(from: path.values)
        return differences.isEmpty ? .equal : .differs(differences)
    }

    private mutating func arrived(_ message: InboundMessage) -> MediaServerEvent? {
        if let address = MediaServerCommand.address(from: message.topic) {
            return address == node ? commanded(message) : nil
        }
        if let (camera, state) = message.decoded(StreamState.self, orLogTo: logger) {
            let isRunning = state.message.state != .idle && state.message.state != .failed
            return .streamReported(camera, state.message.leases, isRunning: isRunning)
        }
        if let (camera, state) = message.decoded(ViewingState.self, orLogTo: logger) {
            let isLeased = state.message.leases.contains { $0.holder == .mediaServer }
            return .viewingReported(camera, state.message.state, isLeased: isLeased)
        }
        return nil
    }

    private mutating func commanded(_ message: InboundMessage) -> MediaServerEvent? {
        let request = BusCodec.command(message, root: topicRoot)
        nextToken += 1
        let token = LookToken(number: nextToken)
        askers[token] = Asker(reply: request.reply, requestID: request.requestID)
        do throws(CodedError) {
            return .lookCommanded(try request.command(MediaServerCommand.self).camera, token)
        } catch {
            refuse(token, error)
            return nil
        }
    }

    // MARK: Effects

    private mutating func perform(_ effect: MediaServerEffect) {
        switch effect {
        case .look(let depth): look(depth)
        case .change(let change): make(change)
        case .writeFile(let used, let refused, let rereads):
            writeFile(keeping: used, refused: refused, rereads: rereads)
        case .startViewing(let camera, let duration):
            command(camera, #"{"command":"start","holder":"\#(Holder.mediaServer)","duration":"\#(duration.written)"}"#)
        case .stopViewing(let camera): command(camera, #"{"command":"stop","holder":"\#(Holder.mediaServer)"}"#)
        case .publish(let state): bus.publish(state, to: node)
        case .withdraw: bus.clear(MediaServerState.self, at: node)
        case .reply(let token, let result):
            guard let asker = askers.removeValue(forKey: token), let address = asker.reply else { return }
            bus.reply(Reply(ok: result, requestID: asker.requestID), to: address)
        case .refuse(let token, let error): refuse(token, error)
        case .note(let note): note.log(to: logger)
        case .wake(let time): wake(at: time)
        }
    }

    private mutating func refuse(_ token: LookToken, _ error: CodedError) {
        guard let asker = askers.removeValue(forKey: token), let address = asker.reply else { return }
        bus.reply(Reply<MediaServerResult>(error, requestID: asker.requestID), to: address)
    }

    private mutating func wake(at time: MonotonicTime?) {
        timer?.cancel()
        timer = time.map { time in
            Task { [inbox] in
                let rest = time - ServiceClock.now().monotonic
                guard (try? await Task.sleep(for: max(rest, .zero))) != nil else { return }
                inbox.put(.happened(.woke))
            }
        }
    }

    private mutating func look(_ depth: LookDepth) {
        guard let client else { return }
        request = Task { [inbox, generation] in
            let result: Result<Reading, MediaServerFault>
            do throws(MediaServerFault) {
                let info = try await client.info()
                let configurations = depth == .everything ? try await client.pathConfigurations() : nil
                // Last, so that the count of viewers is the youngest of the three.
                let paths = try await client.paths()
                result = .success(Reading(info: info, paths: paths, configurations: configurations))
            } catch {
                result = .failure(error)
            }
            inbox.put(.answered(generation: generation, .looked(result)))
        }
    }

    private mutating func make(_ change: PathChange) {
        guard let client else { return }
        request = Task { [inbox, generation, wanted] in
            var fault: MediaServerFault?
            do throws(MediaServerFault) {
                switch change {
                case .delete(let name): try await client.delete(name)
                case .replace(let name): if let path = wanted[name] { try await client.replace(path) }
                case .nothing: try await client.changeNothing()
                }
            } catch {
                // What is gone need not be deleted.
                fault = error == .notFound && change == .delete(change.name) ? nil : error
            }
            inbox.put(.answered(generation: generation, .changed(change, fault)))
        }
    }

    private func writeFile(keeping used: Set<String>, refused: Set<String>, rereads: Bool) {
        guard let path = settings?.configFile else { return }
        let file = MediaServerFile(path: path, node: node)
        Task { [inbox, wanted, logger] in
            let result = await BlockingThread.run("mediamtx-file") { () -> Result<FileOutcome, CodedError> in
                do throws(CodedError) {
                    let report = try file.update(
                        wanted.values.sorted { $0.name < $1.name }, keeping: used, refused: refused,
                        rereads: rereads)
                    report.log(path, to: logger)
                    return .success(FileOutcome(isWritten: report.isWritten, kept: report.kept))
                } catch {
                    return .failure(error)
                }
            }
            inbox.put(.happened(.fileWritten(result)))
        }
    }

    private func command(_ camera: CameraID, _ text: String) {
        let timeout = answerTimes[camera] ?? Self.leaseAnswerMax
        Task { [bus, inbox, logger] in
            var refusal: CodedError?
            do throws(CodedError) {
                let reply = try await bus.request(
                    Array(text.utf8), to: ViewingCommand.topic(for: camera), expecting: ViewingResult.self,
                    timeout: timeout)
                refusal = reply.error.map { CodedError($0.code, $0.message) }
            } catch {
                refusal = error
            }
            if let refusal {
                logger.warning("viewing lease refused", metadata: ["camera": "\(camera)", "reason": "\(refusal)"])
            }
            inbox.put(.happened(.leaseAnswered(camera, refusal)))
        }
    }
}
