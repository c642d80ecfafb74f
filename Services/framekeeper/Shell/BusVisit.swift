internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import Logging
internal import ServiceKit

/// A command's short stay on the bus: connect, ask or listen, leave. It has a client id of its own, so that two people
/// never disturb each other.
struct BusVisit: Sendable {
    let client: BusClient
    /// A topic below the root that only this visit listens to.
    let ownTopic: String
    private let root: String

    /// What a broker on the same network takes, many times over.
    static let connectWithin: Duration = .seconds(5)
    /// How long a broker that refuses is asked again: it may be about to come back.
    static let refusedWithin: Duration = .seconds(1)

    /// Connects and subscribes; throws `unavailable` with what to do if the broker is away.
    /// - Returns: with the visit, what comes in after the connection stands, in order.
    static func begin(
        _ configuration: ClusterConfiguration, subscriptions: [TopicTemplate] = []
    ) async throws(CommandFailure) -> (visit: BusVisit, inputs: AsyncStream<BusInput>.AsyncIterator) {
        let id =
            "\(configuration.broker.topicRoot.split(separator: "/").joined(separator: "-"))-cli-"
            + String(UInt64.random(in: 0 ... .max), radix: 16)
        let settings = BusSettings(configuration.broker, stateDir: configuration.stateDir, clientID: id)
        let quiet = Logger(label: "framekeeper") { _ in LineLogHandler(service: "framekeeper", level: .critical) }
        let client = BusClient(settings: settings, now: { ServiceClock.now().wall }, logger: quiet)
        let ownTopic = "\(ReplyAddress.folder)/\(id)-marker"
        client.subscribe(subscriptions + [TopicTemplate(pattern: ownTopic)])
        client.start()
        var limits = [end(client, after: connectWithin)]
        defer { for limit in limits { limit.cancel() } }
        var inputs = client.inputs.makeAsyncIterator()
        var reason = "it does not answer"
        while let input = await inputs.next() {
            switch input {
            case .connected:
                let visit = BusVisit(client: client, ownTopic: ownTopic, root: configuration.broker.topicRoot)
                return (visit, inputs)
            case .disconnected(.refused(let text)):
                await client.stop()
                throw CommandFailure(
                    .unavailable, "the broker at \(configuration.broker.url) refuses the connection: \(text)",
                    hint: "check broker.username and broker.password", code: .unauthorized)
            case .disconnected(.lost(let text)):
                reason = text
                limits.append(end(client, after: refusedWithin))
            case .disconnected(.takenOver), .message, .outboxOverflowed: break
            }
        }
        await client.stop()
        let isEmbedded = if case .embedded = configuration.broker.url { true } else { false }
        throw CommandFailure(
            .unavailable, "no broker at \(configuration.broker.url): \(reason)",
            hint: isEmbedded
                ? "start the node with framekeeper up, or name the broker with --broker URL"
                : "check that it runs and that broker.url is right, or name another with --broker URL",
            code: .timeout)
    }

    private static func end(_ client: BusClient, after time: Duration) -> Task<Void, Never> {
        Task {
            guard (try? await Task.sleep(for: time)) != nil else { return }
            await client.stop()
        }
    }

    /// Sends a word through the broker to this visit. What was retained before arrives before it, so that nobody has to
    /// guess how long to wait.
    func sendMarker() {
        client.reply(
            Reply<String>(ok: "marker", requestID: nil),
            to: ReplyAddress(topic: "\(root)/\(ownTopic)", correlation: nil))
    }

    func end() async { await client.stop() }
}
