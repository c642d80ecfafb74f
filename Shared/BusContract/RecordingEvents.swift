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

    private enum CodingKeys: String, CodingKey {
        case event, session, index, node, file, startedAt, endedAt, durationSeconds, frames, firstFrame, lastFrame
        case bytes, offsetSeconds, reason
    }

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

    /// Anyone may publish, and the ledger is built from this: what no worker would say is refused here.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        event = try container.decode(Kind.self, forKey: .event)
        session = try container.decode(SessionID.self, forKey: .session)
        index = try container.decode(Int.self, forKey: .index)
        node = try container.decode(NodeID.self, forKey: .node)
        file = try container.decode(String.self, forKey: .file)
        startedAt = try container.decode(WallTime.self, forKey: .startedAt)
        endedAt = try container.decodeIfPresent(WallTime.self, forKey: .endedAt)
        durationSeconds = try container.decodeIfPresent(Double.self, forKey: .durationSeconds)
        frames = try container.decodeIfPresent(UInt64.self, forKey: .frames)
        firstFrame = try container.decode(UInt64.self, forKey: .firstFrame)
        lastFrame = try container.decodeIfPresent(UInt64.self, forKey: .lastFrame)
        bytes = try container.decodeIfPresent(UInt64.self, forKey: .bytes)
        offsetSeconds = try container.decodeIfPresent(Double.self, forKey: .offsetSeconds)
        reason = try container.decodeIfPresent(SegmentEnd.self, forKey: .reason)
        guard let key = contradiction else { return }
        throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "contradicts the rest")
    }

    /// The first field that cannot be so beside the others, or lies beyond what this project can have written.
    private var contradiction: CodingKeys? {
        guard (0...RecordingLimits.indexMax).contains(index) else { return .index }
        guard path != nil else { return .file }
        guard firstFrame <= RecordingLimits.frameMax else { return .firstFrame }
        guard RecordingLimits.isSpan(offsetSeconds.map(abs)) else { return .offsetSeconds }
        switch event {
        case .opened:
            if endedAt != nil { return .endedAt }
            if durationSeconds != nil { return .durationSeconds }
            if frames != nil { return .frames }
            if lastFrame != nil { return .lastFrame }
            if bytes != nil { return .bytes }
            return reason == nil ? nil : .reason
        case .closed: return contradictionWhenClosed
        }
    }

    private var contradictionWhenClosed: CodingKeys? {
        guard let bytes, bytes <= RecordingLimits.bytesMax else { return .bytes }
        guard RecordingLimits.isSpan(durationSeconds) else { return .durationSeconds }
        guard let endedAt, endedAt >= startedAt, endedAt - startedAt <= .writtenMax else { return .endedAt }
        if let durationSeconds {
            let difference = (endedAt - startedAt).seconds - durationSeconds
            guard abs(difference) <= RecordingLimits.roundingSeconds else { return .durationSeconds }
        }
        guard let frames, frames <= RecordingLimits.frameMax else { return .frames }
        guard let lastFrame else { return frames == 0 ? nil : .lastFrame }
        guard lastFrame <= RecordingLimits.frameMax, lastFrame >= firstFrame, lastFrame - firstFrame + 1 == frames
        else { return .lastFrame }
        return nil
    }

    /// The place that `file` names; nil unless it is that of this very segment: open or complete as the event says,
    /// of this session, index and beginning. Whose camera it is the topic says: see `path(of:)`.
    package var path: SegmentPath? {
        guard let path = SegmentPath(relativePath: file), path.isPartial == (event == .opened),
            path.session8 == session.short, path.index == index,
            path.startedAt.milliseconds == startedAt.milliseconds
        else { return nil }
        return path
    }

    /// As `path`, and nil if the file is another camera's than the one on whose topic the event came.
    package func path(of camera: CameraID) -> SegmentPath? { path.flatMap { $0.camera == camera ? $0 : nil } }
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

    private enum CodingKeys: String, CodingKey {
        case session, from, to, seconds, cause, framesLost
    }

    package init(session: SessionID, from: WallTime, to: WallTime, cause: GapCause, framesLost: UInt64? = nil) {
        self.session = session
        self.from = from
        self.to = to
        seconds = (to - from).publishedSeconds
        self.cause = cause
        self.framesLost = framesLost
    }

    /// As for `SegmentEvent`: what no worker would say is refused.
    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        session = try container.decode(SessionID.self, forKey: .session)
        from = try container.decode(WallTime.self, forKey: .from)
        to = try container.decode(WallTime.self, forKey: .to)
        seconds = try container.decode(Double.self, forKey: .seconds)
        cause = try container.decode(GapCause.self, forKey: .cause)
        framesLost = try container.decodeIfPresent(UInt64.self, forKey: .framesLost)
        guard let key = contradiction else { return }
        throw DecodingError.dataCorruptedError(forKey: key, in: container, debugDescription: "contradicts the rest")
    }

    private var contradiction: CodingKeys? {
        guard to >= from, to - from <= .writtenMax else { return .to }
        guard abs((to - from).seconds - seconds) <= RecordingLimits.roundingSeconds else { return .seconds }
        guard framesLost ?? 0 <= RecordingLimits.frameMax else { return .framesLost }
        return nil
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
