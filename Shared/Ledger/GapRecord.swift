package import BusContract
package import Domain

/// A span of a session without frames. Keyed by session and beginning; told by the worker's event and by the manifest
/// of the segment that follows. `merged(with:)` is a join, as that of `SegmentRecord`.
package struct GapRecord: Hashable, Sendable {
    package var session: SessionID
    package var camera: CameraID
    package var from: WallTime
    package var to: WallTime
    package var cause: GapCause
    /// Frames that were received and not kept; nil where nobody can know.
    package var framesLost: UInt64?

    package init(
        session: SessionID, camera: CameraID, from: WallTime, to: WallTime, cause: GapCause, framesLost: UInt64?
    ) {
        self.session = session
        self.camera = camera
        self.from = from.inMilliseconds
        self.to = to.inMilliseconds
        self.cause = cause
        self.framesLost = framesLost
    }

    package init(_ event: GapEvent, camera: CameraID) {
        self.init(
            session: event.session, camera: camera, from: event.from, to: event.to, cause: event.cause,
            framesLost: event.framesLost)
    }

    /// Nil if the segment follows its predecessor without a gap.
    package init?(_ manifest: SegmentManifest) {
        guard let gap = manifest.gap else { return nil }
        self.init(
            session: manifest.session, camera: manifest.camera, from: gap.from, to: gap.to, cause: gap.cause,
            framesLost: gap.framesLost)
    }

    package var duration: Duration { to - from }

    /// The longer telling; among equals a fixed order decides, so that no arrival order can matter.
    package func merged(with other: GapRecord) -> GapRecord {
        let isMine = (to, cause.rawValue) >= (other.to, other.cause.rawValue)
        var best = isMine ? self : other
        best.framesLost = [framesLost, other.framesLost].compactMap { $0 }.max()
        return best
    }
}
