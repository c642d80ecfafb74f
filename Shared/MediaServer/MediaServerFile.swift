package import Domain
internal import Glibc
// `timespec` is seen there by some builds; without it they refuse its fields.
internal import SwiftOverlayShims

/// The media server's own file on disk: where our paths go while its API refuses.
///
/// The server reads the file again by itself within milliseconds, with teeth: a bad or half-written file ends it, and
/// what is written within a second of a reload is not looked at until the next write. So a new text is proved first,
/// written aside, synced and renamed; nothing is written sooner than `pause` after anybody's last change; and the
/// original is kept once beside it. Blocking: call it from a thread of its own.
package struct MediaServerFile: Sendable {
    /// A second, and some for the clock's and the server's own grain.
    package static let pause: Duration = .milliseconds(1300)
    package static let bytesMax = 1 << 20
    package static let backupSuffix = ".framekeeper-backup"
    /// Originals that are kept; beyond it the newest replaces the last of them.
    static let backupsMax = 9
    /// How often somebody else's write may come between reading and writing.
    private static let roundsMax = 5

    package struct Report: Hashable, Sendable {
        package var isWritten: Bool
        package var replaced: [String] = []
        package var kept: [String] = []
        package var unknownKeys: [String] = []
        /// The original's copy, if one was made now.
        package var backup: String?
        /// A camera's password stands in what was written, and more than the file's owner may read it.
        package var showsLogin = false
    }

    let path: String
    let node: NodeID

    package init(path: String, node: NodeID) {
        self.path = path
        self.node = node
    }

    /// Makes the file hold these paths of ours and no others. Writes nothing if it does already.
    /// - Parameters:
    ///   - keeping: paths in use, which stay as they stand.
    ///   - refused: paths that the server does not take, which are not put in.
    ///   - rereads: writes in any case, so that the server reads the file again.
    /// - Throws: `conflict` if the file cannot be edited safely, `unauthorized`, `storage_full`, `storage_failed`.
    package func update(
        _ paths: [PathSettings], keeping: Set<String> = [], refused: Set<String> = [], rereads: Bool = false
    ) throws(CodedError) -> Report {
        for _ in 0..<Self.roundsMax {
            let target = try resolved()
            let before = try Snapshot(target)
            let text = try ServerText(before.bytes, name: path, node: node)
            let edit = try text.edited(paths, keeping: keeping, refused: refused)
            var report = Report(
                isWritten: false, replaced: edit.replaced, kept: edit.kept, unknownKeys: edit.unknownKeys)
            guard edit.bytes != before.bytes || rereads else { return report }
            waitSince(before.changedAt)
            guard try Snapshot.identity(target) == before.identity else { continue }
            report.backup = try backUp(text.foreignBytes, before, beside: target)
            try FileReplacement(target, like: before).write(edit.bytes)
            guard try Snapshot(target).bytes == edit.bytes else {
                throw CodedError(.conflict, "\(path) was written by somebody else at the same time")
            }
            report.isWritten = true
            report.showsLogin =
                before.status.st_mode & (S_IRGRP | S_IROTH) != 0
                && paths.contains { !refused.contains($0.name) && $0.hasLogin }
            return report
        }
        throw CodedError(.conflict, "\(path) is being written by somebody else all the time")
    }

    /// The file itself: a symbolic link stays one.
    private func resolved() throws(CodedError) -> String {
        guard let found = realpath(path, nil) else { throw .serverFile(errno, path) }
        defer { free(found) }
        return String(cString: found)
    }

    /// By the time of the inode, which no copying tool can set.
    private func waitSince(_ changedAt: timespec) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let age = Self.sinceEpoch(now) - Self.sinceEpoch(changedAt)
        // A change in the future is one of a clock that was set back.
        let rest = min(Self.pause - age, Self.pause).nanoseconds
        guard rest > 0 else { return }
        let pause = timespec(tv_sec: Int(rest / 1_000_000_000), tv_nsec: Int(rest % 1_000_000_000))
        var (asked, left) = (pause, timespec())
        while nanosleep(&asked, &left) != 0, errno == EINTR { asked = left }
    }

    private static func sinceEpoch(_ time: timespec) -> Duration {
        .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }

    /// Once per text that is not ours: our own edits of it are no new originals.
    private func backUp(
        _ original: [UInt8], _ before: Snapshot, beside target: String
    ) throws(CodedError) -> String? {
        for number in 1...Self.backupsMax {
            let backup = target + Self.backupSuffix + (number == 1 ? "" : "-\(number)")
            let isLast = number == Self.backupsMax
            guard access(backup, F_OK) == 0 else {
                try FileReplacement(backup, like: before).write(before.bytes)
                return backup
            }
            if try ServerText(try Snapshot(backup).bytes, name: backup, node: node).foreignBytes == original {
                return nil
            }
            if isLast {
                try FileReplacement(backup, like: before).write(before.bytes)
                return backup
            }
        }
        return nil
    }
}

