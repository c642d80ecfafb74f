internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

struct StatusCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show cameras, services and storage.",
        discussion: """
            Example: framekeeper status --watch
            Example: framekeeper status --json | jq .cameras
            """)

    @Flag(help: "Go on and show every change, until Ctrl-C.")
    var watch = false

    @Option(
        help: ArgumentHelp(
            "End with 1 unless this process is online, such as capture-worker/front.", valueName: "service/instance"))
    var expect: [String] = []

    @OptionGroup var options: CommandOptions

    mutating func validate() throws {
        guard !watch || expect.isEmpty else { throw ValidationError("--watch and --expect exclude each other") }
        for name in expect {
            let levels = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
            guard ServiceAddress(levels: levels) != nil else {
                throw ValidationError("\(name): expected a service and an instance, such as rotation-service/attic")
            }
        }
    }

    /// What a broker may take to hand over everything that it retains.
    private static let answerWithin: Duration = .seconds(10)

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        if watch { return try await StatusWatch(configuration: configuration, json: options.json).run() }
        let board = try await Self.board(configuration)
        let failure = absence(of: expect.filter { !board.isOnline($0) })
        let terminal = Terminal()
        guard !options.json else {
            try terminal.print(json: Document(board: board, failure: failure?.document))
            return failure?.exit ?? .done
        }
        let lines = board.lines(now: ServiceClock.now().wall, width: terminal.size?.columns, paint: terminal.painted)
        for line in lines { terminal.print(line) }
        if let failure { throw failure }
        return .done
    }

    private func absence(of missing: [String]) -> CommandFailure? {
        guard !missing.isEmpty else { return nil }
        return CommandFailure(
            .failed, "not online: \(missing.joined(separator: ", "))",
            hint: "framekeeper up starts what is missing; its log says why a process ends", code: .notReady)
    }

    /// The board, and what is wrong with it, as one object.
    private struct Document: Encodable {
        var board: StatusBoard
        var failure: CommandFailure.Document?

        func encode(to encoder: any Encoder) throws {
            try board.encode(to: encoder)
            try failure?.encode(to: encoder)
        }
    }

    static let subscriptions: [TopicTemplate] = [
        CameraAvailability.template, StreamState.template, RecordingState.template, ViewingState.template,
        RotationState.template, CameraHealth.template, ServiceState.template, StorageState.template,
        MediaServerState.template,
    ]

    /// Everything that the bus retains.
    static func board(_ configuration: ClusterConfiguration) async throws(CommandFailure) -> StatusBoard {
        var (visit, inputs) = try await BusVisit.begin(
            configuration, subscriptions: Self.subscriptions)
        let limit = Task { [visit] in
            guard (try? await Task.sleep(for: Self.answerWithin)) != nil else { return }
            await visit.end()
        }
        defer { limit.cancel() }
        visit.sendMarker()
        var board = StatusBoard()
        for camera in configuration.cameras { board.expect(camera.id) }
        var isComplete = false
        while !isComplete, let input = await inputs.next() {
            guard case .message(let message) = input else { continue }
            isComplete = message.topic == visit.ownTopic
            board.take(message)
        }
        await visit.end()
        guard isComplete else {
            throw CommandFailure(
                .unavailable, "the broker at \(configuration.broker.url) stopped answering", hint: "try again",
                code: .timeout)
        }
        return board
    }
}

extension StatusBoard {
    /// What cannot be read is left out: it was not written by this product, and others' lines still count.
    mutating func take(_ message: InboundMessage) {
        if message.payload.isEmpty {
            takeBack(message.topic)
        } else if let (camera, result) = message.decoded(CameraAvailability.self), let state = Self.value(result) {
            update(camera) { $0.availability = state }
        } else if let (camera, result) = message.decoded(StreamState.self), let state = Self.value(result) {
            update(camera) { $0.stream = state }
        } else if let (camera, result) = message.decoded(RecordingState.self), let state = Self.value(result) {
            update(camera) { $0.recording = state }
        } else if let (camera, result) = message.decoded(ViewingState.self), let state = Self.value(result) {
            update(camera) { $0.viewing = state }
        } else if let (node, result) = message.decoded(MediaServerState.self), let state = Self.value(result) {
            update(node, state)
        } else if let (camera, result) = message.decoded(RotationState.self), let state = Self.value(result) {
            update(camera) { $0.rotation = state }
        } else if let (camera, result) = message.decoded(CameraHealth.self), let state = Self.value(result) {
            update(camera) { $0.health = state }
        } else if let (address, result) = message.decoded(ServiceState.self), let state = Self.value(result) {
            update(address, state)
        } else if let (node, result) = message.decoded(StorageState.self), let state = Self.value(result) {
            update(node, state)
        }
    }

    /// A retained state that is empty was withdrawn.
    private mutating func takeBack(_ topic: String) {
        if let camera = CameraAvailability.address(from: topic) {
            clear(camera) { $0.availability = nil }
        } else if let camera = StreamState.address(from: topic) {
            clear(camera) { $0.stream = nil }
        } else if let camera = RecordingState.address(from: topic) {
            clear(camera) { $0.recording = nil }
        } else if let camera = ViewingState.address(from: topic) {
            clear(camera) { $0.viewing = nil }
        } else if let camera = RotationState.address(from: topic) {
            clear(camera) { $0.rotation = nil }
        } else if let camera = CameraHealth.address(from: topic) {
            clear(camera) { $0.health = nil }
        } else if let address = ServiceState.address(from: topic) {
            remove(address)
        } else if let node = StorageState.address(from: topic) {
            removeStorage(of: node)
        } else if let node = MediaServerState.address(from: topic) {
            removeMediaServer(of: node)
        }
    }

    private static func value<M>(_ result: Result<Stamped<M>, CodedError>) -> M? {
        guard case .success(let stamped) = result else { return nil }
        return stamped.message
    }
}
