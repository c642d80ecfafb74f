package import Domain

/// What the configuration says to one node's rotation-service.
package struct NodeSettings: Hashable, Sendable {
    package struct Camera: Hashable, Sendable {
        package var id: CameraID
        package var folder: StorageFolder
        package var rotation: RotationSettings
        /// The fleet's limits with the camera's own in their place.
        package var retention: RetentionLimits

        package init(
            id: CameraID, folder: StorageFolder, rotation: RotationSettings = RotationSettings(),
            retention: RetentionLimits = RetentionLimits()
        ) {
            self.id = id
            self.folder = folder
            self.rotation = rotation
            self.retention = retention
        }
    }

    package struct Folder: Hashable, Sendable {
        package var folder: StorageFolder
        /// `maxSize` and `minFree` bind all cameras of the folder together; ages and sizes are the cameras' own, and
        /// `maxAge` is for a camera that is no longer configured.
        package var retention: RetentionLimits

        package init(folder: StorageFolder, retention: RetentionLimits = RetentionLimits()) {
            self.folder = folder
            self.retention = retention
        }
    }

    package var node: NodeID
    /// Of this node.
    package var cameras: [Camera]
    /// Every folder that a camera names, and the node's own.
    package var folders: [Folder]
    /// Configured on any node.
    package var knownCameras: Set<CameraID>
    /// That a camera of any node belongs to.
    package var knownGroups: Set<GroupID>
    /// That a camera is configured for, and this one.
    package var knownNodes: Set<NodeID>

    package init(
        node: NodeID, cameras: [Camera], folders: [Folder], knownCameras: Set<CameraID> = [],
        knownGroups: Set<GroupID> = [], knownNodes: Set<NodeID> = []
    ) {
        self.node = node
        self.cameras = cameras
        self.folders = folders
        self.knownCameras = knownCameras.union(cameras.map(\.id))
        self.knownGroups = knownGroups
        self.knownNodes = knownNodes.union([node])
    }
}
