internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import ServiceKit
internal import Synchronization

/// One running child: its pid, the pipe whose end tells it that the supervisor died, and the two threads that read its
/// output and wait for its end. Started and signalled by `Supervisor` alone. Plain posix_spawn(3): the child needs a
/// process group of its own, so that Ctrl-C reaches the supervisor only and the order of stopping is ours.
final class ChildProcess: Sendable {
    /// A line of more is cut into several.
    static let lineBytesMax = 8192

    let pid: pid_t
    let startedAt: MonotonicTime
    /// When it last wrote anything, a beat or a line; in nanoseconds, 0: never.
    private let sign = Atomic<Int64>(0)
    private let standardInput: Int32
    /// Guards against signalling a stranger that got the pid after the child was reaped.
    private let isReaped = Mutex(false)

    var lastSign: MonotonicTime? {
        let nanoseconds = sign.load(ordering: .relaxed)
        return nanoseconds > 0 ? MonotonicTime(nanoseconds: nanoseconds) : nil
    }

    private init(pid: pid_t, standardInput: Int32) {
        self.pid = pid
        startedAt = ServiceClock.now().monotonic
        self.standardInput = standardInput
    }

    deinit { close(standardInput) }

    /// - Parameters:
    ///   - onLine: Each line of its standard output and error, on a thread of its own.
    ///   - onExit: Once, on a thread of its own.
    static func spawn(
        _ name: String, executable: String, arguments: [String], onLine: @escaping @Sendable (String) -> Void,
        onExit: @escaping @Sendable (ChildExit) -> Void
    ) throws(CodedError) -> ChildProcess {
        let input = try pipe()
        let output = try pipe()
        // A supervisor that is held must not hold its children: what does not fit into the pipe is dropped.
        _ = fcntl(output.write, F_SETFL, O_NONBLOCK)
        let pid: pid_t
        do throws(CodedError) {
            pid = try start(executable, arguments, input: input.read, output: output.write)
        } catch {
            for file in [input.read, input.write, output.read, output.write] { close(file) }
            throw error
        }
        close(input.read)
        close(output.write)
        let child = ChildProcess(pid: pid, standardInput: input.write)
        BlockingThread.start("log \(name)") { child.readLines(output.read, onLine) }
        BlockingThread.start("wait \(name)") { onExit(child.waitForEnd()) }
        return child
    }

    /// Runs a program to its end; kills it when the time is over.
    static func run(
        _ name: String, executable: String, arguments: [String], within limit: Duration,
        onLine: @escaping @Sendable (String) -> Void
    ) async throws(CodedError) -> ChildExit {
        let (ends, end) = AsyncStream.makeStream(of: ChildExit.self)
        let child = try spawn(name, executable: executable, arguments: arguments, onLine: onLine) { exit in
            end.yield(exit)
            end.finish()
        }
        let killer = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            child.send(SIGKILL)
        }
        defer { killer.cancel() }
        for await exit in ends { return exit }
        return .notStarted("cancelled")
    }

    /// Nothing happens if it has ended already.
    func send(_ signal: Int32) {
        isReaped.withLock { isReaped in
            if !isReaped { _ = kill(pid, signal) }
        }
    }

    private func waitForEnd() -> ChildExit {
        var information = siginfo_t()
        // WNOWAIT leaves the pid taken until the lock is held.
        while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
        return isReaped.withLock { isReaped in
            isReaped = true
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            // wait(2): the low seven bits are the signal, the next byte the exit code.
            let signal = status & 0x7F
            return signal == 0 ? .code((status >> 8) & 0xFF) : .signal(signal)
        }
    }

    private static func pipe() throws(CodedError) -> (read: Int32, write: Int32) {
        var ends: [Int32] = [-1, -1]
        guard Glibc.pipe(&ends) == 0 else { throw .system(errno, "cannot create a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        return (ends[0], ends[1])
    }

    private static func start(
        _ executable: String, _ arguments: [String], input: Int32, output: Int32
    ) throws(CodedError) -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (file, number) in [(input, 0), (output, 1), (output, 2)] as [(Int32, Int32)] {
            posix_spawn_file_actions_adddup2(&actions, file, number)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        words.append(nil)
        defer { for word in words { free(word) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, executable, &actions, &attributes, words, environ)
        guard failure == 0 else { throw .system(failure, "cannot start \(executable)") }
        return pid
    }

    private func readLines(_ file: Int32, _ onLine: (String) -> Void) {
        var line: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            sign.store(ServiceClock.now().monotonic.nanoseconds, ordering: .relaxed)
            for byte in buffer[..<count] where byte != Heart.beat {
                if byte != UInt8(ascii: "\n") { line.append(byte) }
                if byte == UInt8(ascii: "\n") || line.count >= Self.lineBytesMax {
                    onLine(String(decoding: line, as: UTF8.self))
                    line.removeAll(keepingCapacity: true)
                }
            }
        }
        if !line.isEmpty { onLine(String(decoding: line, as: UTF8.self)) }
        close(file)
    }
}
