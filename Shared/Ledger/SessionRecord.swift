package import Domain

/// One continuous wish to record, as its segments tell it.
package struct SessionRecord: Hashable, Sendable {
    package var id: SessionID
    package var camera: CameraID
    package var node: NodeID
    /// The manifest's word where a file was read; until then the earliest segment's beginning.
    package var startedAt: WallTime
    /// Nil while the session goes on, and where only files are known: they do not say that nobody wants more.
    package var endedAt: WallTime?
    package var endReason: SegmentEnd?

    package init(
        id: SessionID, camera: CameraID, node: NodeID, startedAt: WallTime, endedAt: WallTime? = nil,
        endReason: SegmentEnd? = nil
    ) {
        self.id = id
        self.camera = camera
        self.node = node
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.endReason = endReason
    }
}
