package import BusContract
package import Domain

/// What happens to the health-monitor: the whole input of its Core. `sentAt` is the publisher's own word of when it
/// spoke; nil for what was retained, which says nothing about its clock.
package enum HealthEvent: Hashable, Sendable {
    /// Connected and subscribed.
    case busConnected
    case busLost
    case leaderReported(HealthLeader)
    case availabilityReported(CameraID, CameraAvailability)
    case streamReported(CameraID, StreamState)
    case recordingReported(CameraID, RecordingState)
    case viewingReported(CameraID, ViewingState)
    case statsReported(CameraID, StreamStats, sentAt: WallTime)
    case serviceReported(ServiceAddress, ServiceState, sentAt: WallTime?)
    case storageReported(NodeID, StorageState, sentAt: WallTime?)
    case mediaServerReported(NodeID, MediaServerState)
    /// Its retained availability was taken back: it is in no configuration any more.
    case cameraRetired(CameraID)
    case serviceRetired(ServiceAddress)
    /// What this one or an earlier leader has said.
    case verdictReported(CameraID, CameraHealth)
    /// How the worker took a restart.
    case restartAnswered(CameraID, HealthAction.Outcome)
    case woke
}

/// What the Shell is to do, in this order.
package enum HealthEffect: Hashable, Sendable {
    case publishLeader(HealthLeader)
    case publishCamera(CameraID, CameraHealth)
    case publishService(ServiceAddress, ServiceHealth)
    case publishNode(NodeID, NodeHealth)
    /// Takes the verdict back: there is nobody whom it is of.
    case clearCamera(CameraID)
    case clearService(ServiceAddress)
    /// Nothing that was published is this one's to say again after a reconnect.
    case stepDown
    /// Sends `restart/set`; answered by `restartAnswered`.
    case restart(CameraID, RestartCommand)
    /// For the log: a verdict that differs from the one before.
    case tell(CameraID, HealthStatus, [HealthReason])
    /// Replaces every earlier wake; nil: none is needed.
    case wake(MonotonicTime?)
}
