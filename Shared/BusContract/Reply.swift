package import Domain

/// The one reply envelope. Replies go to the MQTT 5 response topic, or to the `response_topic` in the JSON of a
/// 3.1.1 client, which must lie below `replies/`.

/// `{"status":"ok","request_id":…,"result":{…}}` or `{"status":"error","request_id":…,"error":{"code":…,"message":…}}`.
package struct Reply<Result: Codable & Hashable & Sendable>: Codable, Hashable, Sendable {
    package enum Status: String, Hashable, Sendable, Codable { case ok, error }

    package var status: Status
    package var requestId: String?
    package var result: Result?
    package var error: PublishedError?

    package init(ok result: Result, requestID: String?) {
        status = .ok
        requestId = requestID
        self.result = result
    }

    /// - Parameter result: what a refusal has to show besides its words.
    package init(_ refusal: CodedError, requestID: String?, result: Result? = nil) {
        status = .error
        requestId = requestID
        self.result = result
        error = PublishedError(refusal)
    }
}

/// What a reply's result can be; the replier names one, the asker expects one.
package enum CommandResult: Hashable, Sendable {
    case recording(RecordingResult)
    case viewing(ViewingResult)
    case snapshot(SnapshotResult)
    case rotation(RotationResult)
    case restart(RestartResult)
    case controls(ControlsResult)
    case storage(StorageResult)
}

/// The answer to `recording/set`.
package struct RecordingResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    package var state: RecordingState.Phase
    package var session: SessionID?
    package var segment: RecordingState.OpenSegment?
    /// From the command to its first frame on disk.
    package var startedInSeconds: Double?
    package var prerollSeconds: Double?

    package init(
        camera: CameraID, state: RecordingState.Phase, session: SessionID?,
        segment: RecordingState.OpenSegment? = nil, startedInSeconds: Double? = nil, prerollSeconds: Double? = nil
    ) {
        self.camera = camera
        self.state = state
        self.session = session
        self.segment = segment
        self.startedInSeconds = startedInSeconds
        self.prerollSeconds = prerollSeconds
    }
}

/// The answer to `viewing/set`.
package struct ViewingResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    package var state: ViewingState.Phase
    package var urls: [String]
    /// From the command to the media server's having the stream.
    package var startedInSeconds: Double?

    package init(
        camera: CameraID, state: ViewingState.Phase, urls: [String] = [], startedInSeconds: Double? = nil
    ) {
        self.camera = camera
        self.state = state
        self.urls = urls
        self.startedInSeconds = startedInSeconds
    }
}

/// The answer to `snapshot/set`.
package struct SnapshotResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    /// Relative to the storage folder.
    package var file: String
    package var capturedAt: WallTime
    package var width: Int
    package var height: Int
    package var bytes: Int
    /// Of the copy on the bus, where that is coarser than the file.
    package var imageBytes: Int?
    package var tookSeconds: Double

    package init(camera: CameraID, _ snapshot: SnapshotState) {
        self.camera = camera
        file = snapshot.file
        capturedAt = snapshot.capturedAt
        width = snapshot.width
        height = snapshot.height
        bytes = snapshot.bytes
        imageBytes = snapshot.imageBytes
        tookSeconds = snapshot.tookSeconds
    }
}

/// The answer to `config/set`.
package struct ConfigResult: Hashable, Sendable, Codable {
    package var node: NodeID
    /// In force.
    package var revision: Int
    /// Of the text that was asked about.
    package var valid: Bool
    package var errors: [String]
    package var pending: ConfigState.Pending?

    package init(
        node: NodeID, revision: Int, valid: Bool, errors: [String] = [], pending: ConfigState.Pending? = nil
    ) {
        self.node = node
        self.revision = revision
        self.valid = valid
        self.errors = errors
        self.pending = pending
    }
}

/// The answer to `mediamtx/<node>/set`.
package struct MediaServerResult: Hashable, Sendable, Codable {
    package var node: NodeID
    package var paths: [String: MediaServerState.Path]

    package init(node: NodeID, paths: [String: MediaServerState.Path]) {
        self.node = node
        self.paths = paths
    }
}

/// The answer to `rotation/set`.
package struct RotationResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    package var session: SessionID
    /// The segment that begins at the boundary.
    package var segment: RecordingState.OpenSegment
    /// Cut minus wish.
    package var offsetSeconds: Double
    /// False if the boundary had been cut before the command came.
    package var rotated: Bool

    package init(
        camera: CameraID, session: SessionID, segment: RecordingState.OpenSegment, offsetSeconds: Double,
        rotated: Bool
    ) {
        self.camera = camera
        self.session = session
        self.segment = segment
        self.offsetSeconds = offsetSeconds
        self.rotated = rotated
    }
}

/// The answer to `restart/set`.
package struct RestartResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    package var restarts: Int
    package init(camera: CameraID, restarts: Int) {
        self.camera = camera
        self.restarts = restarts
    }
}

/// The answer to `controls/set`: how all of them stand now.
package struct ControlsResult: Hashable, Sendable, Codable {
    package var camera: CameraID
    package var controls: [CameraControl]
    package init(camera: CameraID, controls: [CameraControl]) {
        self.camera = camera
        self.controls = controls
    }
}

/// The answer to `storage/<node>/set`.
package struct StorageResult: Hashable, Sendable, Codable {
    package var node: NodeID
    package var segments: Int
    package var recovered: Int
    package var imported: Int
    package var missing: Int
    package var quarantined: Int

    package init(node: NodeID, segments: Int, recovered: Int, imported: Int, missing: Int, quarantined: Int) {
        self.node = node
        self.segments = segments
        self.recovered = recovered
        self.imported = imported
        self.missing = missing
        self.quarantined = quarantined
    }
}

/// Where a reply goes.
package struct ReplyAddress: Hashable, Sendable {
    /// Whole, root included, as the asker gave it.
    package var topic: String
    /// MQTT 5 correlation data, returned as it came.
    package var correlation: [UInt8]?

    package init(topic: String, correlation: [UInt8]?) {
        self.topic = topic
        self.correlation = correlation
    }

    /// The level below the root under which 3.1.1 clients take their replies.
    package static let folder = "replies"
    package static let topicLengthMax = 256

    /// Checks a response topic that a JSON payload names: below `<root>/replies/`, no wildcard, no NUL.
    package static func isAllowed(fromPayload topic: String, root: String) -> Bool {
        topic.hasPrefix("\(root)/\(folder)/") && topic.utf8.count > root.utf8.count + folder.utf8.count + 2
            && isPublishable(topic)
    }

    /// Whether a broker would accept a publication to `topic` (MQTT 5.0 section 4.7).
    package static func isPublishable(_ topic: String) -> Bool {
        !topic.isEmpty && topic.utf8.count <= topicLengthMax && !topic.contains { "+#\u{0}".contains($0) }
            && !topic.hasPrefix("$")
    }
}

/// Limits on what comes in.
package enum CommandLimits {
    /// A command of more is refused with `payload_too_large`.
    package static let payloadBytesMax = 64 * 1024
    /// Seconds after which an unread command dies in the broker.
    package static let expirySeconds: UInt32 = 30
    package static let requestIDLengthMax = 128
    /// How long a worker may take to answer a rotation: it waits for a key frame. Whoever asks waits longer.
    package static let rotationAnswerMax: Duration = .seconds(30)
    /// How long it may take to answer a stop: it waits for the last file.
    package static let stopAnswerMax: Duration = .seconds(15)
}
