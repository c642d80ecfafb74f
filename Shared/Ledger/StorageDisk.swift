package import Domain
internal import Glibc
// `timespec` is seen there by some builds; without it they refuse its fields.
internal import SwiftOverlayShims

/// The files below one storage folder, as the repair and the retention see them.
///
/// Invariants: only regular files in real folders are touched, never through a symbolic link, and only at paths that
/// `SegmentPath` prints; so nothing outside the storage folder can be reached, whatever somebody put there. The
/// storage folder itself may be a link. Blocks on the disk. What a file means does not belong here.
package struct StorageDisk: Sendable {
    /// Absolute.
    package let storage: String

    package init(storage: String) { self.storage = storage }

    package struct File: Hashable, Sendable {
        package var path: SegmentPath
        package var bytes: Int64
        package var modifiedAt: WallTime
    }

    /// What a folder of one camera and one day holds.
    package struct Listing: Hashable, Sendable {
        /// In no particular order.
        package var files: [File] = []
        /// What is not ours: other names, links, folders, sockets.
        package var foreign = 0
    }

    package func absolute(_ path: SegmentPath) -> String { "\(storage)/\(path.relativePath)" }

    /// Cameras that have a folder, sorted.
    /// - Throws: if the storage folder cannot be read, since then nothing is known about any file.
    package func cameras() throws(CodedError) -> [CameraID] {
        try names(in: storage).compactMap(CameraID.init(rawValue:)).filter { isFolder("\(storage)/\($0)") }.sorted()
    }

    /// The date folders of a camera, sorted; none if the camera has no folder.
    package func dates(of camera: CameraID) throws(CodedError) -> [String] {
        let folder = "\(storage)/\(camera)"
        guard isFolder(folder) else { return [] }
        return try names(in: folder).filter { Self.isDate($0) && isFolder("\(folder)/\($0)") }.sorted()
    }

    package func listing(of camera: CameraID, date: String) throws(CodedError) -> Listing {
        var listing = Listing()
        for name in try names(in: "\(storage)/\(camera)/\(date)") {
            guard let path = SegmentPath(relativePath: "\(camera)/\(date)/\(name)"), let file = regular(path) else {
                listing.foreign += 1
                continue
            }
            listing.files.append(file)
        }
        return listing
    }

    /// Nil unless there is a regular file in real folders.
    package func file(at path: SegmentPath) -> File? {
        guard isFolder("\(storage)/\(path.camera)"), isFolder("\(storage)/\(path.folder)") else { return nil }
        return regular(path)
    }

    /// As `file(at:)`, where the folders have been looked at.
    private func regular(_ path: SegmentPath) -> File? {
        var status = stat()
        guard lstat(absolute(path), &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let modified = Self.milliseconds(status.st_mtim)
        return File(path: path, bytes: Int64(status.st_size), modifiedAt: WallTime(milliseconds: modified))
    }

    /// Deletes a segment's file. One that is gone already counts as deleted.
    package func remove(_ path: SegmentPath) throws(CodedError) {
        guard isFolder("\(storage)/\(path.camera)"), isFolder("\(storage)/\(path.folder)") else { return }
        guard unlink(absolute(path)) == 0 || errno == ENOENT else {
            throw LedgerFault.system("delete \(path)", errno)
        }
    }

    /// Removes the date folder of a deleted segment if nothing is left in it. Folders of the last two days stay: a
    /// worker may be about to open a file there.
    package func removeFolderIfEmpty(of path: SegmentPath, now: WallTime) {
        guard path.startedAt.dateText < (now - .seconds(86_400)).dateText else { return }
        // Not empty is the usual answer, and no reason to complain; any other fault will show when files are read.
        _ = rmdir("\(storage)/\(path.folder)")
    }

    /// Size and free space for this user of the file system that holds the storage folder (statvfs(3)); clamped, since
    /// some that come over a network claim to have no end.
    package func space() throws(CodedError) -> (totalBytes: Int64, freeBytes: Int64) {
        var space = statvfs()
        guard statvfs(storage, &space) == 0 else { throw LedgerFault.system("measure \(storage)", errno) }
        let unit = Int64(clamping: space.f_frsize)
        return (
            Int64(clamping: space.f_blocks).multipliedClamped(by: unit),
            Int64(clamping: space.f_bavail).multipliedClamped(by: unit)
        )
    }

    private static func milliseconds(_ time: timespec) -> Int64 {
        Int64(time.tv_sec).multipliedClamped(by: 1000).addingClamped(Int64(time.tv_nsec) / 1_000_000)
    }

    // MARK: Folders

    private func isFolder(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    private func names(in folder: String) throws(CodedError) -> [String] {
        guard let stream = opendir(folder) else { throw LedgerFault.system("read the folder \(folder)", errno) }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func isDate(_ name: String) -> Bool {
        WallTime(rfc3339: "\(name)T00:00:00Z")?.dateText == name
    }
}
