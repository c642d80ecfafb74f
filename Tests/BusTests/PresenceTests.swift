import Bus
import BusContract
import Domain
import Logging
import TestSupport
import Testing

/// Who is there: births, wills, late wills, takeovers.
@Suite struct PresenceTests {
    static let address = ServiceAddress(.captureWorker, InstanceID(unchecked: "front"))
    static let availability = "cameras/front/availability"

    static func presences() -> [Presence] {
        [
            .availability(front),
            .service(
                address, version: "1", node: NodeID(unchecked: "here"), pid: 1, startedAt: WallTime(milliseconds: 0)),
        ]
    }

    /// By what a listener hears, in the order in which it hears it.
    static func isOnline(in heard: BusRecorder) -> Bool {
        var known: ServiceState?
        for stamped in heard.decoded(ServiceState.self) where known.map(stamped.message.isLate) != true {
            known = stamped.message
        }
        return known?.state == .online
    }

    @Test(arguments: BrokerKind.allCases)
    func bothPresencesAreBornAndAStopSaysOffline(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (observer, heard) = try await broker.connected("observer", to: ["cameras/+/availability", "services/+/+"])
        let (worker, _) = try await broker.connected("worker", presences: Self.presences())
        try await eventually("both are online") {
            heard.payloads(on: Self.availability) == ["online"] && Self.isOnline(in: heard)
        }
        await worker.stop()
        try await eventually("both are offline") {
            heard.payloads(on: Self.availability) == ["online", "offline"]
                && !Self.isOnline(in: heard)
        }
        let states = heard.decoded(ServiceState.self)
        #expect(states.count == 2 && states[0].message.session == states[1].message.session)
        #expect(states[0].message.session.count == 16)
        #expect(states.map(\.message.orderly) == [nil, true], "it was told to end")
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func aCrashSpeaksThroughTheWillsWithTheSessionOfTheBirth(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (observer, heard) = try await broker.connected("observer", to: ["cameras/+/availability", "services/+/+"])
        do {
            let (worker, _) = try await broker.connected("worker", presences: Self.presences())
            try await eventually("both are online") {
                heard.payloads(on: Self.availability) == ["online"] && Self.isOnline(in: heard)
            }
            withExtendedLifetime(worker) {}
        }
        try await eventually("both wills arrive") {
            heard.payloads(on: Self.availability) == ["online", "offline"]
                && !Self.isOnline(in: heard)
        }
        #expect(heard.decoded(ServiceState.self).map(\.message.orderly) == [nil, nil])
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func aLateWillIsOverruledByTheLiving(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (observer, heard) = try await broker.connected("observer", to: ["cameras/+/availability", "services/+/+"])
        let old = ServiceState(
            state: .offline, version: "1", node: NodeID(unchecked: "here"), pid: 1,
            startedAt: WallTime(milliseconds: 0), session: "0000000000000000")
        let oldWill = Publication(
            topic: "framekeeper/services/capture-worker/front",
            payload: try BusCodec.encode(old, at: WallTime(milliseconds: 0), seq: 1), delivery: .state)
        let older = try await RawBusClient(broker.network("older"), clientID: "older", will: oldWill)
        let (worker, _) = try await broker.connected("worker", presences: Self.presences())
        try await eventually("online") { Self.isOnline(in: heard) }
        older.crash()
        try await eventually("the late will arrives, and a birth after it") {
            let sessions = heard.decoded(ServiceState.self).map(\.message)
            guard let late = sessions.firstIndex(of: old) else { return false }
            return sessions[late...].contains { $0.state == .online }
        }
        #expect(Self.isOnline(in: heard), "nobody believed it")

        let raw = try await RawBusClient(broker.network("raw"), clientID: "raw")
        raw.publish(
            Publication(
                topic: "framekeeper/" + Self.availability, payload: Array("offline".utf8), delivery: .state))
        try await eventually("availability is put right too") {
            heard.payloads(on: Self.availability).suffix(2) == ["offline", "online"]
        }
        await worker.stop()
        await observer.stop()
    }

    /// A broker that comes back with what it knew from its disk may know an earlier process of the same name.
    @Test(arguments: BrokerKind.allCases)
    func whatABrokerRemembersOfAnEarlierProcessFencesNobody(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind, isPersistent: true)
        let (observer, seen) = try await broker.connected("observer", to: ["services/+/+"])
        let earlier = ServiceState(
            state: .online, version: "1", node: NodeID(unchecked: "here"), pid: 1,
            startedAt: WallTime(milliseconds: 0), session: "0000000000000000")
        let raw = try await RawBusClient(broker.network("raw"), clientID: "raw")
        let topic = "framekeeper/services/capture-worker/front"
        let payload = try BusCodec.encode(earlier, at: WallTime(milliseconds: 0), seq: 1)
        raw.publish(Publication(topic: topic, payload: payload, delivery: .state))
        try await eventually("the broker knows the earlier one") {
            seen.decoded(ServiceState.self).last?.message == earlier
        }
        if case .mosquitto(let mosquitto) = broker { try await mosquitto.save() }
        let (worker, heard) = try await broker.connected("worker", presences: Self.presences())
        try await eventually("the broker knows the worker") {
            seen.decoded(ServiceState.self).last.map { $0.message != earlier } ?? false
        }
        await broker.crash()
        // The twin's memory is as young as its end.
        if case .twin(let twin) = broker { await twin.retain(payload, on: topic) }
        try await eventually("the outage is noticed") { !heard.disconnects.isEmpty }
        try await broker.restart(isForgetting: false)
        try await eventually("the worker is back") { heard.connects == 2 }
        #expect(!heard.disconnects.contains(.takenOver))
        await worker.stop()
        await observer.stop()
    }

    /// Of a client's two connections one may be made again, and born, while the other one still looks.
    @Test func aBirthOfTheOtherConnectionFencesNobody() async throws {
        let twin = InMemoryBroker()
        let network = HoldingNetwork(network: twin, prefix: "worker-probe-")
        let worker = BusClient(
            settings: Broker.twin(twin).settings("worker"), presences: Self.presences(), network: network,
            now: wallClock, logger: Logger(label: "test"))
        let heard = BusRecorder(worker)
        worker.start()
        try await eventually("connected") { heard.connects == 1 }
        let topic = "framekeeper/services/capture-worker/front"
        try await eventually("born") { await twin.retainedPayload(of: topic) != nil }
        let born = await twin.retainedPayload(of: topic)
        network.isHolding = true
        await twin.crash()
        try await eventually("the outage is noticed") { !heard.disconnects.isEmpty }
        await twin.restart(isForgetting: false)
        try await eventually("one looks, the other is born again") {
            guard network.held > 0 else { return false }
            return await twin.retainedPayload(of: topic) != born
        }
        network.isHolding = false
        try await eventually("both are back") { heard.connects == 2 || heard.disconnects.contains(.takenOver) }
        #expect(!heard.disconnects.contains(.takenOver))
        await worker.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func aSecondProcessWithTheSameNameFencesTheFirst(_ kind: BrokerKind) async throws {
        try await Self.fence(over: try await Broker(kind))
    }

    @Test func aTakeoverIsNoticedAlsoWhereTheBrokerDoesNotSayIt() async throws {
        try await Self.fence(over: .twin(InMemoryBroker(tellsTakeover: false)))
    }

    /// Two processes never drive each other out in turns: one stays, the other ends.
    static func fence(over broker: Broker) async throws {
        let (observer, heard) = try await broker.connected(
            "observer", to: ["cameras/+/availability", "services/+/+", StreamState.template])
        let (first, firstHeard) = try await broker.connected("worker", presences: Self.presences())
        try await eventually("the first is online") { Self.isOnline(in: heard) }
        let (second, secondHeard) = try await broker.connected("worker", presences: Self.presences())
        func isFenced(_ heard: BusRecorder) -> Bool { heard.disconnects.contains(.takenOver) }
        try await eventually("one is told") { isFenced(firstHeard) || isFenced(secondHeard) }
        let (fenced, staying) = isFenced(firstHeard) ? (first, second) : (second, first)
        fenced.publish(StreamStats(), to: front)
        try await eventually("the fenced one is silent") { fenced.counters.droppedOffline == 1 }
        try await eventually("the other is online on both") {
            heard.payloads(on: Self.availability).last == "online"
                && heard.decoded(ServiceState.self).last?.message.state == .online
        }
        await fenced.stop()
        // Comes behind whatever the stop has said.
        staying.publish(PublishingTests.idle, to: front)
        try await eventually("the other one speaks") { !heard.decoded(StreamState.self).isEmpty }
        #expect(heard.payloads(on: Self.availability).last == "online", "the fenced one's stop does not speak")
        #expect(heard.decoded(ServiceState.self).allSatisfy { $0.message.orderly == nil }, "nor does it say farewell")
        #expect(!(isFenced(firstHeard) && isFenced(secondHeard)), "one of the two stays")
        await staying.stop()
        await observer.stop()
    }

    /// With the will of another life, or behind one's own farewell.
    @Test func aLateWillIsNotBelieved() {
        func state(_ presence: ServiceState.Presence, _ session: String, orderly: Bool? = nil) -> ServiceState {
            ServiceState(
                state: presence, version: "1", node: NodeID(unchecked: "here"), pid: 1,
                startedAt: WallTime(milliseconds: 0), session: session, orderly: orderly)
        }
        #expect(state(.offline, "a").isLate(after: state(.online, "b")))
        #expect(!state(.offline, "b").isLate(after: state(.online, "b")))
        #expect(!state(.offline, "b").isLate(after: state(.offline, "a", orderly: true)))
        #expect(!state(.offline, "a").isLate(after: state(.offline, "a")))
        #expect(state(.offline, "a").isLate(after: state(.offline, "a", orderly: true)))
        for known in [state(.online, "a"), state(.offline, "a", orderly: true)] {
            for session in ["a", "b"] { #expect(!state(.online, session).isLate(after: known)) }
        }
    }
}
