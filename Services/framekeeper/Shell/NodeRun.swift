internal import Bus
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Logging
internal import ServiceKit
internal import Synchronization

/// One run of `framekeeper up`: leftovers away, the configuration in force settled, broker up and answering, then the
/// services, then a worker per camera of this node; while they run, what a changed configuration asks for; and all of
/// it down in the reverse order when asked.
struct NodeRun: Sendable {
    /// As the file says, or as was in force of a file that is broken. What is in force comes from `settle`.
    let initial: ConfigurationLoader.InForce
    let flags: ServiceFlags
    let logger: Logger
    let shutdown: Shutdown
    let startedAt = ServiceClock.now()

    /// What a broker may take from its start to its first answer.
    static let brokerWithin: Duration = .seconds(10)
    /// A broker that hangs is noticed within twice this: the least that libmosquitto takes.
    static let keepAlive: Duration = .seconds(5)
    static let leftoversWithin: Duration = .seconds(12)
    /// What the last notes of children may take: what is left of them names processes that are no more.
    static let notesWithin: Duration = .seconds(2)
    /// What the config-writer may take to put a file in force.
    static let settleWithin: Duration = .seconds(20)

    /// Throws what keeps the node from starting, in words for a person.
    func run(summary: (NodeSummary) -> Void) async throws(CodedError) -> ServiceExit {
        let stateDir = initial.configuration.stateDir
        guard let folder = try RunFolder.take(stateDir: stateDir) else {
            throw CodedError(
                .conflict, "another framekeeper up runs with the state folder \(stateDir); stop it first")
        }
        for leftover in await folder.stopLeftovers(within: Self.leftoversWithin) {
            logger.warning("stopped a process that an earlier run left", metadata: ["process": "\(leftover.text)"])
        }
        let plan = try NodePlan(file: initial.configuration.file, stateDir: stateDir, flags: flags)
        let configuration = try await settled(plan)
        let broker = try EmbeddedBroker.prepare(configuration, environment: ServiceProcess.environment())
        try AtomicFile.createFolder(configuration.storage.path)
        summary(NodeSummary(configuration: configuration, broker: broker, broken: initial.broken))
        let supervisor = Supervisor(run: folder, logger: logger, output: { LineLogHandler.standardError($0) })
        let urgency = Task { [shutdown] in
            await shutdown.waitUntilUrgent()
            if shutdown.isUrgent { await supervisor.kill() }
        }
        defer { urgency.cancel() }
        let exit = await keep(configuration, plan, supervisor, broker)
        await folder.settle(within: Self.notesWithin)
        return exit
    }

    /// Has the config-writer put the file in force before anything runs that it could interrupt, and reads what is in
    /// force then. A config-writer that fails costs the change, not the node: the text before stays in force.
    private func settled(_ plan: NodePlan) async throws(CodedError) -> ClusterConfiguration {
        let settle = plan.settle
        let exit = try await ChildProcess.run(
            settle.name, executable: settle.executable, arguments: settle.arguments, within: Self.settleWithin,
            onLine: { LineLogHandler.standardError("[\(settle.name)] \($0)") })
        if exit != .code(0) {
            logger.error("the file is not put in force", metadata: ["reason": "\(exit)"])
        }
        switch plan.load() {
        case .success(let configuration): return configuration
        case .failure(let errors):
            logger.error("what is in force does not load; the file is taken as it is")
            for error in errors.errors { LineLogHandler.standardError(error.description) }
            return initial.configuration
        }
    }

    private func keep(
        _ configuration: ClusterConfiguration, _ plan: NodePlan, _ supervisor: Supervisor, _ broker: EmbeddedBroker?
    ) async -> ServiceExit {
        if let broker { await supervisor.start(plan.broker(broker)) }
        let bus = presence(configuration)
        var exit = ServiceExit.done
        if let broker, await !answers(broker, bus, supervisor) {
            if !shutdown.isRequested {
                logger.error("the embedded broker does not answer; its own lines above say why")
                exit = .unavailable
            }
        } else {
            if broker == nil { bus.start() }
            let follower = NodeFollower(configuration: configuration, plan: plan, logger: logger)
            for spec in plan.children(configuration) { await supervisor.start(spec) }
            let watching = [
                Task { await follower.follow(supervisor) }, Task { await supervisor.watchBeats() },
                Task { if broker != nil { await watchBroker(bus, supervisor, of: configuration.node) } },
            ]
            await shutdown.wait()
            logger.info("stopping", metadata: ["reason": "\(shutdown.reason ?? "")"])
            for task in watching { task.cancel() }
        }
        await supervisor.stop(.workers)
        await supervisor.stop(.services)
        await bus.stop()
        await supervisor.stop(.broker)
        return exit
    }

    /// Until the task is cancelled: starts an embedded broker anew that hangs.
    private func watchBroker(_ bus: BusClient, _ supervisor: Supervisor, of node: NodeID) async {
        let watch = Mutex(BrokerWatch())
        let listener = Task { [logger] in
            for await input in bus.inputs {
                switch input {
                case .connected: watch.withLock { $0.connected() }
                case .disconnected(.takenOver):
                    watch.withLock { $0.takenOver() }
                    logger.error(
                        "another node has this name; a broker that hangs is no longer noticed",
                        metadata: ["node": "\(node)"])
                case .disconnected(.lost), .disconnected(.refused):
                    watch.withLock { $0.lost(at: ServiceClock.now().monotonic) }
                case .message, .outboxOverflowed: break
                }
            }
        }
        defer { listener.cancel() }
        while (try? await Task.sleep(for: BeatWatch.every)) != nil {
            let startedAt = await supervisor.startedAt("broker")
            let now = ServiceClock.now().monotonic
            if watch.withLock({ $0.isHung(startedAt: startedAt, at: now) }) { await supervisor.fellSilent("broker") }
        }
    }

    /// The supervisor is a service of the node and says so on the bus.
    private func presence(_ configuration: ClusterConfiguration) -> BusClient {
        let instance = InstanceID(unchecked: configuration.node.rawValue)
        let context = ServiceContext(
            service: .framekeeper, instance: instance, configuration: configuration, logger: logger,
            shutdown: shutdown, startedAt: startedAt)
        var settings = context.busSettings
        settings.keepAlive = Self.keepAlive
        return BusClient(
            settings: settings, presences: [context.presence], now: { ServiceClock.now().wall },
            logger: logger)
    }

    /// Whether the broker took a connection in time. A broker that cannot live is given up sooner.
    private func answers(_ broker: EmbeddedBroker, _ bus: BusClient, _ supervisor: Supervisor) async -> Bool {
        let deadline = ServiceClock.now().monotonic + Self.brokerWithin
        @Sendable func mayWait() async -> Bool {
            guard await !supervisor.isHopeless("broker"), !shutdown.isRequested,
                ServiceClock.now().monotonic < deadline
            else { return false }
            return (try? await Task.sleep(for: .milliseconds(20))) != nil
        }
        while !broker.listens { guard await mayWait() else { return false } }
        bus.start()
        let connected = Task {
            for await input in bus.inputs {
                if case .connected = input { return true }
            }
            return false
        }
        let limit = Task {
            while await mayWait() {}
            connected.cancel()
        }
        defer { limit.cancel() }
        return await connected.value
    }
}
