package import Domain

/// What a worker says of its camera. Field names print in snake_case: `startedInSeconds` is `started_in_seconds`.

/// `cameras/<camera>/availability`: the worker's presence in one word; `offline` comes from the last will too.
package enum CameraAvailability: String, BusMessage {
    case online, offline
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/availability"
    package static let delivery = DeliveryClass.state
    package static let format = PayloadFormat.word
}

/// `cameras/<camera>/stream`: the live pipeline.
package struct StreamState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/stream"
    package static let delivery = DeliveryClass.state

    package enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        case idle, starting, active, closing, failed
    }

    package struct LeaseCounts: Hashable, Sendable, Codable {
        package var recording: Int
        package var viewing: Int
        package var snapshot: Int
        package init(recording: Int = 0, viewing: Int = 0, snapshot: Int = 0) {
            self.recording = recording
            self.viewing = viewing
            self.snapshot = snapshot
        }

        private enum CodingKeys: String, CodingKey { case recording, viewing, snapshot }

        package init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            recording = try fields.decode(.recording, in: StateLimits.countRange)
            viewing = try fields.decode(.viewing, in: StateLimits.countRange)
            snapshot = try fields.decode(.snapshot, in: StateLimits.countRange)
        }
    }

    /// What a camera at this machine delivers, and what becomes of it.
    package struct Input: Hashable, Sendable, Codable {
        /// The node that is open: `/dev/video0`.
        package var device: String
        /// The device's own code for its format: `YUYV`, `MJPG`, `H264`.
        package var format: String
        package var width: Int
        package var height: Int
        package var fps: Double?
        /// What was asked for, if this is not it.
        package var wanted: String?
        /// libavcodec's name; nil if the pictures are recorded as they come.
        package var encoder: String?

        package init(
            device: String, format: String, width: Int, height: Int, fps: Double?, wanted: String? = nil,
            encoder: String? = nil
        ) {
            self.device = device
            self.format = format
            self.width = width
            self.height = height
            self.fps = fps
            self.wanted = wanted
            self.encoder = encoder
        }
    }

    package var state: Phase
    package var leases: LeaseCounts
    /// The source's address without credentials and secrets.
    package var source: String
    /// `h264`, `hevc`, as libavcodec names it; nil until the source is open, as are the next three.
    package var codec: String?
    package var width: Int?
    package var height: Int?
    package var fps: Double?
    /// Nil for any other source.
    package var input: Input?
    /// From the wish to the first key frame of this run.
    package var startedInSeconds: Double?
    package var closesAt: WallTime?
    package var retryAt: WallTime?
    /// Restarts of the source since the worker started.
    package var restarts: Int
    package var error: PublishedError?

    package init(
        state: Phase, leases: LeaseCounts, source: String, codec: String? = nil, width: Int? = nil,
        height: Int? = nil, fps: Double? = nil, input: Input? = nil, startedInSeconds: Double? = nil,
        closesAt: WallTime? = nil, retryAt: WallTime? = nil, restarts: Int = 0, error: PublishedError? = nil
    ) {
        self.state = state
        self.leases = leases
        self.source = source
        self.codec = codec
        self.width = width
        self.height = height
        self.fps = fps
        self.input = input
        self.startedInSeconds = startedInSeconds
        self.closesAt = closesAt
        self.retryAt = retryAt
        self.restarts = restarts
        self.error = error
    }

    private enum CodingKeys: String, CodingKey {
        case state, leases, source, codec, width, height, fps, input, startedInSeconds, closesAt, retryAt, restarts
        case error
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        state = try fields.decode(Phase.self, forKey: .state)
        leases = try fields.decode(LeaseCounts.self, forKey: .leases)
        source = try fields.decode(String.self, forKey: .source)
        codec = try fields.decodeIfPresent(String.self, forKey: .codec)
        width = try fields.decodeIfPresent(Int.self, forKey: .width)
        height = try fields.decodeIfPresent(Int.self, forKey: .height)
        fps = try fields.decodeIfPresent(Double.self, forKey: .fps)
        input = try fields.decodeIfPresent(Input.self, forKey: .input)
        startedInSeconds = try fields.decodeIfPresent(Double.self, forKey: .startedInSeconds)
        closesAt = try fields.decodeIfPresent(WallTime.self, forKey: .closesAt)
        retryAt = try fields.decodeIfPresent(WallTime.self, forKey: .retryAt)
        restarts = try fields.decode(.restarts, in: StateLimits.countRange)
        error = try fields.decodeIfPresent(PublishedError.self, forKey: .error)
    }
}

