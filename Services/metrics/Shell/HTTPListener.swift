internal import ClusterConfig
internal import Domain
internal import Glibc
internal import Logging
internal import ServiceKit
internal import Synchronization

/// The HTTP server: accepts connections and gives each a thread.
///
/// Not the package that serves the config-writer's hooks: that one bounds neither connections nor the length of a head,
/// and waits for ever on whoever reads slowly; nor one with an event loop, which would be most of this process.
/// Invariants: at most `HTTPLimits.connections` connections; one more takes the place of the one that has been idle the
/// longest after an answer, or is answered 503 at once; every read and write ends in time; a port that is taken costs a
/// line in the log and is tried again.
final class HTTPListener: Sendable {
    static let retry = Backoff(first: .seconds(1), most: .seconds(30))

    private struct State {
        var isStopped = false
        /// Where connections come in; nil while it is not listened.
        var descriptor: Int32?
        var connections: [Int: HTTPSocket] = [:]
        var next = 0
        /// Connections that are being turned away.
        var refusals: [Int: HTTPSocket] = [:]
        var attempt = 0
        /// Who waits for the end.
        var waiters: [CheckedContinuation<Void, Never>] = []
        var isRunning = false
    }

    private let state = Mutex(State())
    private let listen: HostAndPort
    private let limits: HTTPLimits
    private let logger: Logger
    private let answer: HTTPConversation.Answering
    private let count: @Sendable (Int) -> Void

    /// - Parameters:
    ///   - answer: called on connections' threads, many at a time.
    ///   - count: the status of every answer.
    init(
        listen: HostAndPort, limits: HTTPLimits = HTTPLimits(), logger: Logger,
        count: @escaping @Sendable (Int) -> Void,
        answer: @escaping HTTPConversation.Answering
    ) {
        self.listen = listen
        self.limits = limits
        self.logger = logger
        self.answer = answer
        self.count = count
    }

    var openConnections: Int { state.withLock { $0.connections.count } }
    var isListening: Bool { state.withLock { $0.descriptor != nil } }

    func start() {
        state.withLock { $0.isRunning = true }
        BlockingThread.start("http") { [self] in
            serve()
            let waiters = state.withLock { state in
                state.isRunning = false
                defer { state.waiters = [] }
                return state.waiters
            }
            for waiter in waiters { waiter.resume() }
        }
    }

    /// Ends the listener and all connections; returns when the port is free.
    func stop() async {
        state.withLock { state in
            state.isStopped = true
            // Wakes the threads that accept, read and write. Under the lock, since a descriptor that is closed may be
            // somebody else's at once.
            if let descriptor = state.descriptor { shutdown(descriptor, Int32(SHUT_RDWR)) }
            for socket in state.connections.values { socket.interrupt() }
            for socket in state.refusals.values { socket.interrupt() }
        }
        await withCheckedContinuation { waiter in
            let isOver = state.withLock { state in
                guard state.isRunning else { return true }
                state.waiters.append(waiter)
                return false
            }
            if isOver { waiter.resume() }
        }
    }

    // MARK: Accepting

    private func serve() {
        while !state.withLock({ $0.isStopped }) {
            do throws(CodedError) {
                let descriptor = try open()
                accept(on: descriptor)
                Glibc.close(descriptor)
            } catch {
                logger.error("cannot listen", metadata: ["listen": "\(listen)", "reason": "\(error)"])
                pause()
            }
        }
    }

    /// Sleeps in short steps, so that a stop is not waited for.
    private func pause() {
        let attempt = state.withLock { state in
            state.attempt += 1
            return state.attempt
        }
        let end = ServiceClock.now().monotonic + Self.retry.delay(attempt: attempt, chance: 0.5)
        while !state.withLock({ $0.isStopped }), ServiceClock.now().monotonic < end { usleep(100_000) }
    }

    private func open() throws(CodedError) -> Int32 {
        let descriptor = try SocketAddress(listen).listener()
        state.withLock { state in
            state.descriptor = descriptor
            state.attempt = 0
        }
        logger.info("listening", metadata: ["listen": "\(listen)"])
        return descriptor
    }

    private func accept(on descriptor: Int32) {
        defer { state.withLock { $0.descriptor = nil } }
        while !state.withLock({ $0.isStopped }) {
            var address = sockaddr_storage()
            var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
            let connection = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.accept(descriptor, $0, &length)
                }
            }
            guard connection >= 0 else {
                switch errno {
                case EINTR, ECONNABORTED: continue
                case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                    logger.warning("no room for a connection", metadata: ["errno": "\(errno)"])
                    usleep(100_000)
                    continue
                default: return
                }
            }
            // No process is started from here; this is for the day when one is.
            _ = fcntl(connection, F_SETFD, FD_CLOEXEC)
            take(HTTPSocket(descriptor: connection, peer: SocketAddress.host(of: address), limits: limits))
        }
    }

    private func take(_ socket: HTTPSocket) {
        let number = state.withLock { state -> Int? in
            guard !state.isStopped, makeRoom(for: socket.peer, in: &state) else { return nil }
            state.next += 1
            state.connections[state.next] = socket
            return state.next
        }
        guard let number else { return refuse(socket) }
        BlockingThread.start("http \(number)") { [self] in
            var conversation = HTTPConversation(socket: socket, answer: answer, count: count)
            conversation.run()
            state.withLock { $0.connections[number] = nil }
            socket.close()
        }
    }

    /// - Returns: false if there is none, and nobody idle who could go.
    private func makeRoom(for peer: String, in state: inout State) -> Bool {
        let own = state.connections.filter { $0.value.peer == peer }
        let crowd = own.count >= limits.connectionsPerPeer ? own : state.connections
        guard own.count >= limits.connectionsPerPeer || crowd.count >= limits.connections else { return true }
        let idle = crowd.compactMap { number, socket in socket.idleSince.map { (number, since: $0) } }
        guard let (number, _) = idle.min(by: { $0.since < $1.since }) else { return false }
        // While it is listed its descriptor is its own. Its thread ends at once.
        state.connections.removeValue(forKey: number)?.interrupt()
        return true
    }

    /// On a thread of its own, so that nobody who is slow to hear it keeps others from coming in.
    private func refuse(_ socket: HTTPSocket) {
        let number = state.withLock { state -> Int? in
            guard !state.isStopped, state.refusals.count < limits.refusals else { return nil }
            state.next += 1
            state.refusals[state.next] = socket
            return state.next
        }
        guard let number else { return socket.close() }
        BlockingThread.start("http \(number)") { [self] in
            turnAway(socket)
            state.withLock { $0.refusals[number] = nil }
            socket.close()
        }
    }

    private func turnAway(_ socket: HTTPSocket) {
        let answer = HTTPAnswer.refusal(
            .notReady, "too many connections", status: 503, headers: [("Retry-After", "1")])
        count(answer.status)
        if case .bytes(let body) = answer.body {
            // A fresh connection has room for so little; who does not take it has gone.
            try? socket.write(answer.head(length: Int64(body.count), keepsAlive: false) + body)
        }
        socket.lingerBeforeClose()
    }
}
