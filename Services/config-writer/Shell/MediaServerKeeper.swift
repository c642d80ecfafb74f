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

    /// More than comes in while one input is handled; beyond it the oldest are dropped, and the next look finds out.
    static let inputsMax = 4096

    private let node: NodeID
    private let topicRoot: String
    private let bus: BusClient
    private let logger: Logger
    private let endpoint: DemandEndpoint
    private let inputs: AsyncStream<Input>
    private let feed: AsyncStream<Input>.Continuation
    private let loop = Mutex<Task<Void, Never>?>(nil)

    package init(node: NodeID, topicRoot: String = "framekeeper", bus: BusClient, logger: Logger) {
        self.node = node
        self.topicRoot = topicRoot
        self.bus = bus
        self.logger = logger
        let (inputs, feed) = AsyncStream.makeStream(of: Input.self, bufferingPolicy: .bufferingNewest(Self.inputsMax))
        self.inputs = inputs
        self.feed = feed
        endpoint = DemandEndpoint(
            now: { ServiceClock.now().monotonic }, logger: logger,
            feed: { verb, camera in
                switch verb {
                case .demand: feed.yield(.happened(.demanded(camera)))
                case .undemand: feed.yield(.happened(.undemanded(camera)))
                case .read: feed.yield(.happened(.readerCame(camera)))
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
        feed.yield(.configured(settings, cameras.filter { $0.node == node }))
    }

    /// A message that came in on one of the subscriptions; others are ignored.
    package func take(_ message: InboundMessage) { feed.yield(.message(message)) }

    package func start() {
        loop.withLock { loop in
            guard loop == nil else { return }
            loop = Task { [node, topicRoot, bus, logger, endpoint, inputs, feed] in
                var work = MediaServerWork(
                    node: node, topicRoot: topicRoot, bus: bus, logger: logger, endpoint: endpoint, feed: feed)
                for await input in inputs { work.take(input, at: ServiceClock.now()) }
                work.stop()
            }
        }
    }

    /// Leases stay: they end by themselves, or the next start finds them. Cannot be started again.
    package func stop() async {
        feed.finish()
        await loop.withLock({ $0 })?.value
        await endpoint.stop()
    }
}
