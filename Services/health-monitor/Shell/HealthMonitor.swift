package import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import HealthMonitorCore
internal import Logging
package import ServiceKit

/// A fleet's health-monitor: the loop that feeds the Core and performs what it says.
///
/// Owns the bus client. One task runs `run`, takes one event at a time, and is the only one that touches the Core.
/// `Main` creates it. It keeps nothing on disk: what an earlier one knew that matters is retained on the bus.
package struct HealthMonitor {
    /// What a worker may take to answer a restart.
    static let answerWithin: Duration = .seconds(10)

    private let context: ServiceContext
    private let bus: BusClient
    private let inbox: Inbox<Input>
    private var logger: Logger { context.logger }

    private enum Input: Sendable {
        case bus(BusInput)
        case happened(HealthEvent)
        case stop(ServiceExit)
    }

    /// - Parameter network: nil connects to the configured broker.
    package init(context: ServiceContext, network: (any BusNetwork)? = nil) {
        self.context = context
        inbox = Inbox<Input>()
        bus = BusClient(
            settings: context.busSettings, presences: [context.presence], network: network,
            now: { ServiceClock.now().wall }, logger: context.logger)
        context.heart.watch(inbox)
    }

    /// Runs until the process is told to stop, or ends with `fenced` where another one has taken its name.
    package func run() async -> ServiceExit {
        bus.subscribe([
            HealthLeader.template, CameraAvailability.template, StreamState.template, RecordingState.template,
            ViewingState.template, StreamStats.template, ServiceState.template, StorageState.template,
            MediaServerState.template, CameraHealth.template,
        ])
        let listeners = [
            Task { [bus, inbox] in for await input in bus.inputs { await inbox.offer(.bus(input)) } },
            Task { [context, inbox] in
                await context.shutdown.wait()
                inbox.put(.stop(.done))
            },
        ]
        bus.start()
        let exit = await loop()
        for listener in listeners { listener.cancel() }
        inbox.end()
        await bus.stop()
        return exit
    }

    private func loop() async -> ServiceExit {
        var core = HealthCore(
            context.configuration.health, own: context.instance, seed: UInt64.random(in: .min ... .max))
        var said = Said()
        var live = LiveTopics()
        var timer: Task<Void, Never>?
        defer { timer?.cancel() }
        while let input = await inbox.next() {
            let event: HealthEvent
            switch input {
            case .bus(.disconnected(.takenOver)):
                logger.warning("another health-monitor has taken this node's place")
                return .fenced
            case .bus(let input):
                guard let arrived = HealthEvent(input, live: &live, unreadable: unreadable) else { continue }
                event = arrived
            case .happened(let happened): event = happened
            case .stop(let exit): return exit
            }
            let now = ServiceClock.now()
            let led = core.leads(at: now.monotonic)
            for effect in core.handle(event, at: now) { perform(effect, &said, &timer) }
            let leads = core.leads(at: now.monotonic)
            if led != leads { logger.info(leads ? "leads" : "leads no more") }
        }
        return .done
    }

    private func unreadable(_ topic: String, _ error: CodedError) {
        logger.warning("unreadable", metadata: ["topic": "\(topic)", "reason": "\(error)"])
    }

    // MARK: Effects

    /// What was published as the leader.
    private struct Said {
        var leads = false
        var cameras: Set<CameraID> = []
        var services: Set<ServiceAddress> = []
        var nodes: Set<NodeID> = []
    }

    private func perform(_ effect: HealthEffect, _ said: inout Said, _ timer: inout Task<Void, Never>?) {
        switch effect {
        case .publishLeader(let leader):
            said.leads = true
            bus.publish(leader, to: FleetAddress())
        case .publishCamera(let camera, let health):
            said.cameras.insert(camera)
            bus.publish(health, to: camera)
        case .publishService(let address, let health):
            said.services.insert(address)
            bus.publish(health, to: address)
        case .publishNode(let node, let health):
            said.nodes.insert(node)
            bus.publish(health, to: node)
        case .clearCamera(let camera):
            said.cameras.insert(camera)
            bus.clear(CameraHealth.self, at: camera)
        case .clearService(let address):
            said.services.insert(address)
            bus.clear(ServiceHealth.self, at: address)
        case .stepDown:
            if said.leads { bus.forget(HealthLeader.self, at: FleetAddress()) }
            for camera in said.cameras { bus.forget(CameraHealth.self, at: camera) }
            for address in said.services { bus.forget(ServiceHealth.self, at: address) }
            for node in said.nodes { bus.forget(NodeHealth.self, at: node) }
            said = Said()
        case .restart(let camera, let command): restart(camera, command)
        case .tell(let camera, let status, let reasons):
            logger.log(
                level: status == .ok || status == .unknown ? .info : .warning, "camera is \(status.rawValue)",
                metadata: [
                    "camera": "\(camera)", "reasons": "\(reasons.map(\.message).joined(separator: "; "))",
                ])
        case .wake(let time): timer = wake(at: time, instead: timer)
        }
    }

    private func wake(at time: MonotonicTime?, instead timer: Task<Void, Never>?) -> Task<Void, Never>? {
        timer?.cancel()
        return time.map { time in
            Task { [inbox] in
                // One that came early would be the last one: the Core asks only when its deadline changes.
                while ServiceClock.now().monotonic < time {
                    let rest = time - ServiceClock.now().monotonic
                    guard (try? await Task.sleep(for: max(rest, .milliseconds(1)))) != nil else { return }
                }
                inbox.put(.happened(.woke))
            }
        }
    }

    private func restart(_ camera: CameraID, _ command: RestartCommand) {
        logger.warning("source restarted", metadata: ["camera": "\(camera)", "reason": "\(command.reason ?? "")"])
        Task { [bus, inbox, logger] in
            let outcome: HealthAction.Outcome
            do throws(CodedError) {
                let reply = try await bus.request(
                    command.payload, to: RestartCommand.topic(for: camera), expecting: RestartResult.self,
                    timeout: Self.answerWithin)
                outcome = reply.error == nil ? .done : .refused
                if let error = reply.error {
                    logger.info("restart refused", metadata: ["camera": "\(camera)", "reason": "\(error.message)"])
                }
            } catch {
                outcome = .unanswered
                logger.info("restart unanswered", metadata: ["camera": "\(camera)", "reason": "\(error)"])
            }
            inbox.put(.happened(.restartAnswered(camera, outcome)))
        }
    }
}
