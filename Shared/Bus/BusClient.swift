package import BusContract
package import Domain
package import Logging

/// A service's place on the bus. Owns its connections (one per presence, since MQTT knows one will per connection),
/// remembers what must be said again after every connect, and hands what comes in to the service as one stream.
///
/// Invariants: no call waits for the network or the disk. States are remembered per topic, newest only, and sent
/// again after every connect; events are durable in the outbox before they are sent and leave it when the broker has
/// acknowledged them; telemetry is dropped while there is no connection. Created and read by a service's Shell. What a
/// message means does not belong here.
package final class BusClient: Sendable {
    /// Everything that comes in, for one consumer.
    package let inputs: AsyncStream<BusInput>
    let engine: BusEngine

    /// The most inputs that wait for the consumer. Beyond it the oldest are dropped, counted and logged.
    package static let inputsMax = 4096

    /// - Parameter outbox: nil keeps events in memory only.
    /// - Parameter network: nil connects with libmosquitto to `settings.endpoint`.
    package init(
        settings: BusSettings, presences: [Presence] = [], outbox: EventOutbox? = nil,
        network: (any BusNetwork)? = nil, now: @escaping @Sendable () -> WallTime, logger: Logger
    ) {
        let (inputs, continuation) = AsyncStream.makeStream(
            of: BusInput.self, bufferingPolicy: .bufferingNewest(Self.inputsMax))
        self.inputs = inputs
        engine = BusEngine(
            settings: settings, presences: presences, outbox: outbox ?? EventOutbox(),
            network: network ?? MosquittoNetwork(settings: settings), now: now, logger: logger, inputs: continuation)
    }

    deinit { engine.abandon() }

    /// Connects, and goes on connecting until `stop`, or until another process takes the client id over.
    package func start() { engine.start() }

    /// Says `offline` itself, waits for what the broker has not acknowledged for at most `stopSecondsMax`, then
    /// disconnects in order and ends `inputs`. Idempotent.
    package func stop() async { await engine.stop() }

    /// The longest that `stop` waits for acknowledgements.
    package static let stopSecondsMax = 2.0

    /// Subscribes now and after every connect. Publications come with the retain flag they were published with, so
    /// that a command that its sender retained is recognised.
    package func subscribe(_ templates: [TopicTemplate]) { engine.subscribe(templates.map(\.pattern)) }

    /// Publishes as the message's class demands. A state equal to the last one on its topic is not sent again while
    /// the connection lasts.
    package func publish<M: BusMessage>(_ message: M, to address: M.Address) {
        engine.publish(message, topic: M.topic(for: address))
    }

    /// Removes a retained state from the broker and from what is sent again.
    package func clear<M: BusMessage>(_ type: M.Type, at address: M.Address) {
        engine.clear(topic: M.topic(for: address))
    }

    /// Leaves a retained state to whoever else says it now: it stays with the broker as it is, and is not sent again
    /// after a reconnect.
    package func forget<M: BusMessage>(_ type: M.Type, at address: M.Address) {
        engine.forget(topic: M.topic(for: address))
    }

    /// Answers a command, QoS 1. Kept for a connection that is away for less than the command's own expiry.
    package func reply<R>(_ reply: Reply<R>, to address: ReplyAddress) {
        engine.reply(address) { () throws(CodedError) in try BusCodec.json(reply) }
    }

    /// Events that the broker has not acknowledged yet.
    package var waitingEvents: Int { engine.outbox.count }

    /// What has gone wrong so far without stopping anything.
    package var counters: BusCounters { engine.counters.value }
}

/// Counts since the client was created.
package struct BusCounters: Sendable, Hashable {
    /// The consumer was too slow.
    package var inputsDropped = 0
    /// The outbox was full; the oldest went.
    package var eventsDropped = 0
    /// Events that nobody was subscribed to. They count as delivered: the ledger is reconciled from the files.
    package var eventsUnheard = 0
    /// Events that could not be written to the outbox's file; they were sent from memory all the same.
    package var eventsNotDurable = 0
    /// Telemetry, and replies to askers who have stopped waiting, that found no connection.
    package var droppedOffline = 0
    /// Messages that could not be written as JSON or that the broker refused.
    package var refused = 0
    /// Replies to requests that were no longer waiting.
    package var repliesUnexpected = 0
    /// Connections made, over all presences.
    package var connects = 0
}
