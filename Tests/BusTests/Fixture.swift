import Bus
import BusContract
import Domain
import Logging
import Synchronization
import TestSupport
import Testing

/// What carries the messages in a test: the real broker, and the twin, so that both are held to the same behaviour.
enum BrokerKind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case mosquitto, twin
    var testDescription: String { rawValue }
}

/// A broker of either kind and the ways in which it can fail.
enum Broker: Sendable {
    case mosquitto(MosquittoBroker)
    case twin(InMemoryBroker)

    init(_ kind: BrokerKind, isPersistent: Bool = false) async throws {
        switch kind {
        case .mosquitto: self = .mosquitto(try await .start(isPersistent: isPersistent))
        case .twin: self = .twin(InMemoryBroker())
        }
    }

    func settings(_ clientID: String, sessionExpirySeconds: UInt32 = 0) -> BusSettings {
        switch self {
        case .mosquitto(let broker):
            broker.settings(clientID: clientID, sessionExpirySeconds: sessionExpirySeconds)
        case .twin:
            BusSettings(
                endpoint: .unixSocket(path: "/nonexistent"), clientID: clientID,
                sessionExpirySeconds: sessionExpirySeconds,
                reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200)))
        }
    }

    func network(_ clientID: String = "raw") -> any BusNetwork {
        switch self {
        case .mosquitto: MosquittoNetwork(settings: settings(clientID))
        case .twin(let twin): twin
        }
    }

    func client(
        _ clientID: String, presences: [Presence] = [], outbox: EventOutbox? = nil, sessionExpirySeconds: UInt32 = 0
    ) -> BusClient {
        BusClient(
            settings: settings(clientID, sessionExpirySeconds: sessionExpirySeconds), presences: presences,
            outbox: outbox, network: network(clientID), now: wallClock, logger: Logger(label: "test"))
    }

    /// A client that is connected, and what it hears.
    func connected(
        _ clientID: String, to templates: [TopicTemplate] = [], presences: [Presence] = [],
        outbox: EventOutbox? = nil
    ) async throws -> (client: BusClient, heard: BusRecorder) {
        let client = client(clientID, presences: presences, outbox: outbox)
        let heard = BusRecorder(client)
        client.subscribe(templates)
        client.start()
        try await eventually("\(clientID) is connected") { heard.connects == 1 }
        return (client, heard)
    }

    func crash() async {
        switch self {
        case .mosquitto(let broker): broker.kill()
        case .twin(let twin): await twin.crash()
        }
    }

    func restart(isForgetting: Bool = true) async throws {
        switch self {
        case .mosquitto(let broker): try await broker.start(isForgetting: isForgetting)
        case .twin(let twin): await twin.restart(isForgetting: isForgetting)
        }
    }
}

let wallClock: @Sendable () -> WallTime = {
    let now = ContinuousClock.now
    return WallTime(milliseconds: 1_790_000_000_000) + (clockStart.duration(to: now))
}
private let clockStart = ContinuousClock.now

let front = CameraID(unchecked: "front")

func segment(_ index: Int) throws -> SegmentEvent {
    let session = SessionID(high: 1, low: 2)
    let startedAt = WallTime(milliseconds: 1_790_000_000_000)
    let path = SegmentPath(camera: front, startedAt: startedAt, session: session, index: index, isPartial: true)
    return SegmentEvent(
        event: .opened, session: session, index: index, node: NodeID(unchecked: "here"), file: path.relativePath,
        startedAt: startedAt, firstFrame: UInt64(index) * 10)
}

/// Another network, whose connections of certain names wait to be opened for as long as the test wants.
final class HoldingNetwork: BusNetwork {
    private struct State {
        var isHolding = false
        var held: [@Sendable () -> Void] = []
    }
    private let network: any BusNetwork
    private let prefix: String
    private let state = Mutex(State())

    init(network: any BusNetwork, prefix: String) {
        self.network = network
        self.prefix = prefix
    }

    func makeTransport() -> any BusTransport { Transport(inner: network.makeTransport(), network: self) }

    /// How many wait.
    var held: Int { state.withLock { $0.held.count } }

    var isHolding: Bool {
        get { state.withLock { $0.isHolding } }
        set {
            let released = state.withLock { state in
                state.isHolding = newValue
                defer { if !newValue { state.held = [] } }
                return newValue ? [] : state.held
            }
            for open in released { open() }
        }
    }

    private func open(_ clientID: String, _ body: @escaping @Sendable () -> Void) {
        let isHeld = state.withLock { state in
            guard state.isHolding, clientID.hasPrefix(prefix) else { return false }
            state.held.append(body)
            return true
        }
        if !isHeld { body() }
    }

    private struct Transport: BusTransport {
        let inner: any BusTransport
        let network: HoldingNetwork

        func open(_ connection: BusConnection, events: @escaping @Sendable (TransportEvent) -> Void) {
            network.open(connection.clientID) { inner.open(connection, events: events) }
        }
        func subscribe(_ filters: [String]) { inner.subscribe(filters) }
        func publish(_ publication: Publication, token: UInt64) { inner.publish(publication, token: token) }
        func close() { inner.close() }
        func abandon() { inner.abandon() }
    }
}