/// An error as states, events and replies carry it.
package struct PublishedError: Hashable, Sendable, Codable {
    package var code: ErrorCode
    package var message: String
    package init(_ error: CodedError) {
        code = error.code
        message = error.description
    }
}

/// `cameras/<camera>/recording`: the session.
package struct RecordingState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/recording"
    package static let delivery = DeliveryClass.state

    package enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        case off, starting, recording, stopping, failed
    }

    package struct Lease: Hashable, Sendable, Codable {
        package var holder: Holder
        package var since: WallTime
        /// Nil: until somebody stops it.
        package var until: WallTime?
        package init(holder: Holder, since: WallTime, until: WallTime?) {
            self.holder = holder
            self.since = since
            self.until = until
        }
    }

    package struct OpenSegment: Hashable, Sendable, Codable {
        package var index: Int
        /// Relative to the storage folder.
        package var file: String
        package var startedAt: WallTime
        package init(index: Int, file: String, startedAt: WallTime) {
            self.index = index
            self.file = file
            self.startedAt = startedAt
        }
    }

    package var state: Phase
    package var session: SessionID?
    package var since: WallTime?
    package var leases: [Lease]
    package var segment: OpenSegment?
    /// How much of the session lies before the request.
    package var prerollSeconds: Double?
    package var error: PublishedError?

    package init(
        state: Phase, session: SessionID? = nil, since: WallTime? = nil, leases: [Lease] = [],
        segment: OpenSegment? = nil, prerollSeconds: Double? = nil, error: PublishedError? = nil
    ) {
        self.state = state
        self.session = session
        self.since = since
        self.leases = leases
        self.segment = segment
        self.prerollSeconds = prerollSeconds
        self.error = error
    }
}

/// `cameras/<camera>/stats`: how the pipeline fares, every 2 s while the stream is active.
package struct StreamStats: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/stats"
    package static let delivery = DeliveryClass.telemetry

    package var fps: Double = 0
    package var bitrateBps: Double = 0
    /// Since the worker started, as are the next two.
    package var framesTotal: UInt64 = 0
    package var bytesTotal: UInt64 = 0
    package var droppedTotal: UInt64 = 0
    /// Between the last two key frames.
    package var gopSeconds: Double = 0
    /// Over the last period.
    package var maxInterarrivalSeconds: Double = 0
    package var partWriteSecondsP99: Double = 0
    /// Of segments, that reached the disk since the worker started; nil from a worker of before.
    package var writtenBytesTotal: UInt64?
    /// Frames that the media server's readers did not get, since the worker started; nil from a worker of before, as
    /// are the next two.
    package var publishDroppedTotal: UInt64?
    /// Packets whose timestamps were repaired.
    package var timestampsRepairedTotal: UInt64?
    /// Groups of pictures that the memory for pre-roll had no room for.
    package var prerollDroppedGroupsTotal: UInt64?
    /// Packets that wait for the segment writer.
    package var queueDepth: Int = 0
    package var rssBytes: UInt64 = 0
    /// User and system time of the process.
    package var cpuSeconds: Double = 0

    package init() {}

    enum CodingKeys: String, CodingKey {
        case fps, bitrateBps, framesTotal, bytesTotal, droppedTotal, gopSeconds, maxInterarrivalSeconds
        case partWriteSecondsP99 = "partWriteSecondsP99"
        case writtenBytesTotal, publishDroppedTotal, timestampsRepairedTotal, prerollDroppedGroupsTotal
        case queueDepth, rssBytes, cpuSeconds
    }
}
