internal import CAVShim
package import Domain
internal import Glibc

/// Finishes partial files that nobody writes any more, after a crash or a power cut.
///
/// The writer's lock decides: who can take it knows that the writer is gone. What to put into the ledger is the
/// rotation-service's business.
package enum SegmentRecovery {
    /// Cuts off what follows the last whole part, syncs, and gives the file its final name, which is never taken from
    /// another file. A partial without any whole part is removed. Nil when somebody writes the file or it is gone.
    ///
    /// Errors: `conflict` when the final name is taken; `storageFailed`, `storageFull`. The partial then stays.
    package static func finish(_ partialPath: String) throws(CodedError) -> RecoveredSegment? {
        guard partialPath.hasSuffix(SegmentPath.partialSuffix) else {
            throw CodedError(.invalidArgument, "not a partial segment: \(partialPath)")
        }
        let descriptor = open(partialPath, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw LibavError.storage(errno, "cannot open \(partialPath)")
        }
        defer { close(descriptor) }
        guard try lock(descriptor, partialPath) else { return nil }
        let inspection = try SegmentFileReader.inspect(descriptor, partialPath)
        let cut = inspection.fileBytes - inspection.completeBytes
        guard inspection.parts > 0 else {
            guard unlink(partialPath) == 0 else { throw LibavError.storage(errno, "cannot remove \(partialPath)") }
            return RecoveredSegment(finalPath: nil, inspection: nil, bytesCut: cut)
        }
        if cut > 0, ftruncate(descriptor, off_t(inspection.completeBytes)) != 0 {
            throw LibavError.storage(errno, "cannot cut \(partialPath)")
        }
        guard fsync(descriptor) == 0 else { throw LibavError.storage(errno, "cannot sync \(partialPath)") }
        let finalPath = partialPath.dropLast(SegmentPath.partialSuffix.count) + SegmentPath.suffix
        try SafeRename.rename(partialPath, to: String(finalPath))
        try SafeRename.syncFolder(folder(of: partialPath))
        var finished = inspection
        finished.fileBytes = inspection.completeBytes
        return RecoveredSegment(finalPath: String(finalPath), inspection: finished, bytesCut: cut)
    }

    /// False when somebody holds the lock, or the name has meanwhile gone to a finished file.
    private static func lock(_ descriptor: Int32, _ path: String) throws(CodedError) -> Bool {
        guard cav_flock_exclusive(descriptor) == 0 else {
            if errno == EWOULDBLOCK { return false }
            throw LibavError.storage(errno, "cannot lock \(path)")
        }
        var opened = stat()
        var named = stat()
        guard fstat(descriptor, &opened) == 0 else { throw LibavError.storage(errno, "cannot read \(path)") }
        guard stat(path, &named) == 0 else { return false }
        return opened.st_ino == named.st_ino && opened.st_dev == named.st_dev
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}
