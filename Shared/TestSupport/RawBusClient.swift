package import Bus
internal import Synchronization

/// A client without any of `BusClient`'s manners, over the real broker or the twin: publishes what it is told to,
/// keeps what it hears, leaves a will if asked to.
package final class RawBusClient: Sendable {
    private final class Log: Sendable {
        let events = Mutex<[TransportEvent]>([])
    }

    private let log = Log()
    private let transport: any BusTransport

    /// Returns when connected and subscribed.
    package init(
        _ network: any BusNetwork, clientID: String, will: Publication? = nil, filters: [String] = []
    ) async throws {
        transport = network.makeTransport()
        let log = log
        transport.open(BusConnection(clientID: clientID, will: will)) { event in
            log.events.withLock { $0.append(event) }
        }
        try await eventually("\(clientID) is connected") { self.events.contains(.opened) }
        guard !filters.isEmpty else { return }
        transport.subscribe(filters)
        try await eventually("\(clientID) is subscribed") { self.events.contains(.subscribed(granted: true)) }
    }

    deinit { transport.abandon() }

    package var events: [TransportEvent] { log.events.withLock { $0 } }

    /// Topics whole.
    package var messages: [InboundMessage] {
        events.compactMap { if case .message(let message) = $0 { message } else { nil } }
    }

    package func payloads(on topic: String) -> [String] {
        messages.filter { $0.topic == topic }.map { String(decoding: $0.payload, as: UTF8.self) }
    }

    package func publish(_ publication: Publication) { transport.publish(publication, token: 0) }

    /// Publishes with QoS 1 and waits for what the broker says to it.
    package func outcome(of publication: Publication, token: UInt64) async throws -> PublicationResult {
        transport.publish(publication, token: token)
        return try await eventually("\(publication.topic) is answered") {
            for case .published(token, let result) in events { return result }
            return nil
        }
    }

    /// As a crash would end it: the will is sent.
    package func crash() { transport.abandon() }
}
