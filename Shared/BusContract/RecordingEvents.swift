package import Domain

/// What happened to files: the ledger is built from these.

/// `cameras/<camera>/segment`: a file was opened or closed.
package struct SegmentEvent: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/segment"
    package static let delivery = DeliveryClass.event

    package enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        case opened, closed
    }

    package var event: Kind
    package var session: SessionID
    package var index: Int
    package var node: NodeID
    /// Relative to the storage folder; the final name in `closed`, the partial one in `opened`.
    package var file: String
    package var startedAt: WallTime
    /// This and the following are for `closed` only, but for `firstFrame` and `offsetSeconds`.
    package var endedAt: WallTime?
    package var durationSeconds: Double?
    /// Video access units in the file.
    package var frames: UInt64?
    /// Sequence numbers; within a file they have no hole.
    package var firstFrame: UInt64
    package var lastFrame: UInt64?
    package var bytes: UInt64?
    /// Cut minus wish; nil where no wish began the segment.
    package var offsetSeconds: Double?
    package var reason: SegmentEnd?

    package init(
        event: Kind, session: SessionID, index: Int, node: NodeID, file: String, startedAt: WallTime,
        endedAt: WallTime? = nil, durationSeconds: Double? = nil, frames: UInt64? = nil, firstFrame: UInt64,
        lastFrame: UInt64? = nil, bytes: UInt64? = nil, offsetSeconds: Double? = nil, reason: SegmentEnd? = nil
    ) {
        self.event = event
        self.session = session
        self.index = index
        self.node = node
        self.file = file
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.durationSeconds = durationSeconds
        self.frames = frames
        self.firstFrame = firstFrame
        self.lastFrame = lastFrame
        self.bytes = bytes
        self.offsetSeconds = offsetSeconds
        self.reason = reason
    }
}

/// `cameras/<camera>/gap`: a span of a session without frames, known when it ends.
package struct GapEvent: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/gap"
    package static let delivery = DeliveryClass.event

    package var session: SessionID
    package var from: WallTime
    package var to: WallTime
    package var seconds: Double
    package var cause: GapCause
    /// Frames that were received and not kept; nil where nobody can know.
    package var framesLost: UInt64?

    package init(session: SessionID, from: WallTime, to: WallTime, cause: GapCause, framesLost: UInt64? = nil) {
        self.session = session
        self.from = from
        self.to = to
        seconds = (to - from).publishedSeconds
        self.cause = cause
        self.framesLost = framesLost
    }
}

/// `cameras/<camera>/error`: a refused command that named no response topic, or a fault worth telling.
package struct CameraErrorEvent: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/error"
    package static let delivery = DeliveryClass.event

    package var code: ErrorCode
    package var message: String
    package var requestId: String?

    package init(_ error: CodedError, requestID: String? = nil) {
        code = error.code
        message = error.description
        requestId = requestID
    }
}
