package import Bus
package import BusContract
internal import Domain
internal import Foundation
internal import Logging
internal import Synchronization

/// A whole node on this machine, as a user runs it: `framekeeper up` with its own broker, services and workers, in a
/// temporary folder, on a free loopback port. Ends what it started, also when the test fails.
package final class Cluster: Sendable {
    package let folder: String
    package let port: Int
    /// Of the metrics service.
    package let http: Int
    package let bus: BusClient
    package let log: MessageLog
    private let launcher: [String]
    private let up: Mutex<ChildProcess?>
    private let listener: Task<Void, Never>

    package let storage: String
    package var stateDir: String { "\(folder)/state" }
    package var config: String { "\(folder)/framekeeper.yml" }

    /// - Parameters:
    ///   - cameras: the `cameras` mapping, indented by two spaces.
    ///   - rotation: the interval.
    ///   - broker: one that the test keeps; nil: the node's own.
    ///   - storage: where the recordings lie; nil: with everything else.
    ///   - launcher: what starts the node's programs, and becomes them.
    package init(
        cameras: String, rotation: String = "30m", extra: String = "", broker: MosquittoBroker? = nil,
        storage: String? = nil, launcher: [String] = []
    ) async throws {
        self.launcher = launcher
        let folder = try Scratch.folder()
        self.folder = folder
        let storage = storage ?? "\(folder)/storage"
        self.storage = storage
        port = try broker?.port ?? MosquittoBroker.freePort()
        http = try MosquittoBroker.freePort()
        let text = """
            broker:
              url: \(broker == nil ? "embedded" : "mqtt")://127.0.0.1:\(port)
            node: node1
            state_dir: \(folder)/state
            storage:
              path: \(storage)
            rotation:
              interval: \(rotation)
            metrics:
              listen: 127.0.0.1:\(http)
            \(extra)
            cameras:
            \(cameras)
            """
        try text.write(toFile: "\(folder)/framekeeper.yml", atomically: true, encoding: .utf8)
        up = Mutex(nil)
        bus = BusClient(
            settings: BusSettings(
                endpoint: .tcp(host: "127.0.0.1", port: port, tls: nil), clientID: "test-\(UUID().uuidString)",
                reconnect: Backoff(first: .milliseconds(50), most: .milliseconds(200))),
            now: { WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let log = MessageLog()
        self.log = log
        listener = Task { [bus] in
            for await input in bus.inputs { log.take(input) }
        }
        bus.subscribe(["cameras/#", "services/#", "storage/#", "mediamtx/#", "health/#", "config"])
        try launch()
        bus.start()
    }

    /// Runs `body` with a node and ends the node whatever happens.
    package static func run<Value>(
        cameras: String, rotation: String = "30m", extra: String = "", broker: MosquittoBroker? = nil,
        storage: String? = nil, launcher: [String] = [], _ body: (Cluster) async throws -> Value
    ) async throws -> Value {
        let cluster = try await Cluster(
            cameras: cameras, rotation: rotation, extra: extra, broker: broker, storage: storage, launcher: launcher)
        do {
            let value = try await body(cluster)
            await cluster.end()
            for folder in [cluster.storage, cluster.folder] { try? FileManager.default.removeItem(atPath: folder) }
            return value
        } catch {
            await cluster.end()
            let kept = "the node's folder is kept: \(cluster.folder), its recordings: \(cluster.storage)\n"
            FileHandle.standardError.write(Data(kept.utf8))
            throw error
        }
    }

    package func launch() throws {
        let child = try ChildProcess(
            launcher + [Products.path("framekeeper"), "up", "--config", config], output: "\(folder)/up.log")
        up.withLock { $0 = child }
    }

    /// Asks the supervisor to stop and waits for it.
    package func stop() async throws -> Int32 {
        guard let child = up.withLock({ $0 }) else { return 0 }
        child.signal(SIGTERM)
        let status = try await child.wait(within: .seconds(30))
        up.withLock { $0 = nil }
        return status
    }

    private func end() async {
        let child = up.withLock { $0 }
        if let child {
            child.signal(SIGTERM)
            if (try? await child.wait(within: .seconds(30))) == nil { child.signal(SIGKILL) }
        }
        await bus.stop()
        listener.cancel()
    }

    /// The process id of a child of the supervisor, by the name in its pid file: `capture-worker.front`, `broker`.
    package func pid(of child: String) throws -> Int32 {
        let text = try String(contentsOfFile: "\(stateDir)/run/\(child).pid", encoding: .utf8)
        guard let first = text.split(whereSeparator: \.isWhitespace).first, let pid = Int32(first) else {
            throw CodedError(.internal, "no pid in \(text)")
        }
        return pid
    }

    /// The process id of `framekeeper up` itself.
    package var supervisor: Int32 { up.withLock { $0?.pid ?? 0 } }

    package func signal(_ child: String, _ number: Int32) throws {
        guard kill(try pid(of: child), number) == 0 else { throw CodedError(.internal, "\(child): no such process") }
    }

    // MARK: Commands and states

    package func ask<R: Codable & Hashable & Sendable>(
        _ payload: String, on topic: String, expecting: R.Type = RecordingResult.self, within: Duration = .seconds(20)
    ) async throws -> Reply<R> {
        try await bus.request(Array(payload.utf8), to: topic, expecting: R.self, timeout: within)
    }

    /// Waits until the camera's worker answers commands.
    package func ready(_ camera: String) async throws {
        try await eventually("\(camera) is online", within: .seconds(30)) {
            if let status = up.withLock({ $0?.exitStatus() }) {
                throw CodedError(.internal, "the node ended with \(status); see \(folder)/up.log")
            }
            return log.state(RecordingState.self, at: CameraID(unchecked: camera)) != nil
                && log.state(CameraAvailability.self, at: CameraID(unchecked: camera)) == .online
        }
    }

    package func recording(_ camera: String) -> RecordingState? {
        log.state(RecordingState.self, at: CameraID(unchecked: camera))
    }

    /// Closed segments of a camera as the events told them, by session and index, newest facts last.
    package func closed(_ camera: String) -> [SegmentEvent] {
        log.events(SegmentEvent.self, at: CameraID(unchecked: camera)).filter { $0.event == .closed }
    }

    /// The command line, with its exit status and output.
    package func framekeeper(_ arguments: String...) async throws -> (status: Int32, output: String) {
        try await framekeeper(contentsOf: arguments)
    }

    package func framekeeper(contentsOf arguments: [String]) async throws -> (status: Int32, output: String) {
        let path = "\(folder)/out-\(UUID().uuidString)"
        let child = try ChildProcess(
            launcher + [Products.path("framekeeper")] + arguments + ["--config", config], output: path)
        let status = try await child.wait(within: .seconds(120))
        return (status, try String(contentsOfFile: path, encoding: .utf8))
    }

    /// Complete files of a camera, in the order of their names.
    package func files(_ camera: String) throws -> [String] {
        let root = "\(storage)/\(camera)"
        let names = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
        return names.filter {
            $0.hasSuffix(SegmentPath.suffix) && !$0.hasSuffix(SegmentPath.partialSuffix) && !$0.hasPrefix("snapshots")
        }.sorted().map { "\(root)/\($0)" }
    }
}
