import Bus
import BusContract
import Domain
import TestSupport
import Testing

/// What is published reaches who listens, through broker deaths, once and in order.
@Suite struct PublishingTests {
    static let idle = StreamState(state: .idle, leases: .init(), source: "test://pattern")
    static let active = StreamState(state: .active, leases: .init(recording: 1), source: "test://pattern")

    @Test(arguments: BrokerKind.allCases)
    func aStateIsRetainedAndAnUnchangedOneIsNotSentAgain(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (worker, _) = try await broker.connected("worker")
        let (observer, heard) = try await broker.connected("observer", to: [StreamState.template])
        worker.publish(Self.idle, to: front)
        worker.publish(Self.idle, to: front)
        worker.publish(Self.active, to: front)
        try await eventually("both states arrive") { heard.decoded(StreamState.self).count >= 2 }
        #expect(heard.decoded(StreamState.self).map(\.message) == [Self.idle, Self.active])
        let seqs = heard.decoded(StreamState.self).map(\.seq)
        #expect(seqs[0] < seqs[1] && seqs[1] < 1 << 53)

        let (late, lateHeard) = try await broker.connected("late", to: [StreamState.template])
        try await eventually("the retained state arrives") { lateHeard.messages.count == 1 }
        #expect(lateHeard.messages[0].isRetained)
        #expect(lateHeard.decoded(StreamState.self).map(\.message) == [Self.active])
        await worker.stop()
        await observer.stop()
        await late.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func statesComeAgainAfterTheBrokerForgotEverything(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (worker, workerHeard) = try await broker.connected("worker", presences: [.availability(front)])
        for index in 0..<20 {
            worker.publish(Self.idle, to: CameraID(unchecked: "c\(index)"))
        }
        await broker.crash()
        try await eventually("the worker notices") { workerHeard.disconnects.count == 1 }
        worker.publish(Self.active, to: CameraID(unchecked: "c0"))
        try await broker.restart()
        let (observer, heard) = try await broker.connected(
            "observer", to: ["cameras/+/stream", "cameras/+/availability"])
        try await eventually("all states are there") {
            Set(heard.messages.map(\.topic)).count == 21
        }
        let first = heard.decoded(StreamState.self).last { $0.message.state == .active }
        #expect(first?.message == Self.active, "the newest state, also if it came while there was no broker")
        #expect(heard.payloads(on: "cameras/front/availability").last == "online")
        try await eventually("the worker is told") { workerHeard.connects == 2 }
        await worker.stop()
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func aClearedStateIsForgottenAndStaysForgotten(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (worker, workerHeard) = try await broker.connected("worker")
        worker.publish(Self.idle, to: front)
        worker.clear(StreamState.self, at: front)
        await broker.crash()
        try await eventually("the worker notices") { workerHeard.disconnects.count == 1 }
        try await broker.restart()
        try await eventually("the worker is back") { workerHeard.connects == 2 }
        let (observer, heard) = try await broker.connected("observer", to: [StreamState.template])
        // Comes behind everything that the broker retains.
        worker.publish(Self.idle, to: CameraID(unchecked: "other"))
        try await eventually("the other state is there") { !heard.payloads(on: "cameras/other/stream").isEmpty }
        let left = heard.payloads(on: "cameras/front/stream").filter { !$0.isEmpty }
        #expect(left == [])
        await worker.stop()
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func eventsOfAnOutageArriveInOrderAfterwards(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (worker, workerHeard) = try await broker.connected("worker")
        await broker.crash()
        try await eventually("the worker notices") { workerHeard.disconnects.count == 1 }
        for index in 0..<100 { worker.publish(try segment(index), to: front) }
        try await broker.restart()
        // The ledger's owner is back before the worker is or later: with nobody subscribed the events would be done.
        let (observer, heard) = try await broker.connected("observer", to: [SegmentEvent.template])
        for index in 100..<120 { worker.publish(try segment(index), to: front) }
        try await eventually("all events of the time after arrive") {
            heard.decoded(SegmentEvent.self).contains { $0.message.index == 119 }
        }
        let indexes = heard.decoded(SegmentEvent.self).map(\.message.index)
        #expect(indexes == Array((120 - indexes.count)..<120), "in order, each once, none left out once heard")
        #expect(indexes.count + worker.counters.eventsUnheard == 120, "what nobody heard is counted")
        await worker.stop()
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func aSubscriberWithASessionMissesNothingWhileItIsAway(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (worker, _) = try await broker.connected("worker")
        let first = broker.client("ledger", sessionExpirySeconds: 600)
        let firstHeard = BusRecorder(first)
        first.subscribe([SegmentEvent.template])
        first.start()
        try await eventually("connected") { firstHeard.connects == 1 }
        await first.stop()
        let (observer, seen) = try await broker.connected("observer", to: [GapEvent.template])
        for index in 0..<10 { worker.publish(try segment(index), to: front) }
        // Comes behind them.
        let at = WallTime(milliseconds: 0)
        worker.publish(GapEvent(session: SessionID(high: 1, low: 2), from: at, to: at, cause: .overrun), to: front)
        try await eventually("the broker has them") { !seen.messages.isEmpty && worker.waitingEvents == 0 }
        #expect(worker.counters.eventsUnheard == 0)
        let second = broker.client("ledger", sessionExpirySeconds: 600)
        let heard = BusRecorder(second)
        second.subscribe([SegmentEvent.template])
        second.start()
        try await eventually("they arrive") { heard.decoded(SegmentEvent.self).count == 10 }
        #expect(heard.decoded(SegmentEvent.self).map(\.message.index) == Array(0..<10))
        await second.stop()
        await observer.stop()
        await worker.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func telemetryIsDroppedAndCountedWithoutABroker(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        await broker.crash()
        let worker = broker.client("worker")
        let heard = BusRecorder(worker)
        worker.start()
        try await eventually("the worker says that nobody is there") { heard.disconnects.count == 1 }
        worker.publish(StreamStats(), to: front)
        try await eventually("it is counted") { worker.counters.droppedOffline == 1 }
        try await broker.restart()
        try await eventually("a broker that comes late is found") { heard.connects == 1 }
        await worker.stop()
    }

    @Test func anEventWhoseAcknowledgementIsLostComesTwice() async throws {
        let twin = InMemoryBroker()
        let broker = Broker.twin(twin)
        let (observer, heard) = try await broker.connected("observer", to: [SegmentEvent.template])
        let (worker, workerHeard) = try await broker.connected("worker")
        await twin.loseAcknowledgements(1)
        worker.publish(try segment(7), to: front)
        try await eventually("it arrives") { heard.decoded(SegmentEvent.self).count == 1 }
        await twin.cut("worker")
        try await eventually("the worker is back") { workerHeard.connects == 2 }
        try await eventually("it arrives again") { heard.decoded(SegmentEvent.self).count == 2 }
        let both = heard.decoded(SegmentEvent.self)
        #expect(both[0] == both[1], "with the same at, seq and key")
        try await eventually("it has left the outbox") { worker.waitingEvents == 0 }
        await twin.repeatLast(to: "observer")
        try await eventually("the broker may repeat, too") { heard.decoded(SegmentEvent.self).count == 3 }
        await worker.stop()
        await observer.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func theOutboxSurvivesTheProcess(_ kind: BrokerKind) async throws {
        let folder = try TestFolder()
        let broker = try await Broker(kind)
        await broker.crash()
        do {
            let outbox = try EventOutbox(path: folder.path("outbox"))
            let worker = broker.client("worker", outbox: outbox)
            worker.start()
            for index in 0..<50 { worker.publish(try segment(index), to: front) }
            try await eventually("all are durable") { outbox.count == 50 }
        }
        try await broker.restart()
        let (observer, heard) = try await broker.connected("observer", to: [SegmentEvent.template])
        let reopened = try EventOutbox(path: folder.path("outbox"))
        #expect(reopened.count == 50 && reopened.discardedBytes == 0)
        let (worker, _) = try await broker.connected("worker", outbox: reopened)
        try await eventually("all arrive") { heard.decoded(SegmentEvent.self).count == 50 }
        #expect(heard.decoded(SegmentEvent.self).map(\.message.index) == Array(0..<50))
        try await eventually("and are done") { reopened.count == 0 }
        await worker.stop()
        await observer.stop()
        #expect(try EventOutbox(path: folder.path("outbox")).count == 0)
    }

    @Test func anOverflowIsTold() async throws {
        let broker = Broker.twin(InMemoryBroker())
        await broker.crash()
        let outbox = EventOutbox(limits: .init(countMax: 10))
        let worker = broker.client("worker", outbox: outbox)
        let heard = BusRecorder(worker)
        worker.start()
        for index in 0..<25 { worker.publish(try segment(index), to: front) }
        try await eventually("all are taken") { worker.counters.eventsDropped == 15 }
        #expect(outbox.count == 10)
        try await eventually("all are told") {
            heard.inputs.reduce(0) { if case .outboxOverflowed(let count) = $1 { $0 + count } else { $0 } } == 15
        }
        await worker.stop()
    }
}
