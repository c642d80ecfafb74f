internal import Domain
internal import Glibc

/// The outbox's file: records one behind the other, each `length, checksum, body`, little-endian. Appending is one
/// write; a torn or damaged record ends the readable part and is cut off, since nothing behind it was ever reported
/// durable. Used by `EventOutbox` under its lock.
final class OutboxFile {
    private let path: String
    private var descriptor: Int32
    /// Bytes of whole records.
    private(set) var length: Int

    struct Contents {
        var entries: [EventOutbox.Entry] = []
        var lastID: UInt64 = 0
        var discardedBytes = 0
    }

    private init(path: String, descriptor: Int32, length: Int) {
        self.path = path
        self.descriptor = descriptor
        self.length = length
    }

    deinit { close(descriptor) }

    static func open(path: String) throws(CodedError) -> (file: OutboxFile, contents: Contents) {
        let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw storageError("open", path) }
        let file = OutboxFile(path: path, descriptor: descriptor, length: 0)
        let bytes = try file.readAll()
        var contents = Contents()
        var entries: [UInt64: EventOutbox.Entry] = [:]
        var reader = OutboxRecord.Reader(bytes)
        while let record = reader.next() {
            contents.lastID = max(contents.lastID, record.id)
            switch record {
            case .append(let entry): entries[entry.id] = entry
            case .remove(let id): entries[id] = nil
            }
        }
        contents.entries = entries.values.sorted { $0.id < $1.id }
        contents.discardedBytes = bytes.count - reader.position
        file.length = reader.position
        if contents.discardedBytes > 0 { try file.truncate(to: reader.position) }
        return (file, contents)
    }

    /// One write, then `fdatasync` if asked for. A failed write is taken back, so that the file stays readable.
    func append(_ records: [OutboxRecord], isSynced: Bool) throws(CodedError) {
        let bytes = records.flatMap(\.bytes)
        do throws(CodedError) {
            try Self.write(bytes, to: descriptor, at: length, path)
            if isSynced, fdatasync(descriptor) != 0 { throw Self.storageError("sync", path) }
        } catch {
            try truncate(to: length)
            throw error
        }
        length += bytes.count
    }

    /// Replaces the whole file: an empty one in place, otherwise by a new file under the old name.
    func replace(with entries: [EventOutbox.Entry]) throws(CodedError) {
        guard !entries.isEmpty else { return try truncate(to: 0) }
        let temporary = path + ".new"
        let fresh = Glibc.open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard fresh >= 0 else { throw Self.storageError("open", temporary) }
        let bytes = entries.flatMap { OutboxRecord.append($0).bytes }
        do throws(CodedError) {
            try Self.write(bytes, to: fresh, at: 0, temporary)
            guard fdatasync(fresh) == 0, rename(temporary, path) == 0 else {
                throw Self.storageError("replace", path)
            }
        } catch {
            close(fresh)
            throw error
        }
        close(descriptor)
        descriptor = fresh
        length = bytes.count
    }

    private func truncate(to length: Int) throws(CodedError) {
        guard ftruncate(descriptor, length) == 0 else { throw Self.storageError("truncate", path) }
        self.length = length
    }

    private func readAll() throws(CodedError) -> [UInt8] {
        let size = Int(lseek(descriptor, 0, SEEK_END))
        guard size >= 0 else { throw Self.storageError("seek", path) }
        var bytes = [UInt8](repeating: 0, count: size)
        var done = 0
        while done < size {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(descriptor, buffer.baseAddress?.advanced(by: done), size - done, done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.storageError("read", path) }
            done += count
        }
        return bytes
    }

    private static func write(
        _ bytes: [UInt8], to descriptor: Int32, at offset: Int, _ path: String
    ) throws(CodedError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { buffer in
                pwrite(descriptor, buffer.baseAddress?.advanced(by: done), bytes.count - done, offset + done)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw storageError("write", path) }
            done += count
        }
    }

    private static func storageError(_ action: String, _ path: String) -> CodedError {
        let number = errno
        let isFull = number == ENOSPC || number == EDQUOT
        return CodedError(
            isFull ? .storageFull : .storageFailed, "cannot \(action) the outbox \(path)",
            cause: String(cString: strerror(number)))
    }
}
