package import BusContract
package import Domain

/// Which segments each camera's events have opened and not closed. A worker has one open segment, two for the moment
/// of a rotation; an older one that stays open was left by a worker that died, and its file wants finishing.
/// Called by `RotationCore`; the finishing does not belong here.
package struct OpenSegments: Hashable, Sendable {
    /// More than this of one camera are not remembered: a scan looks at all of them anyhow.
    package static let perCameraMax = 16

    private struct Key: Hashable, Sendable {
        var session: SessionID
        var index: Int
    }

    private var open: [CameraID: [Key]] = [:]
    /// Closed before their `opened` came; the events of a session may change places.
    private var closedEarly: [CameraID: [Key]] = [:]

    package init() {}

    /// - Returns: whether an older segment of the camera is still open beside this one.
    package mutating func reported(_ event: SegmentEvent, of camera: CameraID) -> Bool {
        let key = Key(session: event.session, index: event.index)
        switch event.event {
        case .closed:
            if let place = open[camera]?.firstIndex(of: key) {
                open[camera]?.remove(at: place)
            } else {
                closedEarly[camera] = Array(
                    ((closedEarly[camera] ?? []) + [key]).suffix(Self.perCameraMax))
            }
            return false
        case .opened:
            if let place = closedEarly[camera]?.firstIndex(of: key) {
                closedEarly[camera]?.remove(at: place)
                return false
            }
            var keys = open[camera] ?? []
            if !keys.contains(key) { keys.append(key) }
            open[camera] = Array(keys.suffix(Self.perCameraMax))
            return hasOrphan(camera)
        }
    }

    package func hasOrphan(_ camera: CameraID) -> Bool { (open[camera]?.count ?? 0) > 1 }

    /// A scan has looked at the camera's files: what is older than its newest open segment is settled.
    package mutating func settled(_ camera: CameraID) {
        open[camera] = Array((open[camera] ?? []).suffix(1))
        closedEarly[camera] = nil
    }

    package mutating func settledAll() { for camera in Array(open.keys) { settled(camera) } }
}
