import Bus
import BusContract
import ClusterConfig
import ConfigWriterShell
import Domain
import Logging
import MediaServer
import ServiceKit
import Synchronization
import TestSupport

/// A keeper on a real media server and the broker's twin, with a worker that takes viewing leases and publishes while
/// it holds one. Goes away with this object.
final class MediaServerFixture: Sendable {
    static let node = NodeID(unchecked: "attic")

    let server: MediaServerProcess
    let hookPort: Int
    let keeper: MediaServerKeeper
    let tester: BusClient
    let heard: BusRecorder
    private let bus: BusClient
    private let pump: Task<Void, Never>
    private let worker: StandInWorker

    /// The server is made and not started.
    /// - Parameters:
    ///   - workerPublishes: false where a test has a publisher of its own, which a second one would cut off.
    ///   - workerAnswers: false for one that takes its time.
    ///   - startsKeeper: false where the test does.
    init(
        _ server: MediaServerProcess, workerPublishes: Bool = true, workerAnswers: Bool = true,
        startsKeeper: Bool = true
    ) async throws {
        self.server = server
        hookPort = try MosquittoBroker.freePort()
        let broker = InMemoryBroker()
        let logger = Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) }
        func client(_ name: String) -> BusClient {
            BusClient(
                settings: BusSettings(
                    endpoint: .unixSocket(path: "/nonexistent"), clientID: name,
                    reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200))),
                network: broker, now: { ServiceClock.now().wall }, logger: logger)
        }
        bus = client("config-writer")
        tester = client("tester")
        heard = BusRecorder(tester)
        let keeper = MediaServerKeeper(node: Self.node, bus: bus, logger: logger)
        self.keeper = keeper
        worker = StandInWorker(client("worker"), workerPublishes ? server : nil, answers: workerAnswers)
        bus.subscribe(keeper.subscriptions)
        pump = Task { [bus] in
            for await input in bus.inputs { if case .message(let message) = input { await keeper.take(message) } }
        }
        tester.subscribe([MediaServerState.template, ViewingState.template])
        bus.start()
        tester.start()
        let heard = heard
        try await eventually("the tester is connected") { heard.connects == 1 }
        if startsKeeper { keeper.start() }
    }

    func stop() async {
        await keeper.stop()
        await bus.stop()
        await worker.stop()
        await tester.stop()
        pump.cancel()
    }

    func settings(
        user: (name: String, password: String)? = nil, hasFile: Bool = false
    ) -> MediaServerSettings {
        MediaServerSettings(
            api: server.api, rtsp: server.rtsp, username: user?.name, password: user.map { Secret($0.password) },
            configFile: hasFile ? server.configPath : nil,
            hookListen: HostAndPort(host: "127.0.0.1", port: hookPort))
    }

    func cameras(_ names: [String], startTimeout: Duration = .seconds(10)) throws -> [CameraConfiguration] {
        var lifecycle = LifecyclePolicies()
        lifecycle.viewing.startTimeout = startTimeout
        return try (names + ["elsewhere"]).map { name in
            CameraConfiguration(
                id: CameraID(unchecked: name), source: try SourceAddress("test://pattern"),
                node: name == "elsewhere" ? NodeID(unchecked: "cellar") : Self.node, lifecycle: lifecycle,
                storage: StorageSettings(path: "/nonexistent"))
        }
    }

    // MARK: What the server has, past the keeper

    var client: MediaServerClient {
        MediaServerClient(
            api: server.api, username: server.user?.name, password: server.user.map { Secret($0.password) })
    }

    /// Nil unless the path is as it should be.
    func isSet(_ name: String, startTimeout: Duration = .seconds(10)) async throws -> Bool {
        let fleet = PathSettings.Fleet(
            node: Self.node, publish: .onDemand, hookURL: "http://127.0.0.1:\(hookPort)")
        let camera = try cameras([name], startTimeout: startTimeout)[0]
        guard let wanted = PathSettings(camera, fleet: fleet),
            let shown = try? await client.pathConfiguration(name)
        else { return false }
        return wanted.differences(from: shown.values).isEmpty
    }

    func waitUntilSet(_ names: [String], startTimeout: Duration = .seconds(10)) async throws {
        for name in names {
            try await eventually("the path \(name) is set") { try await isSet(name, startTimeout: startTimeout) }
        }
    }

    func waitForState(
        _ what: String, within deadline: Duration = .seconds(30), that condition: (MediaServerState) -> Bool
    ) async throws {
        try await eventually(what, within: deadline) {
            heard.decoded(MediaServerState.self).last.map { condition($0.message) } ?? false
        }
    }

    var isLeased: Bool { worker.isLeased }
    /// Leases that the worker was asked for, renewals included.
    var starts: Int { worker.starts }
    /// Leases that the worker was asked to end.
    var stops: Int { worker.stops }
}

/// Plays the workers of all cameras: a lease starts a publisher, if there is a server for it, and its end stops it.
private final class StandInWorker: Sendable {
    private struct State {
        var publishers: [CameraID: ChildProcess] = [:]
        var starts = 0
        var stops = 0
    }

    private final class Holding: Sendable {
        let state = Mutex(State())
    }

    private let holding = Holding()
    private let client: BusClient
    private let loop: Task<Void, Never>

    init(_ client: BusClient, _ server: MediaServerProcess?, answers: Bool) {
        self.client = client
        let holding = holding
        client.subscribe([ViewingCommand.template])
        client.start()
        loop = Task {
            for await input in client.inputs {
                guard case .message(let message) = input, let camera = ViewingCommand.address(from: message.topic)
                else { continue }
                let request = BusCodec.command(message, root: "framekeeper")
                guard let command = try? request.command(ViewingCommand.self) else { continue }
                holding.state.withLock { state in
                    switch command {
                    case .start:
                        state.starts += 1
                        if state.publishers[camera] == nil {
                            state.publishers[camera] = try? server?.publish(camera.rawValue)
                        }
                    case .stop:
                        state.publishers[camera] = nil
                        state.stops += 1
                    }
                }
                let result = ViewingResult(camera: camera, state: .starting)
                if answers, let address = request.reply {
                    client.reply(Reply(ok: result, requestID: request.requestID), to: address)
                }
            }
        }
    }

    var isLeased: Bool { holding.state.withLock { !$0.publishers.isEmpty } }
    var starts: Int { holding.state.withLock { $0.starts } }
    var stops: Int { holding.state.withLock { $0.stops } }

    func stop() async {
        await client.stop()
        loop.cancel()
        holding.state.withLock { $0.publishers = [:] }
    }
}
