internal import Bus
internal import Domain
internal import FramekeeperCore
internal import Logging
internal import ServiceKit
internal import Synchronization

/// The supervisor's own connection to the embedded broker, and what it says of that broker: whether it has answered
/// yet, and whether it hangs. Reads all that comes in on the bus client, which `NodeRun` owns and stops.
final class BrokerVigil: Sendable {
    /// What a broker may take from its start to its first answer before the node goes on without it.
    static let answersWithin: Duration = .seconds(10)
    static let lookEvery: Duration = .milliseconds(20)

    private let broker: EmbeddedBroker
    private let bus: BusClient
    private let supervisor: Supervisor
    private let logger: Logger
    private let seen = Mutex(BrokerWatch())

    init(broker: EmbeddedBroker, bus: BusClient, supervisor: Supervisor, logger: Logger) {
        self.broker = broker
        self.bus = bus
        self.supervisor = supervisor
        self.logger = logger
    }

    /// Until the task is cancelled or the client has stopped.
    func listen(as node: NodeID) async {
        for await input in bus.inputs {
            switch input {
            case .connected: seen.withLock { $0.connected() }
            case .disconnected(.takenOver):
                seen.withLock { $0.takenOver() }
                logger.error(
                    "another node has this name; a broker that hangs is no longer noticed",
                    metadata: ["node": "\(node)"])
            case .disconnected(.lost), .disconnected(.refused):
                seen.withLock { $0.lost(at: ServiceClock.now().monotonic) }
            case .message, .outboxOverflowed: break
            }
        }
    }

    /// Starts the client as soon as the broker listens, or at the end. Whether the broker took the connection in time;
    /// one that cannot live is given up sooner.
    func answers(unless shutdown: Shutdown) async -> Bool {
        let deadline = ServiceClock.now().monotonic + Self.answersWithin
        var isStarted = false
        defer { if !isStarted { bus.start() } }
        while !seen.withLock({ $0.hasConnected }) {
            guard await !supervisor.isHopeless("broker"), !shutdown.isRequested,
                ServiceClock.now().monotonic < deadline, (try? await Task.sleep(for: Self.lookEvery)) != nil
            else { return false }
            if !isStarted, broker.listens {
                bus.start()
                isStarted = true
            }
        }
        return true
    }

    /// Until the task is cancelled: starts a broker anew that hangs.
    func watch() async {
        while (try? await Task.sleep(for: BeatWatch.every)) != nil {
            let startedAt = await supervisor.startedAt("broker")
            let now = ServiceClock.now().monotonic
            if seen.withLock({ $0.isHung(startedAt: startedAt, at: now) }) { await supervisor.fellSilent("broker") }
        }
    }
}
