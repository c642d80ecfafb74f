internal import Bus
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Logging
internal import ServiceKit

/// One run of `framekeeper up`: leftovers away, the configuration in force settled, broker up and given time to answer,
/// then the services, then a worker per camera of this node; while they run, what a changed configuration asks for; and
/// all of it down in the reverse order when asked.
struct NodeRun: Sendable {
    /// As the file says, or as was in force of a file that is broken. What is in force comes from `settle`.
    let initial: ConfigurationLoader.InForce
    let flags: ServiceFlags
    let logger: Logger
    let shutdown: Shutdown
    let startedAt = ServiceClock.now()

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
        NodePlan.makeStorageFolder(configuration, logger)
        summary(NodeSummary(configuration: configuration, broker: broker, broken: initial.broken))
        let supervisor = Supervisor(run: folder, logger: logger, output: { LineLogHandler.standardError($0) })
        let urgency = Task { [shutdown] in
            await shutdown.waitUntilUrgent()
            if shutdown.isUrgent { await supervisor.kill() }
        }
        defer { urgency.cancel() }
        await keep(configuration, plan, supervisor, broker)
        await folder.settle(within: Self.notesWithin)
        return .done
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

    /// What does not answer is no reason not to record: workers and services wait for a broker themselves.
    private func keep(
        _ configuration: ClusterConfiguration, _ plan: NodePlan, _ supervisor: Supervisor, _ broker: EmbeddedBroker?
    ) async {
        let bus = presence(configuration)
        let vigil = broker.map { BrokerVigil(broker: $0, bus: bus, supervisor: supervisor, logger: logger) }
        var watching = [Task { if let vigil { await vigil.listen(as: configuration.node) } }]
        if let broker, let vigil {
            await supervisor.start(brokerSpec(broker, plan))
            if await !vigil.answers(unless: shutdown), !shutdown.isRequested {
                logger.error("the embedded broker does not answer; its own lines say why. The node goes on without it")
            }
        } else {
            bus.start()
        }
        if !shutdown.isRequested {
            let follower = NodeFollower(configuration: configuration, plan: plan, logger: logger)
            for spec in plan.children(configuration) { await supervisor.start(spec) }
            watching += [
                Task { await follower.follow(supervisor) }, Task { await supervisor.watchBeats() },
                Task { if let vigil { await vigil.watch() } },
            ]
        }
        await shutdown.wait()
        logger.info("stopping", metadata: ["reason": "\(shutdown.reason ?? "")"])
        for task in watching { task.cancel() }
        await supervisor.stop(.workers)
        await supervisor.stop(.services)
        await bus.stop()
        await supervisor.stop(.broker)
    }

    private func brokerSpec(_ broker: EmbeddedBroker, _ plan: NodePlan) -> ChildSpec {
        var spec = plan.broker(broker)
        spec.mend = { [logger] exit in
            do throws(CodedError) {
                guard let aside = try broker.moveDamageAside(after: exit, now: ServiceClock.now().wall) else { return }
                logger.error(
                    "the broker does not start with what it had kept; it begins anew", metadata: ["kept": "\(aside)"])
            } catch {
                logger.error("the broker's data cannot be moved aside", metadata: ["reason": "\(error)"])
            }
        }
        return spec
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
}
