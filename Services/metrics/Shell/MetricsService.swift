package import Bus
internal import BusContract
internal import ClusterConfig
package import Domain
internal import Logging
internal import MetricsCore
package import ServiceKit

/// The metrics service of one node: the loop that feeds `MetricsCore` from the bus, and the server that shows what it
/// knows.
///
/// Owns the bus client, the listener, the history and the clockwork. It owns no camera and no file of a recording: what
/// it is asked to do goes out as a command. One task runs `run` and is the only one that feeds the Core with messages.
package struct MetricsService: Sendable {
    private let context: ServiceContext
    private let bus: BusClient
    private let board: MetricsBoard
    private let history: HistoryKeeper?
    private let listener: HTTPListener
    /// A topic below the root that only this process listens to.
    private let heartbeatTopic: String
    private let inbox = Inbox<Input>()
    private var logger: Logger { context.logger }

    private enum Input: Sendable {
        case bus(BusInput)
        case ticked
        case stop
    }

    /// A heartbeat that has not come back when the next one is due is lost.
    static let heartbeatInterval: Duration = MetricsCore.tick

    /// - Parameters:
    ///   - network: nil connects to the configured broker.
    ///   - budgetClock: what fills the budgets of requests.
    package init(
        context: ServiceContext, network: (any BusNetwork)? = nil,
        budgetClock: @escaping @Sendable () -> MonotonicTime = { ServiceClock.now().monotonic }
    ) {
        let configuration = context.configuration
        self.context = context
        heartbeatTopic = "\(ReplyAddress.folder)/\(context.service)-\(context.instance)-heartbeat"
        bus = BusClient(
            settings: context.busSettings, presences: [context.presence], network: network,
            now: { ServiceClock.now().wall }, logger: context.logger)
        let board = MetricsBoard(
            MetricsCore(
                node: configuration.node, cameras: configuration.cameras.map(\.id), version: context.version,
                at: context.startedAt))
        self.board = board
        let settings = configuration.metrics
        history =
            settings.history
            ? HistoryKeeper(stateDir: configuration.stateDir, board: board, logger: context.logger) : nil
        let api = MetricsAPI(
            board: board, files: RecordingFiles(configuration), history: history,
            courier: CommandCourier(bus: bus, topicRoot: configuration.broker.topicRoot, board: board),
            rule: AccessRule(
                token: settings.token?.reveal(), isReadOnly: settings.readOnly, allowOrigins: settings.allowOrigins),
            budget: MetricsAPI.RequestBudgetBook(now: budgetClock))
        listener = HTTPListener(
            listen: settings.listen, logger: context.logger,
            count: { board.take(.measured(.request(status: $0))) }, answer: { api.answer($0) })
    }

    /// Runs until the process is told to stop, or ends with `fenced` where another one speaks for this node.
    package func run() async -> ServiceExit {
        context.heart.watch(inbox)
        bus.subscribe(MessageIntake.subscriptions + [TopicTemplate(pattern: heartbeatTopic)])
        listener.start()
        let tasks = [
            Task { [bus, inbox] in for await input in bus.inputs { await inbox.offer(.bus(input)) } },
            Task { [context, inbox] in
                await context.shutdown.wait()
                inbox.put(.stop)
            },
            Task { [inbox] in await Self.tick { inbox.put(.ticked) } },
            Task { [history] in await Self.keep(history) },
        ]
        bus.start()
        let exit = await loop()
        for task in tasks { task.cancel() }
        inbox.end()
        board.fan.stop()
        await listener.stop()
        await bus.stop()
        await BlockingThread.run("history") { [history] in history?.flush() }
        return exit
    }

    // MARK: The loop

    private struct Heartbeat {
        var number: UInt64 = 0
        var sentAt: MonotonicTime?
    }

    private func loop() async -> ServiceExit {
        var heartbeat = Heartbeat()
        while let input = await inbox.next() {
            switch input {
            case .bus(.disconnected(.takenOver)):
                logger.warning("another metrics service has taken this node over")
                return .fenced
            case .bus(let input): arrived(input, &heartbeat)
            case .ticked: ticked(&heartbeat)
            case .stop: return .done
            }
        }
        return .done
    }

    private func arrived(_ input: BusInput, _ heartbeat: inout Heartbeat) {
        switch input {
        case .connected:
            logger.info("bus connected")
            board.take(.busConnected)
            send(&heartbeat)
        case .disconnected(let reason):
            logger.warning("bus lost", metadata: ["reason": "\(reason)"])
            heartbeat.sentAt = nil
            board.take(.busLost)
        case .outboxOverflowed: break  // This service has no events.
        case .message(let message) where message.topic == heartbeatTopic: returned(message, &heartbeat)
        case .message(let message):
            switch MessageIntake.read(message) {
            case .event(let event): board.take(event)
            case .picture(let camera, let bytes):
                // Of a camera that is not kept there is no picture either.
                guard board.current.isKnown(camera), !bytes.isEmpty else { return board.pictures.remove(camera) }
                board.pictures.put(bytes, of: camera)
            case .none: break
            }
        }
    }

    // MARK: The heartbeat

    private func send(_ heartbeat: inout Heartbeat) {
        heartbeat.number += 1
        heartbeat.sentAt = ServiceClock.now().monotonic
        bus.reply(
            Reply<UInt64>(ok: heartbeat.number, requestID: nil),
            to: ReplyAddress(topic: "\(context.configuration.broker.topicRoot)/\(heartbeatTopic)", correlation: nil))
    }

    private func returned(_ message: InboundMessage, _ heartbeat: inout Heartbeat) {
        guard let reply = try? BusCodec.value(Reply<UInt64>.self, from: message.payload),
            reply.result == heartbeat.number, let sentAt = heartbeat.sentAt
        else { return }
        heartbeat.sentAt = nil
        board.take(.measured(.heartbeat(seconds: (ServiceClock.now().monotonic - sentAt).seconds)))
    }

    // MARK: The clockwork

    private func ticked(_ heartbeat: inout Heartbeat) {
        board.take(.measured(.connections(open: listener.openConnections, listeners: board.fan.count)))
        board.take(.measured(.processes(ProcessTable.costs(board.current.ownServices))))
        board.take(.ticked)
        if heartbeat.sentAt != nil { board.take(.measured(.heartbeatLost)) }
        heartbeat.sentAt = nil
        if board.current.isBusConnected { send(&heartbeat) }
    }

    /// At multiples of the tick since 1970, so that a sample is of one span.
    private static func tick(_ body: () -> Void) async {
        while !Task.isCancelled {
            let now = ServiceClock.now().wall
            let next = HistoryStep.tenSeconds.start(of: now) + MetricsCore.tick
            guard (try? await Task.sleep(for: next - now + .milliseconds(5))) != nil else { return }
            body()
        }
    }

    private static func keep(_ history: HistoryKeeper?) async {
        guard let history else { return }
        while (try? await Task.sleep(for: .seconds(HistoryKeeper.batchSeconds))) != nil {
            await BlockingThread.run("history") { history.flush() }
        }
    }
}
