internal import ClusterConfig
internal import Domain
internal import FlyingFox
internal import FlyingSocks
internal import Glibc
internal import Logging
internal import Synchronization

/// Where the media server's hooks call: `POST /v1/demand/<camera>`, `/v1/undemand/<camera>` and `/v1/read/<camera>`.
///
/// Owns the listener. Invariants: only the names of cameras that have such a path do anything; a web page in somebody's
/// browser cannot start a camera; a port that is taken costs a line in the log and is tried again. One request per
/// connection: what a body holds beyond what was read is never taken for another request.
final class DemandEndpoint: Sendable {
    enum Verb: String, Sendable {
        /// Somebody wants to read and nobody publishes; that is over; somebody begins to read.
        case demand, undemand, read
    }

    static let bodyBytesMax = 4096
    static let requestSecondsMax = 5.0
    /// Of a camera's demand, which comes at most once per close-after of the path, and that is two seconds. Readers may
    /// come together: they are all heard, and those who come before the first has been taken note of are one with it.
    static let pause: Duration = .milliseconds(250)
    static let retelling: Duration = .seconds(1)
    static let retry = Backoff(first: .seconds(1), most: .seconds(30))

    private struct State {
        var listen: HostAndPort?
        var cameras: Set<CameraID> = []
        var isReady = false
        var calledAt: [String: MonotonicTime] = [:]
        /// Cameras whose reader was told of, and of which nobody has taken note yet.
        var unheard: [CameraID: MonotonicTime] = [:]
        var listener: Task<Void, Never>?
    }

    private let state = Mutex(State())
    private let now: @Sendable () -> MonotonicTime
    private let logger: Logger
    private let feed: @Sendable (Verb, CameraID) -> Void

    /// - Parameter feed: takes what was called for; called on any thread.
    init(
        now: @escaping @Sendable () -> MonotonicTime, logger: Logger,
        feed: @escaping @Sendable (Verb, CameraID) -> Void
    ) {
        self.now = now
        self.logger = logger
        self.feed = feed
    }

    /// Listens there from now on, for these cameras. `listen` nil: nowhere.
    func configure(_ listen: HostAndPort?, cameras: Set<CameraID>) {
        let old = state.withLock { state -> Task<Void, Never>? in
            state.cameras = cameras
            state.calledAt = [:]
            state.unheard = state.unheard.filter { cameras.contains($0.key) }
            state.isReady = listen != nil
            guard state.listen != listen else { return nil }
            state.listen = listen
            return state.listener.take()
        }
        old?.cancel()
        guard let listen else { return }
        state.withLock { state in
            guard state.listener == nil else { return }
            state.listener = Task { await serve(on: listen, after: old) }
        }
    }

    /// Refuses from now on, and returns when the port is free again.
    func stop() async {
        let listener = state.withLock { state -> Task<Void, Never>? in
            state.isReady = false
            state.listen = nil
            return state.listener.take()
        }
        listener?.cancel()
        await listener?.value
    }

    // MARK: Listening

    private func serve(on listen: HostAndPort, after old: Task<Void, Never>?) async {
        await old?.value
        var attempt = 0
        while !Task.isCancelled {
            attempt += 1
            do {
                try await run(listen)
            } catch {
                guard !Task.isCancelled else { return }
                logger.error(
                    "hook address not usable; viewers are found by counting only",
                    metadata: ["listen": "\(listen)", "reason": "\(error)"])
            }
            do {
                try await Task.sleep(for: Self.retry.delay(attempt: attempt, chance: 0.5))
            } catch {
                return
            }
        }
    }

    private func run(_ listen: HostAndPort) async throws {
        guard let port = UInt16(exactly: listen.port) else { return }
        let host = listen.host == "localhost" ? "127.0.0.1" : listen.host
        let handler = ClosureHTTPHandler { [weak self] request in self?.answer(request) ?? Self.response(.notFound) }
        let server =
            host.contains(":")
            ? server(try sockaddr_in6.inet6(ip6: host, port: port), handler)
            : server(try sockaddr_in.inet(ip4: host, port: port), handler)
        try await withTaskCancellationHandler {
            try await server.run()
        } onCancel: {
            Task { await server.stop() }
        }
    }

    private func server(_ address: some SocketAddress, _ handler: ClosureHTTPHandler) -> HTTPServer {
        HTTPServer(
            config: HTTPServer.Configuration(
                address: address, timeout: Self.requestSecondsMax, sharedRequestBufferSize: Self.bodyBytesMax,
                sharedRequestReplaySize: Self.bodyBytesMax, logger: .disabled),
            handler: handler)
    }

    // MARK: Answering

    private func answer(_ request: HTTPRequest) -> HTTPResponse {
        let levels = request.path.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.count == 4, levels[0].isEmpty, levels[1] == "v1", let verb = Verb(rawValue: String(levels[2]))
        else {
            return Self.response(.notFound)
        }
        guard request.method == .POST else { return Self.response(.methodNotAllowed, allow: "POST") }
        // Browsers send it with every request that could change something; hooks never do.
        guard request.headers[HTTPHeader("Origin")] == nil else { return Self.response(.forbidden) }
        return Self.response(called(verb, String(levels[3])))
    }

    private func called(_ verb: Verb, _ name: String) -> HTTPStatusCode {
        let moment = now()
        let status = state.withLock { state -> HTTPStatusCode in
            guard state.isReady else { return .serviceUnavailable }
            guard let camera = CameraID(rawValue: name), state.cameras.contains(camera) else { return .notFound }
            let key = "\(verb.rawValue)/\(camera)"
            if verb == .read {
                // Whoever is to take note may have too much to do; it is told again.
                if let told = state.unheard[camera], moment - told < Self.retelling { return .accepted }
                state.unheard[camera] = moment
                return .noContent
            }
            if let last = state.calledAt[key], moment - last < Self.pause { return .tooManyRequests }
            state.calledAt[key] = moment
            return .noContent
        }
        if status == .noContent { feed(verb, CameraID(unchecked: name)) }
        return status
    }

    /// Whoever begins to read from now on is told again.
    func heardOfReader(at camera: CameraID) { state.withLock { $0.unheard[camera] = nil } }

    private static func response(_ status: HTTPStatusCode, allow: String? = nil) -> HTTPResponse {
        var headers: HTTPHeaders = [.connection: "close"]
        if let allow { headers[HTTPHeader("Allow")] = allow }
        return HTTPResponse(
            statusCode: status, headers: headers, body: HTTPBodySequence(from: ClosingBody(), count: 0))
    }
}

/// A body of no bytes that ends the connection after the response has been sent: FlyingFox closes where a body fails,
/// and would otherwise read on in what the client sent.
private struct ClosingBody: AsyncBufferedSequence {
    typealias Element = UInt8
    struct Close: Error {}

    struct AsyncIterator: AsyncBufferedIteratorProtocol {
        mutating func next() async throws -> UInt8? { throw Close() }
        mutating func nextBuffer(suggested count: Int) async throws -> [UInt8]? { throw Close() }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator() }
}
