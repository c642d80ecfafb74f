package import Domain

/// What every message on the bus is: a payload, an address that prints and parses its topic, and a delivery class.
/// QoS and retain follow from the class; no call site chooses them.

/// How the broker carries a message.
package enum DeliveryClass: String, Sendable, CaseIterable {
    /// Retained, QoS 1: the newest value is what counts.
    case state
    /// QoS 1, never retained: each one counts, once.
    case event
    /// QoS 1, never retained, answered; dies by message expiry.
    case command
    /// QoS 0: the next one comes soon.
    case telemetry

    /// MQTT quality of service, 0 to 2 (MQTT 5.0 section 4.3).
    package var qualityOfService: Int32 { self == .telemetry ? 0 : 1 }
    package var isRetained: Bool { self == .state }
}

/// How a payload is written.
package enum PayloadFormat: String, Sendable {
    /// A JSON object with `at` and `seq` beside the message's own keys.
    case json
    /// One bare word, as Home Assistant wants it for availability.
    case word
    /// The payload as it is, such as a picture.
    case bytes
}

/// The variable levels of a topic.
package protocol TopicAddress: Hashable, Sendable {
    /// One text for each placeholder of the template, in order.
    var levels: [String] { get }
    /// Nil if the levels do not name anything that could exist.
    init?(levels: [String])
    /// For the reference.
    static var placeholders: [String] { get }
}

/// A message whose topic and class are fixed by its type.
package protocol BusMessage: Codable, Hashable, Sendable {
    associatedtype Address: TopicAddress
    /// Below the topic root; `+` stands for each level that the address fills.
    static var template: TopicTemplate { get }
    static var delivery: DeliveryClass { get }
    static var format: PayloadFormat { get }
}

extension BusMessage {
    package static var format: PayloadFormat { .json }
    package static func topic(for address: Address) -> String { template.topic(levels: address.levels) }
    /// Nil if `topic` is not one of this message's.
    package static func address(from topic: some StringProtocol) -> Address? {
        template.levels(of: topic).flatMap(Address.init(levels:))
    }
}

/// A message that is its payload.
package protocol BytesMessage: BusMessage {
    static var bytesMax: Int { get }
    var bytes: [UInt8] { get }
    init(bytes: [UInt8])
}

/// A topic below the root with `+` for each variable level; also the subscription that receives all of them.
package struct TopicTemplate: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    package let pattern: String
    package init(stringLiteral pattern: String) { self.pattern = pattern }
    package init(pattern: String) { self.pattern = pattern }
    package var description: String { pattern }

    func topic(levels: [String]) -> String {
        var rest = levels[...]
        let printed = pattern.split(separator: "/").map { $0 == "+" ? rest.popFirst() ?? "+" : String($0) }
        return printed.joined(separator: "/")
    }

    /// What stands at the placeholders, or nil if the topic is another one.
    package func levels(of topic: some StringProtocol) -> [String]? {
        let wanted = pattern.split(separator: "/")
        let found = topic.split(separator: "/", omittingEmptySubsequences: false)
        guard wanted.count == found.count else { return nil }
        var levels: [String] = []
        for (level, text) in zip(wanted, found) {
            if level == "+" { levels.append(String(text)) } else if level != text { return nil }
        }
        return levels
    }

    /// The template with named placeholders: `cameras/<camera>/stream`.
    package func named(_ placeholders: [String]) -> String { topic(levels: placeholders.map { "<\($0)>" }) }
}

extension CameraID: TopicAddress {
    package var levels: [String] { [rawValue] }
    package init?(levels: [String]) {
        guard levels.count == 1 else { return nil }
        self.init(rawValue: levels[0])
    }
    package static var placeholders: [String] { ["camera"] }
}

extension NodeID: TopicAddress {
    package var levels: [String] { [rawValue] }
    package init?(levels: [String]) {
        guard levels.count == 1 else { return nil }
        self.init(rawValue: levels[0])
    }
    package static var placeholders: [String] { ["node"] }
}

/// One running copy of one service.
package struct ServiceAddress: TopicAddress {
    package var service: ServiceName
    package var instance: InstanceID

    package init(_ service: ServiceName, _ instance: InstanceID) {
        self.service = service
        self.instance = instance
    }

    package var levels: [String] { [service.rawValue, instance.rawValue] }
    package init?(levels: [String]) {
        guard levels.count == 2, let service = ServiceName(rawValue: levels[0]),
            let instance = InstanceID(rawValue: levels[1])
        else { return nil }
        self.init(service, instance)
    }
    package static var placeholders: [String] { ["service", "instance"] }
}
