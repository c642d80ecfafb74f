internal import ClusterConfig
internal import Domain
internal import Glibc
internal import RotationServiceCore

extension NodeSettings {
    /// What the Core needs to know of the file.
    init(_ configuration: ClusterConfiguration) {
        let fleet = configuration.storage.retention
        var names = FolderNames()
        var folders = [Folder(folder: names.folder(configuration.storage.path), retention: fleet)]
        for camera in configuration.ownCameras {
            let folder = names.folder(camera.storage.path)
            if !folders.contains(where: { $0.folder == folder }) {
                // Sizes there are each camera's own; one that is no longer configured keeps the fleet's age.
                folders.append(Folder(folder: folder, retention: RetentionLimits(maxAge: fleet.maxAge)))
            }
            // Space is free for all cameras of a disk or for none: the most that one of them asks for.
            for place in folders.indices where folders[place].folder == folder {
                folders[place].retention.minFree = [folders[place].retention.minFree, camera.storage.retention.minFree]
                    .compactMap { $0 }.max()
            }
        }
        self.init(
            node: configuration.node,
            cameras: configuration.ownCameras.map {
                Camera(
                    id: $0.id, folder: names.folder($0.storage.path), rotation: $0.rotation,
                    retention: $0.storage.retention)
            },
            folders: folders, knownCameras: Set(configuration.cameras.map(\.id)),
            knownGroups: Set(configuration.cameras.flatMap(\.groups)),
            knownNodes: Set(configuration.cameras.map(\.node)))
    }
}

/// Names of storage folders. Two that lead to one folder, by a link or a mount, stand for one with one ledger: the
/// first name is used for both.
private struct FolderNames {
    private var firsts: [String: StorageFolder] = [:]

    mutating func folder(_ path: String) -> StorageFolder {
        let place = Self.place(path)
        let folder = firsts[place] ?? StorageFolder(path)
        firsts[place] = folder
        return folder
    }

    /// Device and inode; of what is not there yet, those of the folder that it will be made in, and its name.
    private static func place(_ path: String) -> String {
        var status = stat()
        if stat(path, &status) == 0 { return "\(status.st_dev):\(status.st_ino)" }
        guard let slash = path.lastIndex(of: "/"), path != "/" else { return path }
        let parent = slash == path.startIndex ? "/" : String(path[..<slash])
        return place(parent) + path[slash...]
    }
}
