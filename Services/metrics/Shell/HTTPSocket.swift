internal import Domain
internal import Glibc
internal import ServiceKit
internal import Synchronization

/// How much of this process anybody may take.
struct HTTPLimits: Sendable {
    /// From the first byte of a request to the end of its head, and as long again for its body.
    var request: Duration = .seconds(10)
    /// Between two requests of one connection.
    var idle: Duration = .seconds(30)
    /// For one piece of an answer. Whoever reads slower than a piece in this time is left.
    var send: Duration = .seconds(20)
    /// For the other side to hear a refusal of what it is still sending.
    var linger: Duration = .seconds(1)
    /// Threads.
    var connections = 96
    /// Threads for one address.
    var connectionsPerPeer = 48
    /// Threads that tell somebody that there are too many connections; beyond that they hear nothing.
    var refusals = 16
}

/// One accepted connection: bytes in and out, each with a limit of time, so that nobody holds a thread for ever.
///
/// Used by one thread at a time, but for `interrupt` and `idleSince`, which may come from any.
final class HTTPSocket: Sendable {
    static let pieceBytes = 64 * 1024
    /// Between two looks at whether the system takes more. It says so by itself only when a third of its buffer is
    /// free, which may be more than a slow line takes away in `HTTPLimits.send`.
    private static let roomEvery: Duration = .milliseconds(500)
    /// Of what is thrown away after a refusal.
    static let lingerBytesMax = 4 * 1024 * 1024

    enum Ended: Error, Hashable {
        /// The other side closed, or the connection broke.
        case closed
        /// The other side was too slow.
        case timedOut
    }

    private let descriptor: Int32
    /// The other side's address, for budgets; never shown to anybody.
    let peer: String
    let limits: HTTPLimits
    /// Since when it has been waiting for a request after its last answer; nil: it is new or at work.
    private let restsSince = Mutex<MonotonicTime?>(nil)

    /// Takes the descriptor over.
    init(descriptor: Int32, peer: String, limits: HTTPLimits) {
        self.descriptor = descriptor
        self.peer = peer
        self.limits = limits
        var yes: Int32 = 1
        // A failure costs a moment's delay per answer.
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// After an answer to what was not read to its end: a close with bytes that nobody read resets the connection, and
    /// the answer may be lost on its way (RFC 9112 section 9.6). So the other side hears the end first, and what it
    /// still sends is thrown away until it closes too, for a moment.
    func lingerBeforeClose() {
        shutdown(descriptor, Int32(SHUT_WR))
        let deadline = ServiceClock.now().monotonic + limits.linger
        var rest = Self.lingerBytesMax
        while rest > 0, let bytes = try? read(atMost: min(rest, Self.pieceBytes), until: deadline) {
            rest -= bytes.count
        }
    }

    /// Once; nothing may be called afterwards.
    func close() { Glibc.close(descriptor) }

    /// Wakes the thread that reads or writes: for it the connection has ended.
    func interrupt() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    var idleSince: MonotonicTime? { restsSince.withLock { $0 } }

    func rest(since moment: MonotonicTime?) { restsSince.withLock { $0 = moment } }

    /// Waits for bytes and takes what is there, at most `count`.
    func read(atMost count: Int, until deadline: MonotonicTime) throws(Ended) -> [UInt8] {
        while true {
            let rest = deadline - ServiceClock.now().monotonic
            guard rest > .zero else { throw .timedOut }
            var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let ready = poll(&wait, 1, Int32(clamping: rest.nanoseconds / 1_000_000 + 1))
            if ready == 0 || (ready < 0 && errno == EINTR) { continue }
            guard ready > 0 else { throw .closed }
            let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                filled = max(recv(descriptor, buffer.baseAddress, count, 0), 0)
            }
            guard !bytes.isEmpty else { throw .closed }
            return bytes
        }
    }

    /// Whether the other side has closed, without waiting.
    var isClosed: Bool {
        var byte: UInt8 = 0
        let count = recv(descriptor, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
        return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
    }

    /// All of it. Each piece has `HTTPLimits.send` to leave as a whole: bytes that trickle away one by one buy no time.
    func write(_ bytes: some ContiguousBytesView) throws(Ended) {
        for start in stride(from: 0, to: bytes.count, by: Self.pieceBytes) {
            try write(bytes, start..<min(start + Self.pieceBytes, bytes.count))
        }
    }

    private func write(_ bytes: some ContiguousBytesView, _ piece: Range<Int>) throws(Ended) {
        let deadline = ServiceClock.now().monotonic + limits.send
        var sent = piece.lowerBound
        while true {
            let step = bytes.withBytes { buffer in
                send(
                    descriptor, buffer.baseAddress.map { $0 + sent }, piece.upperBound - sent,
                    Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            guard step > 0 || (step < 0 && (errno == EAGAIN || errno == EINTR)) else { throw .closed }
            sent += max(step, 0)
            guard sent < piece.upperBound else { return }
            let rest = deadline - ServiceClock.now().monotonic
            guard rest > .zero else { throw .timedOut }
            guard step < 0 else { continue }
            var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            poll(&wait, 1, Int32(clamping: min(rest, Self.roomEvery).nanoseconds / 1_000_000 + 1))
        }
    }
}

/// What can be sent without a copy.
protocol ContiguousBytesView {
    var count: Int { get }
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result
}

extension [UInt8]: ContiguousBytesView {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { withUnsafeBytes(body) }
}

extension ArraySlice<UInt8>: ContiguousBytesView {
    func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result { withUnsafeBytes(body) }
}
