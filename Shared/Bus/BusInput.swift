package import BusContract
package import Domain
package import Logging

/// What a service hears from its client: one stream, read by the service's one loop.
package enum BusInput: Sendable {
    /// Connected, and the subscriptions are in force. After every connect, also the first.
    case connected
    /// Once per outage; the client goes on trying unless it was taken over.
    case disconnected(BusDisconnect)
    case message(InboundMessage)
    /// So many of the oldest events were dropped from the full outbox since the last such input.
    case outboxOverflowed(count: Int)
}

/// Why there is no connection.
package enum BusDisconnect: Sendable, Hashable {
    /// Another process connected with this client id (MQTT 5.0 reason 0x8E). Final: this client never connects again.
    case takenOver
    /// Not reachable, or the connection broke. Tried again.
    case lost(String)
    /// The broker answered and said no: credentials, protocol, banned. Tried again.
    case refused(String)
}

/// A publication that matched a subscription.
package struct InboundMessage: Sendable, Hashable {
    /// Below the root.
    package var topic: String
    /// Of a command no more than `CommandLimits.payloadBytesMax` + 1 bytes are kept.
    package var payload: [UInt8]
    /// Sent by the broker because it was retained, or published with the retain flag.
    package var isRetained: Bool
    /// MQTT 5 response topic, whole, as the asker gave it.
    package var responseTopic: String?
    package var correlation: [UInt8]?

    package init(
        topic: String, payload: [UInt8], isRetained: Bool = false, responseTopic: String? = nil,
        correlation: [UInt8]? = nil
    ) {
        self.topic = topic
        self.payload = payload
        self.isRetained = isRetained
        self.responseTopic = responseTopic
        self.correlation = correlation
    }

    /// The topics that end so carry commands.
    static let commandSuffix = "/set"

    /// The message as an `M`, if its topic is one of M's.
    /// - Returns: nil if the topic is another message's.
    package func decoded<M: BusMessage>(
        _ type: M.Type
    ) -> (address: M.Address, result: Result<Stamped<M>, CodedError>)? {
        guard let address = M.address(from: topic) else { return nil }
        do throws(CodedError) {
            return (address, .success(try BusCodec.decode(type, from: payload)))
        } catch {
            return (address, .failure(error))
        }
    }

    /// The message as an `M`, for those who have no use for a wrong one.
    /// - Returns: nil if the topic is another message's, for the empty payload of a retained state that is taken back,
    ///   and, after a line in the log, for a payload that is no `M`.
    package func decoded<M: BusMessage>(
        _ type: M.Type, orLogTo logger: Logger
    ) -> (address: M.Address, stamped: Stamped<M>)? {
        guard !payload.isEmpty, let (address, result) = decoded(type) else { return nil }
        switch result {
        case .success(let stamped): return (address, stamped)
        case .failure(let error):
            logger.warning("unreadable", metadata: ["topic": "\(topic)", "reason": "\(error)"])
            return nil
        }
    }
}
