internal import BusContract
internal import Dispatch

/// The broker's twin for tests: one process, no network, the MQTT rules that the services rely on. It keeps retained
/// messages, matches wildcards, sends wills, ends the older of two connections with one client id, keeps sessions that
/// ask for it, and fails on demand: it can be cut off, stopped, made to forget, to repeat and to lose acknowledgements.
///
/// Invariants: everything happens on one queue, in order, so that a test's history is the same on every run. Only
/// tests use it; what the real broker does otherwise is found by running the same tests against both.
///
/// Sendable is safe because all state is touched on `queue` alone.
package final class InMemoryBroker: BusNetwork, @unchecked Sendable {
    private struct Session {
        var transport: InMemoryTransport?
        var will: Publication?
        var filters: [String] = []
        var expirySeconds: UInt32
        /// QoS 1 messages for a client that is away and whose session lasts.
        var queued: [InboundMessage] = []
        var lastDelivered: InboundMessage?
    }

    private let queue = DispatchQueue(label: "in-memory-broker")
    private var isRunning = true
    private var sessions: [String: Session] = [:]
    private var retained: [String: [UInt8]] = [:]
    private var acknowledgementsToLose = 0

    /// Whether the older of two connections with one client id is told why it ends, as the specification wants it and
    /// mosquitto 2.0.11 does not do it.
    private let tellsTakeover: Bool

    package init(tellsTakeover: Bool = true) { self.tellsTakeover = tellsTakeover }

    package func makeTransport() -> any BusTransport { InMemoryTransport(broker: self) }

    /// The most messages that wait for an absent client, as in mosquitto.
    private static let queuedMax = 1000

    private func onQueue<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body()) }
        }
    }

    // MARK: For tests

    /// Ends all connections without wills, as SIGKILL does, and refuses new ones.
    package func crash() async {
        await onQueue {
            self.isRunning = false
            for id in self.sessions.keys.sorted() { self.end(id, .lost("the broker died"), sendsWill: false) }
        }
    }

    /// - Parameter isForgetting: retained messages and sessions are lost, as without persistence.
    package func restart(isForgetting: Bool = true) async {
        await onQueue {
            self.isRunning = true
            guard isForgetting else { return }
            self.retained = [:]
            self.sessions = [:]
        }
    }

    /// What a broker had written down before it died.
    package func retain(_ payload: [UInt8], on topic: String) async {
        await onQueue { self.retained[topic] = payload }
    }

    /// Breaks one client's connection; the broker sends its will.
    package func cut(_ clientID: String) async {
        await onQueue { self.end(clientID, .lost("cut"), sendsWill: true) }
    }

    /// Takes the next `count` QoS 1 publications without acknowledging them.
    package func loseAcknowledgements(_ count: Int) async {
        await onQueue { self.acknowledgementsToLose = count }
    }

    /// Delivers the last message once more, as QoS 1 allows.
    package func repeatLast(to clientID: String) async {
        await onQueue {
            guard let session = self.sessions[clientID], let last = session.lastDelivered else { return }
            session.transport?.emit(.message(last))
        }
    }

    package func retainedPayload(of topic: String) async -> [UInt8]? { await onQueue { self.retained[topic] } }

    // MARK: For transports

    func open(_ transport: InMemoryTransport, _ connection: BusConnection) {
        queue.async {
            guard self.isRunning else { return transport.emit(.closed(.lost("connection refused"))) }
            let id = connection.clientID
            self.end(id, self.tellsTakeover ? .takenOver : .lost("closed"), sendsWill: true)
            var session = Session(expirySeconds: connection.sessionExpirySeconds)
            if connection.sessionExpirySeconds > 0, let kept = self.sessions[id] { session = kept }
            session.transport = transport
            session.will = connection.will
            let queued = session.queued
            session.queued = []
            self.sessions[id] = session
            transport.clientID = id
            transport.emit(.opened)
            for message in queued { self.deliver(message, to: id) }
        }
    }

    func subscribe(_ transport: InMemoryTransport, _ filters: [String]) {
        queue.async {
            guard let id = self.owner(of: transport) else { return }
            for filter in filters where self.sessions[id]?.filters.contains(filter) == false {
                self.sessions[id]?.filters.append(filter)
            }
            transport.emit(.subscribed(granted: true))
            for (topic, payload) in self.retained.sorted(by: { $0.key < $1.key })
            where filters.contains(where: { TopicFilter.matches($0, topic) }) {
                self.deliver(InboundMessage(topic: topic, payload: payload, isRetained: true), to: id)
            }
        }
    }

    func publish(_ transport: InMemoryTransport, _ publication: Publication, token: UInt64) {
        queue.async {
            guard self.owner(of: transport) != nil else { return }
            let isHeard = self.route(publication)
            guard publication.delivery.qualityOfService > 0 else { return }
            guard self.acknowledgementsToLose == 0 else {
                self.acknowledgementsToLose -= 1
                return
            }
            transport.emit(.published(token: token, isHeard ? .delivered : .nobodySubscribed))
        }
    }

    func close(_ transport: InMemoryTransport, sendsWill: Bool) {
        queue.async {
            guard let id = self.owner(of: transport) else { return }
            self.end(id, .lost("closed"), sendsWill: sendsWill)
        }
    }

    // MARK: The rules

    private func owner(of transport: InMemoryTransport) -> String? {
        guard let id = transport.clientID, sessions[id]?.transport === transport else { return nil }
        return id
    }

    private func end(_ id: String, _ reason: BusDisconnect, sendsWill: Bool) {
        guard let session = sessions[id], let transport = session.transport else { return }
        sessions[id]?.transport = nil
        sessions[id]?.will = nil
        if session.expirySeconds == 0 { sessions[id] = nil }
        transport.emit(.closed(reason))
        if sendsWill, let will = session.will { _ = route(will) }
    }

    /// - Returns: whether a subscription matched.
    private func route(_ publication: Publication) -> Bool {
        if publication.delivery.isRetained {
            retained[publication.topic] = publication.payload.isEmpty ? nil : publication.payload
        }
        let message = InboundMessage(
            topic: publication.topic, payload: publication.payload, isRetained: publication.delivery.isRetained,
            responseTopic: publication.responseTopic, correlation: publication.correlation)
        let listeners = sessions.filter { session in
            session.value.filters.contains { TopicFilter.matches($0, publication.topic) }
        }
        for id in listeners.keys.sorted() { deliver(message, to: id) }
        return !listeners.isEmpty
    }

    private func deliver(_ message: InboundMessage, to id: String) {
        if let transport = sessions[id]?.transport {
            sessions[id]?.lastDelivered = message
            transport.emit(.message(message))
        } else if let count = sessions[id]?.queued.count, count < Self.queuedMax {
            sessions[id]?.queued.append(message)
        }
    }
}

/// One client's end of a connection to the twin.
///
/// Sendable is safe because its members are set before the broker knows it, or on the broker's queue.
final class InMemoryTransport: BusTransport, @unchecked Sendable {
    private let broker: InMemoryBroker
    private(set) var emit: @Sendable (TransportEvent) -> Void = { _ in }
    var clientID: String?

    init(broker: InMemoryBroker) { self.broker = broker }

    func open(_ connection: BusConnection, events: @escaping @Sendable (TransportEvent) -> Void) {
        emit = events
        broker.open(self, connection)
    }
    func subscribe(_ filters: [String]) { broker.subscribe(self, filters) }
    func publish(_ publication: Publication, token: UInt64) { broker.publish(self, publication, token: token) }
    func close() { broker.close(self, sendsWill: false) }
    func abandon() { broker.close(self, sendsWill: true) }
}
