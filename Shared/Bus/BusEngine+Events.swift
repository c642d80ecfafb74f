internal import BusContract
internal import Dispatch
internal import Domain
internal import Logging

/// The events' way from the caller over the disk to the broker.
struct EventWindow {
    /// Published, not yet in the outbox.
    var waiting: [(topic: String, payload: [UInt8])] = []
    var isStoring = false
    /// The outbox's id of the last event that was sent over this connection.
    var sentThrough: UInt64 = 0
    /// Token to id, of events that are sent and not acknowledged.
    var inFlight: [UInt64: UInt64] = [:]

    /// Below mosquitto's default receive maximum of 20, so that a state never waits behind events.
    static let inFlightMax = 16

    /// After a connect everything that is still in the outbox is sent again, in order.
    mutating func restart() {
        sentThrough = 0
        inFlight = [:]
    }
}

extension BusEngine {
    /// Hands what waits to the disk: one sync for all that came while the last one ran.
    func storeEvents() {
        guard !events.isStoring, !events.waiting.isEmpty else { return }
        let batch = events.waiting
        events.waiting = []
        events.isStoring = true
        diskQueue.async {
            let outcome = self.outbox.append(batch)
            self.queue.async { self.stored(batch.count, outcome) }
        }
    }

    private func stored(_ count: Int, _ outcome: EventOutbox.Outcome) {
        events.isStoring = false
        if let failure = outcome.failure {
            self.count(\.eventsNotDurable, by: count, "outbox not written", failure.description)
        }
        if outcome.dropped > 0 {
            counters.add(\.eventsDropped, outcome.dropped)
            yield(.outboxOverflowed(count: outcome.dropped))
        }
        sendEvents()
        storeEvents()
        continueStop()
    }

    func sendEvents() {
        guard main.isOpen else { return }
        let room = EventWindow.inFlightMax - events.inFlight.count
        for entry in outbox.entries(after: events.sentThrough, atMost: room) {
            let token = nextToken()
            events.inFlight[token] = entry.id
            events.sentThrough = entry.id
            main.publish(Publication(topic: entry.topic, payload: entry.payload, delivery: .event), token: token)
        }
    }

    /// A refused event stays in the outbox until the next connection. One that nobody was subscribed to is done: who
    /// builds on events compares with the files when it starts.
    func eventPublished(_ id: UInt64, _ result: PublicationResult) {
        switch result {
        case .delivered, .nobodySubscribed:
            if result == .nobodySubscribed { counters.add(\.eventsUnheard) }
            diskQueue.async {
                if let failure = self.outbox.acknowledge([id]) {
                    self.logger.error("outbox not written", metadata: ["error": "\(failure)"])
                }
                self.queue.async { self.continueStop() }
            }
        case .refused(let reason):
            count(\.refused, "event refused", reason)
        }
        sendEvents()
    }

    var eventsAreDone: Bool {
        events.waiting.isEmpty && !events.isStoring && (!main.isOpen || outbox.count == 0)
    }
}
