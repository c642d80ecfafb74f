internal import Dispatch
internal import Domain
internal import Glibc
internal import ServiceKit

/// `<state_dir>/run`: the lock that makes one `up` per state folder, and a file per running child. A supervisor that
/// was killed leaves the files behind; the next one finds by them what still runs and stops it.
///
/// Notes are written and removed in the order of the calls, by one queue: a disk that hangs must not keep children from
/// being started anew. They need not survive a power cut, which no child survives either.
struct RunFolder: Sendable {
    let path: String
    private let lock: FileLock
    private let queue = DispatchQueue(label: "framekeeper.run-notes")

    /// Nil if another `up` runs with this state folder.
    static func take(stateDir: String) throws(CodedError) -> RunFolder? {
        let path = stateDir + "/run"
        try AtomicFile.createFolder(stateDir)
        try AtomicFile.createFolder(path)
        guard let lock = try FileLock.take(path + "/up.lock") else { return nil }
        try lock.write("\(getpid())\n")
        return RunFolder(path: path, lock: lock)
    }

    /// Whether an `up` seems to run with this state folder: whether the process lives that the lock names. The lock
    /// itself is not tried, since that could keep an `up` from starting that comes at this moment.
    static func isTaken(stateDir: String) -> Bool {
        guard let bytes = try? AtomicFile.read("\(stateDir)/run/up.lock", atMost: 64),
            let line = String(decoding: bytes, as: UTF8.self).split(separator: "\n").first,
            let pid = pid_t(line), pid > 1
        else { return false }
        return kill(pid, 0) == 0 || errno == EPERM
    }

    /// What names a process beyond its pid, which the kernel gives to another one some day.
    struct Identity: Sendable, Hashable {
        var pid: pid_t
        /// Clock ticks since the boot (proc(5), field 22 of `stat`).
        var startTime: UInt64
        var executable: String

        /// Nil if there is no such process, or it is not ours to look at.
        init?(pid: pid_t) {
            guard let bytes = try? AtomicFile.read("/proc/\(pid)/stat", atMost: 4096),
                let end = bytes.lastIndex(of: UInt8(ascii: ")"))
            else { return nil }
            // The name in parentheses may hold anything; fields are counted after it, the first of them is the third.
            let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
            guard fields.count > 19, let startTime = UInt64(fields[19]), fields[0] != "Z" else { return nil }
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let count = readlink("/proc/\(pid)/exe", &buffer, buffer.count)
            guard count > 0 else { return nil }
            let link = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            self.pid = pid
            self.startTime = startTime
            // A new build replaces the file of a process that still runs.
            executable = link.hasSuffix(" (deleted)") ? String(link.dropLast(10)) : link
        }

        init?(text: String) {
            let fields = text.split(separator: " ", maxSplits: 2).map(String.init)
            guard fields.count == 3, let pid = pid_t(fields[0]), pid > 1, let startTime = UInt64(fields[1]) else {
                return nil
            }
            self.pid = pid
            self.startTime = startTime
            executable = fields[2]
        }

        var text: String { "\(pid) \(startTime) \(executable)" }
        var isAlive: Bool { Identity(pid: pid) == self }
    }

    private func file(_ name: String) -> String { "\(path)/\(name.split(separator: "/").joined(separator: ".")).pid" }

    /// Notes a child that was just started, soon. One that has ended already is not noted.
    func note(_ name: String, pid: pid_t, onFailure: @escaping @Sendable (CodedError) -> Void) {
        // Looked at now: later the pid may be another's.
        guard let identity = Identity(pid: pid) else { return }
        let file = file(name)
        queue.async {
            do throws(CodedError) {
                try AtomicFile.write(Array(identity.text.utf8), to: file, mode: 0o644, isSynced: false)
            } catch {
                onFailure(error)
            }
        }
    }

    /// Removes the note of a child that has ended, after whatever was noted of it before.
    func forget(_ name: String) {
        let file = file(name)
        queue.async { unlink(file) }
    }

    /// Returns when everything asked for so far is done, or after `within`.
    func settle(within: Duration) async {
        let done = DispatchSemaphore(value: 0)
        queue.async { done.signal() }
        await BlockingThread.run("run-notes") {
            _ = done.wait(timeout: .now() + within.seconds)
        }
    }

    /// Ends what an earlier `up` left running: asks, waits at most `within`, then kills. Returns whom it met.
    func stopLeftovers(within: Duration) async -> [Identity] {
        let left = identities().filter(\.isAlive)
        for identity in left { kill(identity.pid, SIGTERM) }
        let deadline = ServiceClock.now().monotonic + within
        while left.contains(where: \.isAlive), ServiceClock.now().monotonic < deadline {
            // Cancelled means that the supervisor is to stop; then there is no time to wait.
            guard (try? await Task.sleep(for: .milliseconds(50))) != nil else { break }
        }
        for identity in left where identity.isAlive { kill(identity.pid, SIGKILL) }
        for name in names() { unlink("\(path)/\(name)") }
        return left
    }

    private func identities() -> [Identity] {
        names().compactMap { name in
            // An unreadable note is as good as none: without it the process cannot be told from a stranger.
            guard let bytes = try? AtomicFile.read("\(path)/\(name)", atMost: 8192) else { return nil }
            return Identity(text: String(decoding: bytes, as: UTF8.self))
        }
    }

    private func names() -> [String] { FolderListing.names(in: path).filter { $0.hasSuffix(".pid") } }
}

/// Names in a folder, without `.` and `..`; none if it cannot be read.
enum FolderListing {
    static func names(in path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}
