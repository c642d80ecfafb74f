package import Domain
internal import Glibc

/// An exclusive lock on a file (flock(2)), held as long as this value lives. The kernel takes it back when the process
/// dies, so nothing is ever left locked. The file stays; its content names the owner for people.
package final class FileLock: Sendable {
    package let path: String
    private let file: Int32

    /// Nil if another process holds the lock. Creates the file (mode 0644) if needed; its folder must exist.
    package static func take(_ path: String) throws(CodedError) -> FileLock? {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw .lastSystemError("cannot open the lock \(path)") }
        while flock(file, LOCK_EX | LOCK_NB) != 0 {
            let number = errno
            if number == EINTR { continue }
            close(file)
            if number == EWOULDBLOCK { return nil }
            throw .system(number, "cannot lock \(path)")
        }
        return FileLock(path: path, file: file)
    }

    /// Blocks until the lock is free; for a thread of its own. As `take` otherwise.
    package static func wait(_ path: String) throws(CodedError) -> FileLock {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw .lastSystemError("cannot open the lock \(path)") }
        while flock(file, LOCK_EX) != 0 {
            let number = errno
            if number == EINTR { continue }
            close(file)
            throw .system(number, "cannot lock \(path)")
        }
        return FileLock(path: path, file: file)
    }

    /// Whether some process holds the lock at this moment; a file that does not exist is not locked.
    package static func isHeld(_ path: String) throws(CodedError) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return false }
            throw .lastSystemError("cannot open the lock \(path)")
        }
        defer { close(file) }
        // Shared, so that two askers do not take each other for an owner.
        if flock(file, LOCK_SH | LOCK_NB) == 0 { return false }
        guard errno == EWOULDBLOCK else { throw .lastSystemError("cannot test the lock \(path)") }
        return true
    }

    /// Whether the path still leads to the file that is locked. Nobody else's lock is on it then; a folder that was
    /// removed, unmounted or covered by a mount has another file there, or none.
    package var isInPlace: Bool {
        var named = stat()
        var opened = stat()
        guard stat(path, &named) == 0, fstat(file, &opened) == 0 else { return false }
        return named.st_dev == opened.st_dev && named.st_ino == opened.st_ino
    }

    private init(path: String, file: Int32) {
        self.path = path
        self.file = file
    }

    /// Replaces the content, which is only for people and for finding the owner.
    package func write(_ text: String) throws(CodedError) {
        let bytes = Array(text.utf8)
        guard ftruncate(file, 0) == 0, pwrite(file, bytes, bytes.count, 0) == bytes.count else {
            throw .lastSystemError("cannot write \(path)")
        }
    }

    deinit { close(file) }
}
