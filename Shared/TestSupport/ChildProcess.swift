internal import Glibc
internal import Synchronization

/// A process that a test started, addressed by its id and nothing else. It is killed when its owner lets go of it and,
/// should a test end the whole program, when the program exits.
package final class ChildProcess: Sendable {
    package let pid: Int32
    /// The exit status, once the process has ended and been reaped.
    private let ended = Mutex<Int32?>(nil)

    package struct StartFailed: Error, CustomStringConvertible {
        package let description: String
    }

    /// Of this process's descriptors it inherits none: it would keep another test's lock or connection.
    ///
    /// - Parameter arguments: the first is looked for on PATH.
    /// - Parameter output: both standard streams go to this file.
    package init(_ arguments: [String], output: String = "/dev/null") throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        _ = Self.closeFrom?(&actions, 3)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The pool's threads block signals, and a program begins with what is blocked where it was started.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var pid: pid_t = 0
        let result = posix_spawnp(&pid, arguments.first ?? "", &actions, &attributes, &pointers, environ)
        guard result == 0 else {
            throw StartFailed(description: "\(arguments): \(String(cString: strerror(result)))")
        }
        self.pid = pid
        Leftovers.add(pid)
    }

    /// The header shows it to C with GNU's extensions alone, and so not to Swift.
    private static let closeFrom: (@convention(c) (UnsafeMutableRawPointer, Int32) -> Int32)? =
        dlsym(nil, "posix_spawn_file_actions_addclosefrom_np").map {
            unsafeBitCast($0, to: (@convention(c) (UnsafeMutableRawPointer, Int32) -> Int32).self)
        }

    deinit { kill() }

    /// Sends a signal unless the process has been reaped.
    package func signal(_ number: Int32) {
        ended.withLock { if $0 == nil { _ = Glibc.kill(pid, number) } }
    }

    /// SIGKILL, and waits for the end, which comes at once.
    package func kill() {
        ended.withLock { ended in
            guard ended == nil else { return }
            _ = Glibc.kill(pid, SIGKILL)
            var status: Int32 = 0
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            ended = Self.code(status)
        }
        Leftovers.remove(pid)
    }

    /// The exit status if the process has ended: the code, or 128 and the signal's number.
    package func exitStatus() -> Int32? {
        let status = ended.withLock { ended -> Int32? in
            var status: Int32 = 0
            if ended == nil, waitpid(pid, &status, WNOHANG) == pid { ended = Self.code(status) }
            return ended
        }
        if status != nil { Leftovers.remove(pid) }
        return status
    }

    private static func code(_ status: Int32) -> Int32 {
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }
}

/// What must not outlive the test program.
private enum Leftovers {
    private static let pids = Mutex<Set<Int32>>([])
    private static let registered: Void = {
        _ = atexit { Leftovers.killAll() }
    }()

    static func add(_ pid: Int32) {
        registered
        pids.withLock { _ = $0.insert(pid) }
    }

    static func remove(_ pid: Int32) { pids.withLock { _ = $0.remove(pid) } }

    private static func killAll() { pids.withLock { for pid in $0 { _ = Glibc.kill(pid, SIGKILL) } } }
}
