package import BusContract

/// The seam between the client's logic and what carries it: libmosquitto, or the in-memory twin. One transport is
/// one attempt at one connection; it is opened once, ends once and is then dropped, so nothing of an older
/// connection, neither its will nor its unsent messages, can leak into the next.

/// What makes transports to one broker.
package protocol BusNetwork: Sendable {
    func makeTransport() -> any BusTransport
}

/// One connection. Every call returns at once; what comes of it arrives as events, in order, from one thread at a
/// time. After `.closed` there are no more events.
package protocol BusTransport: Sendable {
    func open(_ connection: BusConnection, events: @escaping @Sendable (TransportEvent) -> Void)
    /// All filters in one request, acknowledged together.
    func subscribe(_ filters: [String])
    /// `token` returns in `.published` for QoS 1; a QoS 0 message has no answer.
    func publish(_ publication: Publication, token: UInt64)
    /// Ends the connection in order: what was published goes out first, and the broker drops the will.
    func close()
    /// Ends the connection as a crash would: the broker sends the will.
    func abandon()
}

/// What is said of a connection when it is made.
package struct BusConnection: Sendable, Hashable {
    package var clientID: String
    package var sessionExpirySeconds: UInt32
    package var will: Publication?

    package init(clientID: String, sessionExpirySeconds: UInt32 = 0, will: Publication? = nil) {
        self.clientID = clientID
        self.sessionExpirySeconds = sessionExpirySeconds
        self.will = will
    }
}

/// A publication, topic whole.
package struct Publication: Sendable, Hashable {
    package var topic: String
    package var payload: [UInt8]
    package var delivery: DeliveryClass
    package var responseTopic: String?
    package var correlation: [UInt8]?
    package var expirySeconds: UInt32?

    package init(
        topic: String, payload: [UInt8], delivery: DeliveryClass, responseTopic: String? = nil,
        correlation: [UInt8]? = nil, expirySeconds: UInt32? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.delivery = delivery
        self.responseTopic = responseTopic
        self.correlation = correlation
        self.expirySeconds = expirySeconds
    }
}

package enum TransportEvent: Sendable, Hashable {
    case opened
    /// False if the broker granted less than all filters.
    case subscribed(granted: Bool)
    case published(token: UInt64, PublicationResult)
    /// Topic whole.
    case message(InboundMessage)
    case closed(BusDisconnect)
}

package enum PublicationResult: Sendable, Hashable {
    case delivered
    /// MQTT 5.0 reason 0x10: accepted, and nobody was subscribed.
    case nobodySubscribed
    /// The broker or the library would not take it.
    case refused(String)
}
