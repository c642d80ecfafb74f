package import Domain

/// What each process of a node reads of the configuration. Two configurations in which a process sees the same need no
/// restart of it. What is not known to be unread counts as read: a needless restart is the smaller fault.
extension ClusterConfiguration {
    /// What nothing of a running node can follow: where its processes meet and where they keep their state.
    package var seenByNode: ClusterConfiguration {
        ClusterConfiguration(
            broker: broker, node: node, stateDir: stateDir, storage: StorageSettings(path: ""), file: file)
    }

    /// What the worker of a camera of this node reads; nil: this node has no such worker. Boundaries come to a worker
    /// over the bus, retention is none of its business, and of the media server it needs only what it publishes to.
    package func seenByWorker(of camera: CameraID) -> ClusterConfiguration? {
        guard var own = ownCameras.first(where: { $0.id == camera }) else { return nil }
        own.rotation = RotationSettings()
        own.storage.retention = RetentionLimits()
        own.secrets = []
        var view = seenByNode
        view.cameras = [own]
        view.mediaServer = mediaServer
        view.mediaServer?.api = ""
        view.mediaServer?.configFile = nil
        view.mediaServer?.hookListen = .hookDefault
        view.mediaServer?.hookURL = ""
        return view
    }

    /// What the health-monitor reads: what it may do. Which cameras there are it hears on the bus.
    package var seenByHealthMonitor: ClusterConfiguration {
        var view = seenByNode
        view.health = health
        return view
    }

    /// What the rotation-service reads: folders, limits and boundaries, and which cameras there are.
    package var seenByRotationService: ClusterConfiguration {
        var view = seenByNode
        view.storage = storage
        view.cameras = cameras.map { camera in
            CameraConfiguration(
                id: camera.id, source: .testPattern(SourceAddress.TestPattern()), node: camera.node,
                rotation: camera.rotation, storage: camera.storage)
        }
        return view
    }

    /// What the metrics service reads: its own section, the cameras there are, and the folders that it serves files
    /// from.
    package var seenByMetrics: ClusterConfiguration {
        var view = seenByRotationService
        view.storage.retention = RetentionLimits()
        view.cameras = view.cameras.map { camera in
            var camera = camera
            camera.rotation = RotationSettings()
            camera.storage.retention = RetentionLimits()
            return camera
        }
        view.metrics = metrics
        return view
    }
}
