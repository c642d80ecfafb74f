package import Domain

/// Joins segments into one regular MP4.
package enum SegmentJoiner {
    /// One segment file and the place of its first frame on the session's timeline.
    package struct Piece: Sendable, Hashable {
        package var path: String
        package var sessionOffset: Duration
        package init(path: String, sessionOffset: Duration) {
            self.path = path
            self.sessionOffset = sessionOffset
        }
    }

    /// `range` is on the session's timeline; nil: everything. `progress` gets 0 to 1.
    package static func join(
        _ pieces: [Piece], range: Range<Duration>? = nil, output: String, progress: (Double) -> Void = { _ in }
    ) throws(CodedError) -> JoinReport {
        throw CodedError(.internal, "not built yet")
    }
}
