package import Domain

/// Which cameras' retained states nobody owns any more: those of cameras that were this node's and that the
/// configuration no longer knows. A function of what the bus says.
///
/// A camera's states are cleared when its worker is gone, never before: a worker that still runs would say them again,
/// and again after every clearing. Its last will comes after its end and is cleared in turn. Called by the
/// config-writer for each message; the clearing does not belong here.
package struct ConfigRetirement: Hashable, Sendable {
    /// More are not remembered; the next start finds the rest.
    package static let camerasMax = 4096

    private let node: NodeID
    private var known: Set<CameraID> = []
    /// Were this node's, by their own retained settings or by an earlier configuration.
    private var ours: Set<CameraID> = []
    private var online: Set<CameraID> = []
    /// What is retained has come, so that who is not online is gone.
    private var isComplete = false

    package init(node: NodeID) { self.node = node }

    /// The cameras of the whole fleet, and those of this node.
    /// - Returns: whose states are to be cleared now.
    package mutating func configured(_ fleet: Set<CameraID>, own: Set<CameraID>) -> [CameraID] {
        known = fleet
        ours.formUnion(own)
        return dueNow
    }

    /// Cameras of `fleet` that were away: what was cleared of them is somebody's to say again.
    package func returning(in fleet: Set<CameraID>) -> [CameraID] {
        ours.intersection(fleet).subtracting(known).sorted()
    }

    package mutating func busConnected() { isComplete = false }

    package mutating func statesKnown() -> [CameraID] {
        isComplete = true
        return dueNow
    }

    private var dueNow: [CameraID] {
        ours.filter(isCleared).sorted()
    }

    /// A retained `cameras/<camera>/config` of some node.
    package mutating func settingsReported(_ camera: CameraID, node: NodeID) -> [CameraID] {
        guard node == self.node, ours.count < Self.camerasMax else { return [] }
        ours.insert(camera)
        return isCleared(camera) ? [camera] : []
    }

    /// A worker, or its last will.
    package mutating func availabilityReported(_ camera: CameraID, isOnline: Bool) -> [CameraID] {
        if isOnline { online.insert(camera) } else { online.remove(camera) }
        return isCleared(camera) ? [camera] : []
    }

    /// Another state of a camera; who speaks for a camera that is gone was late.
    package func stateReported(_ camera: CameraID) -> [CameraID] { isCleared(camera) ? [camera] : [] }

    private func isCleared(_ camera: CameraID) -> Bool {
        isComplete && ours.contains(camera) && !known.contains(camera) && !online.contains(camera)
    }
}
