package import Domain

/// A broker and its clients' links, with everything that can happen to a message: lost with its link, repeated,
/// delayed, overtaken by a later one on another topic. It keeps retained messages, unless it is made to forget them.
///
/// It schedules nothing itself: every call returns what arrives where and when, for the simulation's agenda.
package struct SimulatedBus<Payload: Sendable>: Sendable {
    package enum Client: Int, Hashable, Sendable, CaseIterable {
        case worker, rotation, person
    }

    package struct Delivery: Sendable {
        package var to: Client
        package var topic: String
        package var payload: Payload
        package var isRetained: Bool
        package var at: MonotonicTime
        /// The receiver's connection; what arrives after it has ended is lost.
        package var connection: Int
    }

    package var isUp = true
    /// Of messages that are not ordered: chance to come twice.
    package var repeatChance = 0.02
    /// Chance of a delay of up to `delayMax` instead of milliseconds.
    package var delayChance = 0.01
    package var delayMax: Duration = .seconds(3)

    private var connections: [Client: Int] = [:]
    private var count = 0
    private var retained: [String: Payload] = [:]
    private var newest: [String: MonotonicTime] = [:]
    private var wants: [Client: @Sendable (String) -> Bool] = [:]

    package init() {}

    package func isConnected(_ client: Client) -> Bool { connections[client] != nil }
    package func connection(of client: Client) -> Int? { connections[client] }
    package func retained(_ topic: String) -> Payload? { retained[topic] }

    package mutating func subscribe(_ client: Client, _ wants: @escaping @Sendable (String) -> Bool) {
        self.wants[client] = wants
    }

    /// False while the broker is down.
    package mutating func connect(
        _ client: Client, at now: MonotonicTime, _ random: inout SeededRandom
    ) -> [Delivery]? {
        guard isUp else { return nil }
        count += 1
        connections[client] = count
        return retained.keys.sorted().compactMap { topic in
            guard wants[client]?(topic) == true, let payload = retained[topic] else { return nil }
            return delivery(of: payload, on: topic, to: client, isRetained: true, isOrdered: true, at: now, &random)
        }
    }

    package mutating func disconnect(_ client: Client) { connections[client] = nil }

    /// Every link ends; a broker without persistence has also forgotten what was retained.
    package mutating func goDown(forgetting: Bool) {
        isUp = false
        connections.removeAll()
        if forgetting { retained.removeAll() }
    }

    /// What a connected client publishes.
    package mutating func publish(
        _ payload: Payload, on topic: String, isRetained: Bool, at now: MonotonicTime, _ random: inout SeededRandom
    ) -> [Delivery] {
        if isRetained { retained[topic] = payload }
        var deliveries: [Delivery] = []
        for client in Client.allCases where connections[client] != nil && wants[client]?(topic) == true {
            let copies = !isRetained && random.chance(repeatChance) ? 2 : 1
            for _ in 0..<copies {
                deliveries += [
                    delivery(
                        of: payload, on: topic, to: client, isRetained: false, isOrdered: isRetained, at: now, &random)
                ].compactMap { $0 }
            }
        }
        return deliveries
    }

    /// States keep their order on their topic, as MQTT 5.0 section 4.6 wants; the rest may overtake each other.
    private mutating func delivery(
        of payload: Payload, on topic: String, to client: Client, isRetained: Bool, isOrdered: Bool,
        at now: MonotonicTime, _ random: inout SeededRandom
    ) -> Delivery? {
        guard let connection = connections[client] else { return nil }
        let isLate = random.chance(delayChance)
        var at = now + random.duration(in: .microseconds(200)...(isLate ? delayMax : .milliseconds(20)))
        if isOrdered {
            let key = "\(client.rawValue) \(topic)"
            at = max(at, newest[key] ?? at)
            newest[key] = at
        }
        return Delivery(
            to: client, topic: topic, payload: payload, isRetained: isRetained, at: at, connection: connection)
    }
}
