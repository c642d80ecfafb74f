internal import Domain
internal import Glibc
internal import ServiceKit
internal import Synchronization

/// The folder of one camera's recordings: that it is there, that it is ours, and that it takes files.
///
/// Owns the folder's lock, by which one worker at a time writes. Invariants: a folder is not used while the mount that
/// it was on is away; one that has come back as another is locked anew before anything is written. The recorder asks
/// before each segment, the Core has it probed after a failure. Every call may block for as long as the disk does.
final class CameraFolder: Sendable {
    /// What a look writes: more than the first part of any segment that follows.
    static let probeBytes = 1 << 20

    let path: String
    private let mount: StorageMount
    private let held = Mutex<FileLock?>(nil)

    init(storage: String, camera: CameraID, mount: StorageMount) {
        path = "\(storage)/\(camera)"
        self.mount = mount
    }

    private var lockPath: String { "\(path)/.lock" }

    /// Creates the folder if need be and waits for its lock: an older worker that was just fenced may still be
    /// finishing its last file.
    /// - Parameter onWait: called once if another process holds the lock.
    func take(onWait: () -> Void) throws(CodedError) {
        try mount.check()
        do throws(CodedError) {
            try AtomicFile.createFolder(path)
            let lock = try takeLock(onWait)
            mount.remember()
            held.withLock { $0 = lock }
        } catch {
            throw Self.ofStorage(error)
        }
    }

    private func takeLock(_ onWait: () -> Void) throws(CodedError) -> FileLock {
        if let lock = try FileLock.take(lockPath) { return lock }
        onWait()
        return try FileLock.wait(lockPath)
    }

    /// Throws `storageFailed` if the path leads to another folder than the one that is locked.
    func check() throws(CodedError) {
        guard let lock = held.withLock({ $0 }) else { throw CodedError(.storageFailed, "\(path) is not taken yet") }
        try mount.check()
        guard lock.isInPlace else { throw CodedError(.storageFailed, "\(path) is no longer the same folder") }
    }

    /// Writes and syncs a small file and removes it: whether the disk takes files again. A folder that was replaced is
    /// taken anew, with `onWait` as there.
    func probe(onWait: () -> Void) throws(CodedError) {
        do { try check() } catch { try take(onWait: onWait) }
        let name = "\(path)/.probe"
        let file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.refusal(errno, "cannot create \(name)") }
        defer {
            unlink(name)
            close(file)
        }
        let bytes = [UInt8](repeating: 0, count: Self.probeBytes)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(file, $0.baseAddress.map { $0 + written }, bytes.count - written)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.refusal(errno, "cannot write to \(name)") }
            written += count
        }
        guard fdatasync(file) == 0 else { throw Self.refusal(errno, "cannot sync \(name)") }
    }

    /// A disk that refuses is a matter of storage, whatever the number.
    private static func refusal(_ number: Int32, _ what: String) -> CodedError {
        ofStorage(.system(number, what))
    }

    private static func ofStorage(_ error: CodedError) -> CodedError {
        error.code == .storageFull ? error : CodedError(.storageFailed, error.message, cause: error.cause)
    }
}