/// A file as it was read, and enough to tell whether it still is that file.
private struct Snapshot {
    struct Identity: Hashable {
        var inode: UInt
        var size: Int
        var seconds: Int
        var nanoseconds: Int
    }

    let bytes: [UInt8]
    let status: stat

    var identity: Identity { Self.identity(status) }
    var changedAt: timespec { status.st_ctim }

    init(_ path: String) throws(CodedError) {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard file >= 0 else { throw .serverFile(errno, path) }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0 else { throw .serverFile(errno, path) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw CodedError(.storageFailed, "\(path) is not a file") }
        guard status.st_size <= MediaServerFile.bytesMax else {
            throw CodedError(.storageFailed, "\(path): more than \(MediaServerFile.bytesMax) bytes")
        }
        var bytes = [UInt8](repeating: 0, count: MediaServerFile.bytesMax + 1)
        var count = 0
        while count < bytes.count {
            let more = bytes[count...].withUnsafeMutableBytes { read(file, $0.baseAddress, $0.count) }
            if more < 0, errno == EINTR { continue }
            guard more >= 0 else { throw .serverFile(errno, path) }
            guard more > 0 else { break }
            count += more
        }
        self.bytes = Array(bytes[..<count])
        self.status = status
    }

    static func identity(_ path: String) throws(CodedError) -> Identity {
        var status = stat()
        guard stat(path, &status) == 0 else { throw .serverFile(errno, path) }
        return identity(status)
    }

    private static func identity(_ status: stat) -> Identity {
        Identity(
            inode: UInt(status.st_ino), size: Int(status.st_size), seconds: status.st_ctim.tv_sec,
            nanoseconds: status.st_ctim.tv_nsec)
    }
}

/// Writes a file whole: aside with the owner and mode of the one that it is like, synced, renamed, the folder synced.
private struct FileReplacement {
    let path: String
    let model: Snapshot

    init(_ path: String, like model: Snapshot) {
        self.path = path
        self.model = model
    }

    func write(_ bytes: [UInt8]) throws(CodedError) {
        let aside = "\(path).\(getpid()).new"
        unlink(aside)
        let file = open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .serverFile(errno, aside) }
        do throws(CodedError) {
            try fill(file, bytes, aside)
        } catch {
            close(file)
            unlink(aside)
            throw error
        }
        close(file)
        guard rename(aside, path) == 0 else {
            let error = CodedError.serverFile(errno, path)
            unlink(aside)
            throw error
        }
        let folder = open(String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) + "/", O_RDONLY | O_DIRECTORY)
        guard folder >= 0 else { throw .serverFile(errno, path) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .serverFile(errno, path) }
    }

    private func fill(_ file: Int32, _ bytes: [UInt8], _ aside: String) throws(CodedError) {
        let owner = (model.status.st_uid, model.status.st_gid)
        guard fchown(file, owner.0, owner.1) == 0 else {
            throw CodedError(.unauthorized, "\(path) belongs to another user, who would lose it")
        }
        guard fchmod(file, model.status.st_mode & 0o7777) == 0 else { throw .serverFile(errno, aside) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw .serverFile(errno, aside) }
            rest = rest.dropFirst(count)
        }
        guard fsync(file) == 0 else { throw .serverFile(errno, aside) }
    }
}

extension CodedError {
    fileprivate static func serverFile(_ number: Int32, _ path: String) -> CodedError {
        switch number {
        case ENOENT: CodedError(.storageFailed, "\(path): no such file; is mediamtx.config_file right?")
        case EACCES, EPERM, EROFS: CodedError(.unauthorized, "\(path): may not be read or written by this user")
        case ENOSPC, EDQUOT: CodedError(.storageFull, "\(path): no space left")
        case EBUSY: CodedError(.storageFailed, "\(path) cannot be replaced; a container must mount its folder")
        default: CodedError(.storageFailed, "\(path): errno \(number)")
        }
    }
}
