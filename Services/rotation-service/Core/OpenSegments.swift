package import BusContract
package import Domain

/// Which segments each camera's events have opened and not closed, and whether any were passed over. A worker has one
/// open segment, two for the moment of a rotation; an older one that stays open was left by a worker that died, and its
/// file wants finishing. Where the numbers jump, a worker died with its last words unsaid, and only the files know what
/// lies between. Called by `RotationCore`; the finishing and the looking do not belong here.
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
    /// The newest that was opened.
    private var newest: [CameraID: Key] = [:]
    private var passedOver: Set<CameraID> = []

    package init() {}

    package mutating func reported(_ event: SegmentEvent, of camera: CameraID) {
        let key = Key(session: event.session, index: event.index)
        switch event.event {
        case .closed:
            if let place = open[camera]?.firstIndex(of: key) {
                open[camera]?.remove(at: place)
            } else {
                closedEarly[camera] = Array(
                    ((closedEarly[camera] ?? []) + [key]).suffix(Self.perCameraMax))
            }
        case .opened:
            follow(key, of: camera)
            if let place = closedEarly[camera]?.firstIndex(of: key) {
                closedEarly[camera]?.remove(at: place)
                return
            }
            var keys = open[camera] ?? []
            if !keys.contains(key) { keys.append(key) }
            open[camera] = Array(keys.suffix(Self.perCameraMax))
        }
    }

    private mutating func follow(_ key: Key, of camera: CameraID) {
        guard let last = newest[camera] else {
            newest[camera] = key
            return
        }
        let before = last.session == key.session ? last.index : -1
        if key.index - 1 > before { passedOver.insert(camera) }
        if key.index > before { newest[camera] = key }
    }

    /// Whether an older segment of the camera is still open beside the newest one.
    package func hasOrphan(_ camera: CameraID) -> Bool { (open[camera]?.count ?? 0) > 1 }
    /// Whether there are segments of which no event told.
    package func hasPassedOver(_ camera: CameraID) -> Bool { passedOver.contains(camera) }

    /// A scan has looked at the camera's files: what is older than its newest open segment is settled.
    package mutating func settled(_ camera: CameraID) {
        open[camera] = Array((open[camera] ?? []).suffix(1))
        closedEarly[camera] = nil
        passedOver.remove(camera)
    }
}
