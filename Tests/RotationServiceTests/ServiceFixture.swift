import Bus
import BusContract
import ClusterConfig
import Domain
import Foundation
import Ledger
import Logging
import Media
import RotationServiceShell
import ServiceKit
import TestSupport
import Testing

/// A node's rotation-service on real files and a real ledger, with the broker's twin and a client that plays everyone
/// else. Goes away with this object.
final class ServiceFixture {
    let media: MediaFixtures
    let broker = InMemoryBroker()
    let storage: String
    let front = CameraID(unchecked: "front")
    private(set) var client: BusClient
    private(set) var heard: BusRecorder
    private var running: (shutdown: Shutdown, task: Task<ServiceExit, any Error>)?
    private let retention: RetentionLimits

    init(retention: RetentionLimits = RetentionLimits(), hearing templates: [TopicTemplate] = []) async throws {
        media = try MediaFixtures()
        self.retention = retention
        storage = media.path("recordings")
        try FileManager.default.createDirectory(atPath: storage, withIntermediateDirectories: true)
        client = BusClient(
            settings: Self.busSettings("tester"), network: broker, now: { ServiceClock.now().wall },
            logger: Self.quiet)
        heard = BusRecorder(client)
        client.subscribe(templates)
        client.start()
        let heard = heard
        try await eventually("the tester is connected") { heard.connects == 1 }
    }

    private static let quiet = Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) }

    private static func busSettings(_ clientID: String) -> BusSettings {
        BusSettings(
            endpoint: .unixSocket(path: "/nonexistent"), clientID: clientID,
            reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200)))
    }

    private func configuration() throws -> ClusterConfiguration {
        let node = NodeID(unchecked: "node")
        let store = StorageSettings(path: storage, retention: retention)
        let source = try SourceAddress("test://pattern")
        let cameras = [
            CameraConfiguration(
                id: front, source: source, node: node, rotation: RotationSettings(interval: .seconds(2)), storage: store
            )
        ]
        return ClusterConfiguration(node: node, stateDir: media.path("state"), storage: store, cameras: cameras)
    }

    private static func service(
        _ configuration: ClusterConfiguration, _ broker: InMemoryBroker, _ shutdown: Shutdown
    ) throws -> RotationService {
        let context = ServiceContext(
            service: .rotationService, instance: InstanceID(unchecked: "node"), configuration: configuration,
            logger: quiet, shutdown: shutdown, startedAt: ServiceClock.now())
        return try RotationService(context: context, network: broker)
    }

    func start() throws {
        let shutdown = Shutdown()
        let configuration = try configuration()
        let task = Task { [broker] in try await ServiceFixture.runInTurn(configuration, broker, shutdown) }
        running = (shutdown, task)
    }

    /// The lock of a service that has ended lasts until its scan lets go of it, and a process that another test starts
    /// has a copy of it from its fork to its program: until then a new service finds the folder owned.
    private static func runInTurn(
        _ configuration: ClusterConfiguration, _ broker: InMemoryBroker, _ shutdown: Shutdown
    ) async throws -> ServiceExit {
        try await eventually("the folder is free") { () -> ServiceExit? in
            let exit = await (try service(configuration, broker, shutdown)).run()
            return exit == .fenced ? nil : exit
        }
    }

    /// Runs a service to its end; for one that must not go on.
    func runToEnd() async throws -> ServiceExit {
        await (try Self.service(configuration(), broker, Shutdown())).run()
    }

    @discardableResult
    func stop() async throws -> ServiceExit? {
        guard let (shutdown, task) = running else { return nil }
        running = nil
        shutdown.request("the test is over")
        return try await task.value
    }

    // MARK: Files and ledger

    /// Records a clip of `seconds` into segments of two seconds, as a worker would.
    func record(seconds: Int) throws -> [String] {
        let clip = try media.clip("clip.mp4", seconds: seconds)
        var copy = MediaCopy(storage: storage, segmentSeconds: .seconds(2))
        try copy.run(
            MediaSources.make(
                .file(.init(path: clip, loops: false, atFullSpeed: true)), encoder: EncoderSettings(), audio: false,
                openTimeout: .seconds(10), stallTimeout: .seconds(5)))
        return copy.paths
    }

    /// A file that is none but by its name and size.
    func write(_ path: SegmentPath, bytes: Int) throws {
        try FileManager.default.createDirectory(
            atPath: "\(storage)/\(path.folder)", withIntermediateDirectories: true)
        try Data(repeating: 7, count: bytes).write(to: URL(fileURLWithPath: "\(storage)/\(path)"))
    }

    /// As a worker that died a minute ago leaves it: partial, torn, unlocked.
    func makePartial(_ path: String) throws {
        let partial = path.dropLast(SegmentPath.suffix.count) + SegmentPath.partialSuffix
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        bytes.append(Data(repeating: 9, count: 777))
        try bytes.write(to: URL(fileURLWithPath: String(partial)))
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.setAttributes(
            [.modificationDate: Date(timeIntervalSinceNow: -60)], ofItemAtPath: String(partial))
    }

    var ledgerPath: String { "\(storage)/\(LedgerStore.fileName)" }

    func rows(_ states: Set<SegmentRecord.State>? = nil) throws -> [SegmentRecord] {
        guard FileManager.default.fileExists(atPath: ledgerPath) else { return [] }
        do {
            let reader = try LedgerStore(storage: storage, access: .reader, now: ServiceClock.now().wall)
            return try reader.segments(LedgerQuery(states: states))
        } catch  where error.code == .notReady {
            return []
        }
    }

    /// Asks the service and waits for its reply.
    func ask<R: Codable & Hashable & Sendable>(
        _ word: String, _ topic: String, expecting type: R.Type
    ) async throws -> Reply<R> {
        try await eventually("somebody listens on \(topic)") { () -> Reply<R>? in
            do throws(CodedError) {
                return try await client.request(
                    Array(word.utf8), to: topic, expecting: type, timeout: .seconds(20))
            } catch  where error.code == .notReady {
                return nil
            }
        }
    }
}
