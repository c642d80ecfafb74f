internal import ClusterConfig
internal import Domain
internal import RotationServiceCore

extension NodeSettings {
    /// What the Core needs to know of the file.
    init(_ configuration: ClusterConfiguration) {
        let fleet = configuration.storage.retention
        var folders = [Folder(folder: StorageFolder(configuration.storage.path), retention: fleet)]
        for camera in configuration.ownCameras {
            let folder = StorageFolder(camera.storage.path)
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
                    id: $0.id, folder: StorageFolder($0.storage.path), rotation: $0.rotation,
                    retention: $0.storage.retention)
            },
            folders: folders, knownCameras: Set(configuration.cameras.map(\.id)),
            knownGroups: Set(configuration.cameras.flatMap(\.groups)),
            knownNodes: Set(configuration.cameras.map(\.node)))
    }
}
