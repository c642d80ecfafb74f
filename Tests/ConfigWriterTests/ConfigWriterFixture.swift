import Bus
import BusContract
import ClusterConfig
import ConfigWriterCore
import ConfigWriterShell
import Domain
import Foundation
import Ledger
import Logging
import ServiceKit
import Synchronization
import TestSupport
import Testing

/// A node's config-writer on a real folder, with the broker's twin and a client that plays everyone else.
final class ConfigWriterFixture {
    let folder: String
    let broker = InMemoryBroker()
    let client: BusClient
    let heard: BusRecorder
    private let companion: CompanionRecorder
    private var running: (shutdown: Shutdown, task: Task<ServiceExit, Never>)?

    let file: String
    var stateDir: String { folder + "/state" }
    var history: String { "\(ActiveText.folder(stateDir: stateDir))/\(RevisionStore.fileName)" }
    static let front = CameraID(unchecked: "front")
    static let node = NodeID(unchecked: "attic")

    /// A file with one camera, `front`, that records so much from before.
    static func text(preroll: Int, more: String = "") -> String {
        """
        node: attic
        cameras:
          front: {source: "rtsp://viewer:${PASS}@10.0.0.20/s", preroll: \(preroll)s}
        \(more)
        """
    }

    init(_ text: String = text(preroll: 1), name: String = "framekeeper.yml") async throws {
        folder = NSTemporaryDirectory() + "framekeeper-writer-" + UUID().uuidString.prefix(8)
        file = "\(folder)/\(name)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: file, atomically: false, encoding: .utf8)
        companion = CompanionRecorder()
        client = BusClient(
            settings: Self.busSettings("tester"), network: broker, now: { ServiceClock.now().wall },
            logger: Self.quiet)
        heard = BusRecorder(client)
        client.subscribe(["config", "cameras/#", "services/#"])
        client.start()
        let heard = heard
        try await eventually("the tester is connected") { heard.connects == 1 }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private static let quiet = Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) }

    private static func busSettings(_ clientID: String) -> BusSettings {
        BusSettings(
            endpoint: .unixSocket(path: "/nonexistent"), clientID: clientID,
            reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200)))
    }

    /// What the media server's keeper was told, in words.
    var told: [String] { companion.words.withLock { $0 } }

    final class CompanionRecorder: ConfigWriterCompanion {
        let words = Mutex<[String]>([])
        var subscriptions: [TopicTemplate] { [TopicTemplate(pattern: "mediamtx/attic/set")] }
        func start() { words.withLock { $0.append("start") } }
        func configure(_ settings: MediaServerSettings?, cameras: [CameraConfiguration]) {
            let names = cameras.map(\.id.rawValue).joined(separator: ",")
            words.withLock { $0.append("\(settings?.api ?? "none"): \(names)") }
        }
        func take(_ message: InboundMessage) { words.withLock { $0.append("took \(message.topic)") } }
        func stop() { words.withLock { $0.append("stop") } }
    }

    /// Nil while another one has the folder.
    func take() throws -> ConfigWriterFolder? {
        try ConfigWriterFolder.take(stateDir: stateDir, file: file, logger: Self.quiet)
    }

    func start(_ setting: ConfigCore.Setting = .supervised) async throws {
        let shutdown = Shutdown()
        let reader = ConfigWriterReader(
            path: file, environment: ["PASS": "hunter2"], overrides: ConfigurationOverrides())
        let configuration = ClusterConfiguration(
            node: Self.node, stateDir: stateDir, storage: StorageSettings(path: folder + "/recordings"))
        let context = ServiceContext(
            service: .configWriter, instance: InstanceID(unchecked: "attic"), configuration: configuration,
            logger: Self.quiet, shutdown: shutdown, startedAt: ServiceClock.now())
        // A process that another test starts has a copy of the lock from its fork to its program.
        let folder = try await eventually("the folder is free") { try take() }
        let companion = companion
        let writer = ConfigWriter(
            context: context, reader: reader, folder: folder, setting: setting, network: broker,
            companion: { _ in companion })
        running = (shutdown, Task { await writer.run() })
    }

    @discardableResult
    func stop() async -> ServiceExit? {
        guard let (shutdown, task) = running else { return nil }
        running = nil
        shutdown.request("the test is over")
        return await task.value
    }

    // MARK: What others say and hear

    func write(_ text: String) throws { try text.write(toFile: file, atomically: true, encoding: .utf8) }

    var fileText: String? { try? String(contentsOfFile: file, encoding: .utf8) }

    /// The text in force.
    var active: ActiveText? { ActiveText.read(ActiveText.path(stateDir: stateDir)) }

    var state: ConfigState? { heard.decoded(ConfigState.self).last?.message }

    func says(_ what: String, _ condition: @escaping (ConfigState) -> Bool) async throws {
        try await eventually(what) { state.map(condition) ?? false }
    }

    func record(_ phase: RecordingState.Phase) {
        client.publish(RecordingState(state: phase), to: Self.front)
    }

    func ask(_ payload: String) async throws -> Reply<ConfigResult> {
        try await eventually("somebody listens on config/set") { () -> Reply<ConfigResult>? in
            do throws(CodedError) {
                return try await client.request(
                    Array(payload.utf8), to: "config/set", expecting: ConfigResult.self, timeout: .seconds(20))
            } catch  where error.code == .notReady {
                return nil
            }
        }
    }

    /// `text` as a JSON string.
    static func quoted(_ text: String) throws -> String {
        String(decoding: try BusCodec.json(text), as: UTF8.self)
    }
}
