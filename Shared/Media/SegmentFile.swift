internal import CAVShim
internal import Domain
internal import Glibc

/// The open file of one segment: created exclusively, locked while it is written, renamed when it is complete.
///
/// Owns the descriptor and with it the lock, by which others know that somebody writes. `SegmentWriter` calls it.
/// What the bytes mean does not belong here.
final class SegmentFile {
    private let storage: String
    private let durability: Durability
    private var descriptor: Int32
    private(set) var path: SegmentPath
    private(set) var size: Int64 = 0

    init(storage: String, path: SegmentPath, durability: Durability) throws(CodedError) {
        try Self.makeFolders(of: path, in: storage, durability)
        let created = try Self.create(path, in: storage)
        self.storage = storage
        self.path = path
        self.durability = durability
        descriptor = created
        try Self.syncFolder("\(storage)/\(path.folder)", durability)
    }

    private static func create(_ path: SegmentPath, in storage: String) throws(CodedError) -> Int32 {
        // A finished segment of the same name is as much in the way as a partial one.
        guard access("\(storage)/\(path.completed)", F_OK) != 0 else {
            throw LibavError.storage(EEXIST, "\(path.completed) is there already")
        }
        let descriptor = Glibc.open("\(storage)/\(path)", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw LibavError.storage(errno, "cannot create \(path)") }
        guard cav_flock_exclusive(descriptor) == 0 else {
            let number = errno
            Glibc.close(descriptor)
            throw LibavError.storage(number, "cannot lock \(path)")
        }
        return descriptor
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// One write and one sync. After an error the file is cut back to its last whole part, as far as the disk lets us.
    func append(_ bytes: UnsafeRawBufferPointer) throws(CodedError) {
        var written = 0
        while written < bytes.count {
            let count = Glibc.write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
            if count > 0 {
                written += count
            } else if count == 0 || errno != EINTR {
                throw cutBack(errno, "cannot write to \(path)")
            }
        }
        if durability == .powerCut, fdatasync(descriptor) != 0 {
            throw cutBack(errno, "cannot sync \(path)")
        }
        size += Int64(bytes.count)
    }

    /// Syncs, and gives the file its final name without ever replacing another.
    func complete() throws(CodedError) {
        guard durability == .processCrash || fsync(descriptor) == 0 else {
            throw LibavError.storage(errno, "cannot sync \(path)")
        }
        try SafeRename.rename("\(storage)/\(path)", to: "\(storage)/\(path.completed)")
        path = path.completed
        try Self.syncFolder("\(storage)/\(path.folder)", durability)
        close()
    }

    func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }

    private func cutBack(_ number: Int32, _ what: String) -> CodedError {
        // The error being reported matters more than this one; a torn tail is what repair exists for.
        _ = ftruncate(descriptor, off_t(size))
        return LibavError.storage(number, what)
    }

    private static func makeFolders(
        of path: SegmentPath, in storage: String, _ durability: Durability
    ) throws(CodedError) {
        var folder = storage
        for level in path.folder.split(separator: "/") {
            let parent = folder
            folder += "/\(level)"
            if mkdir(folder, 0o755) == 0 {
                try syncFolder(parent, durability)
            } else if errno != EEXIST {
                throw LibavError.storage(errno, "cannot create the folder \(path.folder)")
            }
        }
    }

    /// A new name is safe from a power cut only when its folder is synced too.
    private static func syncFolder(_ folder: String, _ durability: Durability) throws(CodedError) {
        guard durability == .powerCut else { return }
        try SafeRename.syncFolder(folder)
    }
}

/// Changes of names that cannot destroy anything.
enum SafeRename {
    /// Never replaces a file: `conflict` if the new name is taken.
    static func rename(_ old: String, to new: String) throws(CodedError) {
        if cav_rename_without_replacing(old, new) == 0 { return }
        guard errno == EINVAL || errno == ENOSYS else { throw LibavError.storage(errno, "cannot rename to \(new)") }
        // File systems without RENAME_NOREPLACE: a link is refused if the name is taken, too.
        guard link(old, new) == 0 else { throw LibavError.storage(errno, "cannot rename to \(new)") }
        guard unlink(old) == 0 else { throw LibavError.storage(errno, "cannot remove \(old)") }
    }

    static func syncFolder(_ folder: String) throws(CodedError) {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw LibavError.storage(errno, "cannot open the folder \(folder)") }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw LibavError.storage(errno, "cannot sync the folder \(folder)") }
    }
}
