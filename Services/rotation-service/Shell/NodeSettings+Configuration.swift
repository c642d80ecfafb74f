internal import ClusterConfig
internal import RotationServiceCore

extension NodeSettings {
    /// What the Core needs to know of the file.
    init(_ configuration: ClusterConfiguration) {
        let main = StorageFolder(configuration.storage.path)
        var folders = [Folder(folder: main, retention: configuration.storage.retention)]
        for camera in configuration.ownCameras {
            let folder = StorageFolder(camera.storage.path)
            guard !folders.contains(where: { $0.folder == folder }) else { continue }
            folders.append(Folder(folder: folder, retention: camera.storage.retention))
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
