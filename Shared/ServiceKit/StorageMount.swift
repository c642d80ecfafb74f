package import Domain
internal import FoundationEssentials
internal import Glibc
package import Logging

/// The mount that a camera's storage folder lies on, remembered over restarts. While that mount is away, files would
/// fill the disk beneath it, and be hidden when it is back.
///
/// Known as a mount is what lies on another device than its parent. Remembered in the node's state folder by the
/// camera's worker, asked by whoever uses the folder. Calls block for as long as the disk does.
package struct StorageMount: Sendable {
    private struct Note: Codable, Equatable {
        var storage: String
        var mount: String
    }

    private let storage: String
    private let path: String
    private let logger: Logger

    /// - Parameter stateDir: its folder `leases` must exist before `remember` is called.
    package init(storage: String, camera: CameraID, stateDir: String, logger: Logger) {
        self.storage = storage
        path = "\(stateDir)/leases/\(camera).mount"
        self.logger = logger
    }

    /// Throws `storage_failed` while the folder's mount is away. A camera whose storage was changed since, or was on no
    /// mount, passes.
    package func check() throws(CodedError) {
        guard let note, note.storage == storage, !Self.isMount(note.mount) else { return }
        throw CodedError(
            .storageFailed,
            "nothing is mounted at \(note.mount) any more; if recordings belong on the disk beneath, delete \(path)")
    }

    /// Notes where the folder, which exists, lies now. A state folder that fails is told and costs no recording.
    package func remember() {
        let mount = Self.mount(of: storage)
        guard note != mount.map({ Note(storage: storage, mount: $0) }) else { return }
        do {
            guard let mount else {
                guard unlink(path) == 0 || errno == ENOENT else {
                    throw CodedError.lastSystemError("cannot remove \(path)")
                }
                return
            }
            try AtomicFile.write(Array(JSONEncoder().encode(Note(storage: storage, mount: mount))), to: path)
        } catch {
            logger.warning("mount not remembered", metadata: ["storage": "\(storage)", "error": "\(error)"])
        }
    }

    private var note: Note? {
        do {
            guard let bytes = try AtomicFile.read(path, atMost: 64 * 1024) else { return nil }
            return try JSONDecoder().decode(Note.self, from: Data(bytes))
        } catch {
            logger.warning("mount not known", metadata: ["file": "\(path)", "error": "\(error)"])
            return nil
        }
    }

    /// The nearest mount at or above `folder`; nil if that is the root of all, which never goes.
    private static func mount(of folder: String) -> String? {
        guard let resolved = realpath(folder, nil) else { return nil }
        defer { free(resolved) }
        var path = String(cString: resolved)
        while path != "/", !path.isEmpty {
            if isMount(path) { return path }
            path = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        }
        return nil
    }

    private static func isMount(_ path: String) -> Bool {
        var own = stat()
        var parent = stat()
        guard stat(path, &own) == 0, stat(path + "/..", &parent) == 0 else { return false }
        return own.st_dev != parent.st_dev
    }
}
