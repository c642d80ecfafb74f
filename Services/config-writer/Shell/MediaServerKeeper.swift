package import Bus
package import BusContract
package import ClusterConfig
internal import ConfigWriterCore
package import Domain
package import Logging
internal import MediaServer
internal import ServiceKit
internal import Synchronization

/// The media-server half of a node's config-writer: the loop that feeds `MediaServerCore` and performs what it says.
///
/// Owns the hook address, the client of the control API and the server's file. One task takes one input at a time and
/// is the only one that touches the Core. The config-writer hands it each configuration that it has put in force and
/// the messages that it subscribes to; nothing else goes through the other half.
package final class MediaServerKeeper: ConfigWriterCompanion {
    enum Input: Sendable {
        case configured(MediaServerSettings?, [CameraConfiguration])
        case happened(MediaServerEvent)
        /// The answer of a client that may have been replaced meanwhile.
        case answered(generation: Int, MediaServerWork.Answer)
        case message(InboundMessage)
    }

    private let node: NodeID
    private let topicRoot: String
    private let bus: BusClient
    private let logger: Logger
    private let endpoint: DemandEndpoint
    private let inbox = Inbox<Input>()
    private let loop = Mutex<Task<Void, Never>?>(nil)

    package init(node: NodeID, topicRoot: String = "framekeeper", bus: BusClient, logger: Logger) {
        self.node = node
        self.topicRoot = topicRoot
        self.bus = bus
        self.logger = logger
        endpoint = DemandEndpoint(
            now: { ServiceClock.now().monotonic }, logger: logger,
            feed: { [inbox] verb, camera in
                switch verb {
                case .demand: inbox.put(.happened(.demanded(camera)))
                case .undemand: inbox.put(.happened(.undemanded(camera)))
                case .read: inbox.put(.happened(.readerCame(camera)))
                }
            })
    }

    /// What `take` wants to see.
    package var subscriptions: [TopicTemplate] {
        [
            TopicTemplate(pattern: MediaServerCommand.topic(for: node)), StreamState.template, ViewingState.template,
        ]
    }

    /// At the start and after each applied configuration; also before `start`. `cameras` may hold those of other nodes.
    package func configure(_ settings: MediaServerSettings?, cameras: [CameraConfiguration]) {
        inbox.put(.configured(settings, cameras.filter { $0.node == node }))
    }

    /// A message that came in on one of the subscriptions; others are ignored. Waits while many stand before it.
    package func take(_ message: InboundMessage) async { await inbox.offer(.message(message)) }

    package func start() {
        loop.withLock { loop in
            guard loop == nil else { return }
            loop = Task { [node, topicRoot, bus, logger, endpoint, inbox] in
                var work = MediaServerWork(
                    node: node, topicRoot: topicRoot, bus: bus, logger: logger, endpoint: endpoint, inbox: inbox)
                while let input = await inbox.next() { work.take(input, at: ServiceClock.now()) }
                work.stop()
            }
        }
    }

    /// Leases stay: they end by themselves, or the next start finds them. Cannot be started again.
    package func stop() async {
        inbox.end()
        await loop.withLock({ $0 })?.value
        await endpoint.stop()
    }
}
