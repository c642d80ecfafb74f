internal import Glibc

/// An open file that is sent in pieces. Closed once, by whoever sends it or lets it go.
final class ServedFile: Sendable {
    private let descriptor: Int32
    /// When it was opened; a file that is being written grows further.
    let size: Int64
    /// Nanoseconds since 1970.
    let modified: Int64

    /// Nil if it is not there, or is no regular file; a link is not followed.
    init?(path: String) {
        descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        var facts = stat()
        guard fstat(descriptor, &facts) == 0, facts.st_mode & S_IFMT == S_IFREG else {
            Glibc.close(descriptor)
            return nil
        }
        size = Int64(facts.st_size)
        // Anybody may set it to any year; two that wrap to one number are told apart by nobody.
        modified = Int64(facts.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(facts.st_mtim.tv_nsec)
    }

    /// At most `count` bytes; none at the end, or where the disk fails.
    func read(at place: Int64, atMost count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            filled = max(pread(descriptor, buffer.baseAddress, count, off_t(place)), 0)
        }
    }

    func close() { Glibc.close(descriptor) }
}
