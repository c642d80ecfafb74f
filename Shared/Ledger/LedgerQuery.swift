package import Domain

/// Which segments or gaps are asked for; what is nil does not restrict.
package struct LedgerQuery: Hashable, Sendable {
    package var camera: CameraID?
    package var session: SessionID?
    /// Only what reaches beyond this moment.
    package var from: WallTime?
    /// Only what begins before this moment.
    package var to: WallTime?
    /// Segments only.
    package var states: Set<SegmentRecord.State>?
    /// The most rows that are returned, the earliest first.
    package var limit: Int?

    package init(
        camera: CameraID? = nil, session: SessionID? = nil, from: WallTime? = nil, to: WallTime? = nil,
        states: Set<SegmentRecord.State>? = nil, limit: Int? = nil
    ) {
        self.camera = camera
        self.session = session
        self.from = from
        self.to = to
        self.states = states
        self.limit = limit
    }
}
