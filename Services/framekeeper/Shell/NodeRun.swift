internal import Bus
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Logging
internal import ServiceKit

/// One run of `framekeeper up`: leftovers away, broker up and answering, then the services, then a worker per camera of
/// this node; and all of it down in the reverse order when asked.
struct NodeRun: Sendable {
    let configuration: ClusterConfiguration
    let flags: ServiceFlags
    let logger: Logger
    let shutdown: Shutdown
    let startedAt = ServiceClock.now()

    /// What a broker may take from its start to its first answer.
    static let brokerWithin: Duration = .seconds(10)
    static let leftoversWithin: Duration = .seconds(12)

    /// Throws what keeps the node from starting, in words for a person.
    func run(summary: (NodeSummary) -> Void) async throws(CodedError) -> ServiceExit {
        guard let folder = try RunFolder.take(stateDir: configuration.stateDir) else {
            throw CodedError(
                .conflict, "another framekeeper up runs with the state folder \(configuration.stateDir); stop it first")
        }
        for leftover in await folder.stopLeftovers(within: Self.leftoversWithin) {
            logger.warning("stopped a process that an earlier run left", metadata: ["process": "\(leftover.text)"])
        }
        let broker = try EmbeddedBroker.prepare(configuration, environment: ServiceProcess.environment())
        try AtomicFile.createFolder(configuration.storage.path)
        let specs = try specs(broker)
        summary(NodeSummary(configuration: configuration, broker: broker))
        let supervisor = Supervisor(run: folder, logger: logger, output: { LineLogHandler.standardError($0) })
        let urgency = Task { [shutdown] in
            await shutdown.waitUntilUrgent()
            if shutdown.isUrgent { await supervisor.kill() }
        }
        defer { urgency.cancel() }
        let exit = await keep(specs, supervisor, broker)
        return exit
    }

    private func keep(_ specs: [ChildSpec], _ supervisor: Supervisor, _ broker: EmbeddedBroker?) async -> ServiceExit {
        for spec in specs where spec.stage == .broker { await supervisor.start(spec) }
        let bus = presence()
        var exit = ServiceExit.done
        if let broker, await !answers(broker, bus, supervisor) {
            if !shutdown.isRequested {
                logger.error("the embedded broker does not answer; its own lines above say why")
                exit = .unavailable
            }
        } else {
            if broker == nil { bus.start() }
            for spec in specs where spec.stage != .broker { await supervisor.start(spec) }
            await shutdown.wait()
            logger.info("stopping", metadata: ["reason": "\(shutdown.reason ?? "")"])
        }
        await supervisor.stop(.workers)
        await supervisor.stop(.services)
        await bus.stop()
        await supervisor.stop(.broker)
        return exit
    }

    /// The supervisor is a service of the node and says so on the bus.
    private func presence() -> BusClient {
        let instance = InstanceID(unchecked: configuration.node.rawValue)
        let context = ServiceContext(
            service: .framekeeper, instance: instance, configuration: configuration, logger: logger,
            shutdown: shutdown, startedAt: startedAt)
        return BusClient(
            settings: context.busSettings, presences: [context.presence], now: { ServiceClock.now().wall },
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

    private func specs(_ broker: EmbeddedBroker?) throws(CodedError) -> [ChildSpec] {
        var specs: [ChildSpec] = []
        if let broker {
            specs.append(
                ChildSpec(
                    name: "broker", executable: broker.executable, arguments: ["-c", broker.configurationFile],
                    stage: .broker, mutedLines: EmbeddedBroker.mutedLines))
        }
        var common = ["--supervised", "--log-level", flags.logLevel.rawValue]
        if let file = configuration.file { common += ["--config", file] }
        if let url = flags.broker { common += ["--broker", url] }
        specs.append(
            ChildSpec(
                name: "rotation-service", executable: try sibling("rotation-service"), arguments: common,
                stage: .services))
        let worker = try sibling("capture-worker")
        for camera in configuration.ownCameras {
            specs.append(
                ChildSpec(
                    name: "capture-worker/\(camera.id)", executable: worker,
                    arguments: ["--camera", camera.id.rawValue] + common, stage: .workers))
        }
        return specs
    }

    /// The services lie beside this executable.
    private func sibling(_ name: String) throws(CodedError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw .system(errno, "cannot tell where this executable lies") }
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
        guard access(path, X_OK) == 0 else {
            throw CodedError(.notReady, "\(path) is missing; install \(name) in the folder of framekeeper")
        }
        return path
    }
}
