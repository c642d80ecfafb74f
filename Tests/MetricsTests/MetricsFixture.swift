import Bus
import BusContract
import ClusterConfig
import Domain
import Foundation
import Ledger
import Logging
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import MetricsShell

/// A metrics service with the broker's twin, a real port and a real folder, and a client that plays the workers.
final class MetricsFixture {
    let folder: String
    let port: Int
    let broker = InMemoryBroker()
    let worker: BusClient
    private let answers: Task<Void, Never>
    /// Payloads of commands that came, by topic.
    let commands = CommandLog()
    /// What fills the budgets of requests.
    var budgetClock: @Sendable () -> MonotonicTime = { ServiceClock.now().monotonic }
    private var running: (shutdown: Shutdown, task: Task<ServiceExit, Never>)?

    static let front = CameraID(unchecked: "front")
    static let node = NodeID(unchecked: "attic")
    private static let quiet = Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) }

    var storage: String { folder + "/storage" }

    init() throws {
        folder = NSTemporaryDirectory() + "framekeeper-metrics-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: folder + "/storage", withIntermediateDirectories: true)
        port = try MosquittoBroker.freePort()
        worker = BusClient(
            settings: Self.busSettings("worker"), network: broker, now: { ServiceClock.now().wall },
            logger: Self.quiet)
        worker.subscribe(["cameras/+/recording/set", "cameras/+/rotation/set"])
        worker.start()
        answers = Self.answering(worker, commands)
    }

    /// Says yes to recordings, and no to rotations.
    private static func answering(_ worker: BusClient, _ commands: CommandLog) -> Task<Void, Never> {
        Task {
            for await input in worker.inputs {
                guard case .message(let message) = input else { continue }
                let request = BusCodec.command(message, root: "framekeeper")
                commands.add("\(message.topic) \(String(decoding: message.payload, as: UTF8.self))")
                guard let address = request.reply else { continue }
                if message.topic.hasSuffix("rotation/set") {
                    let refusal = CodedError(.notReady, "front is not recording")
                    worker.reply(Reply<RotationResult>(refusal, requestID: request.requestID), to: address)
                } else {
                    let result = RecordingResult(camera: Self.front, state: .recording, session: nil)
                    worker.reply(Reply(ok: result, requestID: request.requestID), to: address)
                }
            }
        }
    }

    deinit {
        answers.cancel()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func busSettings(_ clientID: String) -> BusSettings {
        BusSettings(
            endpoint: .unixSocket(path: "/nonexistent"), clientID: clientID,
            reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200)))
    }

    func start(_ change: (inout MetricsSettings) -> Void = { _ in }) async throws {
        var settings = MetricsSettings(listen: HostAndPort(host: "127.0.0.1", port: port))
        change(&settings)
        let camera = CameraConfiguration(
            id: Self.front, source: .testPattern(SourceAddress.TestPattern()), node: Self.node,
            storage: StorageSettings(path: storage))
        let configuration = ClusterConfiguration(
            node: Self.node, stateDir: folder + "/state", storage: StorageSettings(path: storage), metrics: settings,
            cameras: [camera])
        let shutdown = Shutdown()
        let context = ServiceContext(
            service: .metrics, instance: InstanceID(unchecked: "attic"), configuration: configuration,
            logger: Self.quiet, shutdown: shutdown, startedAt: ServiceClock.now())
        let service = MetricsService(context: context, network: broker, budgetClock: budgetClock)
        running = (shutdown, Task { await service.run() })
        let port = port
        try await eventually("the service is ready") {
            (try? await RawHTTP.send("GET", "/readyz", port: port).status) == 200
        }
    }

    @discardableResult
    func stop() async -> ServiceExit? {
        guard let (shutdown, task) = running else { return nil }
        running = nil
        shutdown.request("the test is over")
        return await task.value
    }

    final class CommandLog: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        func add(_ line: String) { lines.withLock { $0.append(line) } }
    }

    // MARK: Asking

    struct Answer {
        var status: Int
        var headers: [String: String]
        var body: String

        func json<Value>(_ keys: String...) throws -> Value {
            var value = try JSONSerialization.jsonObject(with: Data(body.utf8))
            for key in keys { value = try #require((value as? [String: Any])?[key]) }
            return try #require(value as? Value)
        }
    }

    func ask(_ method: String, _ path: String, body: String = "", _ headers: String...) async throws -> Answer {
        let lines =
            ["\(method) \(path) HTTP/1.1", "Host: 127.0.0.1:\(port)", "Connection: close"]
            + ["Content-Length: \(body.utf8.count)"] + headers
        let text = try await RawHTTP.exchange(lines.joined(separator: "\r\n") + "\r\n\r\n" + body, port: port)
        let parts = text.components(separatedBy: "\r\n\r\n")
        let head = parts[0].components(separatedBy: "\r\n")
        var read: [String: String] = [:]
        for line in head.dropFirst() {
            let pair = line.components(separatedBy: ": ")
            read[pair[0].lowercased()] = pair.dropFirst().joined(separator: ": ")
        }
        let status = try #require(Int(head[0].split(separator: " ").dropFirst().first ?? ""))
        return Answer(status: status, headers: read, body: parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    func get(_ path: String, _ headers: String...) async throws -> Answer {
        switch headers.count {
        case 0: try await ask("GET", path)
        case 1: try await ask("GET", path, headers[0])
        default: try await ask("GET", path, headers[0], headers[1])
        }
    }

    // MARK: Recordings

    static let session = SessionID(high: 1, low: 2)
    static let begin = WallTime(milliseconds: 1_772_366_400_000)

    /// A closed segment of 10 s in the ledger, with a file of `bytes` bytes that count up; nil: no file.
    func record(_ index: Int, bytes: Int?) throws -> String {
        let started = Self.begin + .seconds(index * 10)
        let path = SegmentPath(
            camera: Self.front, startedAt: started, session: Self.session, index: index, isPartial: false)
        let event = SegmentEvent(
            event: .closed, session: Self.session, index: index, node: Self.node, file: path.relativePath,
            startedAt: started, endedAt: started + .seconds(10), durationSeconds: 10, frames: 150,
            firstFrame: UInt64(index) * 150, lastFrame: UInt64(index) * 150 + 149, bytes: UInt64(bytes ?? 0),
            reason: .rotation)
        let ledger = try LedgerStore(storage: storage, access: .owner, now: started)
        try ledger.record(segments: [SegmentRecord(event, camera: Self.front)], now: started)
        try ledger.close()
        if let bytes {
            let file = URL(fileURLWithPath: "\(storage)/\(path.relativePath)")
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data((0..<bytes).map { UInt8(ascii: "a") + UInt8($0 % 26) }).write(to: file)
        }
        return path.relativePath
    }

    func url(_ index: Int) -> String { "/recordings/\(Self.session)_\(index).mp4" }
}
