package import Domain
internal import Glibc

/// Small files that are whole at every moment, also after a power cut: written aside, synced, renamed over the old one,
/// and the folder synced. Leases, outboxes and pid files are kept this way. Blocking; call it from your own thread or
/// for files of a few kilobytes.
package enum AtomicFile {
    /// The most that `read` takes unless told otherwise.
    package static let bytesMax = 16 * 1024 * 1024

    /// Replaces the file at `path`. The folder must exist. `storage_full` if the disk is full, else `storage_failed`.
    ///
    /// - Parameter isSynced: false for what need not survive a power cut and shall be there at once.
    package static func write(
        _ bytes: [UInt8], to path: String, mode: UInt32 = 0o600, isSynced: Bool = true
    ) throws(CodedError) {
        try write(bytes, to: path, mode: mode, isSynced: isSynced) { _ throws(CodedError) in }
    }

    /// Replaces a file of somebody's, which keeps its mode and its owner; a link stays a link, and what it leads to is
    /// replaced. Where there is none, one of mode 0600 begins.
    package static func replace(_ bytes: [UInt8], at path: String) throws(CodedError) {
        var status = stat()
        guard let resolved = realpath(path, nil) else {
            guard errno == ENOENT else { throw .lastSystemError("cannot find \(path)") }
            return try write(bytes, to: path)
        }
        defer { free(resolved) }
        let target = String(cString: resolved)
        guard stat(target, &status) == 0 else { throw .lastSystemError("cannot examine \(target)") }
        // Its folder may let files be replaced that are themselves closed to writing, which somebody meant.
        guard access(target, W_OK) == 0 else { throw .lastSystemError("cannot write \(target)") }
        try write(bytes, to: target, mode: 0o600, isSynced: true) { file throws(CodedError) in
            let isOurs = status.st_uid == geteuid() && status.st_gid == getegid()
            guard isOurs || fchown(file, status.st_uid, status.st_gid) == 0 else {
                throw .lastSystemError("cannot keep the owner of \(target)")
            }
            guard fchmod(file, status.st_mode & 0o7777) == 0 else {
                throw .lastSystemError("cannot keep the mode of \(target)")
            }
        }
    }

    /// Writes where somebody wants to have it: a file is replaced, and what is none, a device or a pipe, takes the
    /// bytes. Where there is nothing, a file of `mode` begins.
    package static func deliver(_ bytes: [UInt8], to path: String, mode: UInt32) throws(CodedError) {
        var status = stat()
        guard stat(path, &status) == 0 else { return try write(bytes, to: path, mode: mode) }
        guard status.st_mode & S_IFMT != S_IFREG else { return try replace(bytes, at: path) }
        let file = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
        guard file >= 0 else { throw .lastSystemError("cannot open \(path)") }
        defer { close(file) }
        try writeAll(bytes, to: file, path: path)
    }

    private static func write(
        _ bytes: [UInt8], to path: String, mode: UInt32, isSynced: Bool, prepare: (Int32) throws(CodedError) -> Void
    ) throws(CodedError) {
        let aside = "\(path).\(getpid()).new"
        let file = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode)
        guard file >= 0 else { throw .lastSystemError("cannot create \(aside)") }
        do throws(CodedError) {
            try prepare(file)
            try writeAll(bytes, to: file, path: aside)
            guard !isSynced || fsync(file) == 0 else { throw CodedError.lastSystemError("cannot sync \(aside)") }
        } catch {
            close(file)
            unlink(aside)
            throw error
        }
        close(file)
        guard rename(aside, path) == 0 else {
            let error = CodedError.lastSystemError("cannot rename \(aside) to \(path)")
            unlink(aside)
            throw error
        }
        if isSynced { try syncFolder(of: path) }
    }

    /// The whole file; nil if there is none. Refuses more than `limit` bytes.
    package static func read(_ path: String, atMost limit: Int = bytesMax) throws(CodedError) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw .lastSystemError("cannot open \(path)")
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .lastSystemError("cannot read \(path)") }
            guard count > 0 else { return bytes }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw CodedError(.storageFailed, "\(path): more than \(limit) bytes") }
        }
    }

    /// Creates the folder and those above it with `mode`; one that exists is left as it is.
    package static func createFolder(_ path: String, mode: UInt32 = 0o755) throws(CodedError) {
        var built = path.hasPrefix("/") ? "" : "."
        for level in path.split(separator: "/") {
            built += "/\(level)"
            guard mkdir(built, mode) == 0 || errno == EEXIST else {
                throw .lastSystemError("cannot create the folder \(built)")
            }
        }
    }

    /// Makes a rename or a new name in the folder of `path` durable.
    package static func syncFolder(of path: String) throws(CodedError) {
        let levels = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let folder = levels.isEmpty ? "." : levels.joined(separator: "/")
        let file = open(folder.isEmpty ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw .lastSystemError("cannot open the folder \(folder)") }
        defer { close(file) }
        guard fsync(file) == 0 else { throw .lastSystemError("cannot sync the folder \(folder)") }
    }

    private static func writeAll(_ bytes: [UInt8], to file: Int32, path: String) throws(CodedError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .lastSystemError("cannot write \(path)") }
            rest = rest.dropFirst(count)
        }
    }
}
