internal import Bus
internal import BusContract
internal import Domain
internal import MetricsCore

/// Reads what comes in from the bus into events for the Core. What cannot be read is counted and dropped; what is read
/// is written anew, so that nothing goes further that its type does not hold.
struct MessageIntake {
    /// Of one state's text. Only what was forged is larger.
    static let textBytesMax = 16 * 1024

    static let subscriptions: [TopicTemplate] = [
        CameraAvailability.template, StreamState.template, RecordingState.template, ViewingState.template,
        SnapshotState.template, SnapshotImage.template, RotationState.template, StreamStats.template,
        CameraHealth.template, CameraConfigState.template, SegmentEvent.template, GapEvent.template,
        CameraErrorEvent.template, StorageState.template, MediaServerState.template, ServiceState.template,
        ConfigState.template,
    ]

    enum Read {
        case event(MetricsEvent)
        case picture(CameraID, [UInt8])
        case none
    }

    static func read(_ message: InboundMessage) -> Read {
        if let read = camera(message) { return read }
        if let read = node(message) { return read }
        return .none
    }

    // MARK: Cameras

    private static func camera(_ message: InboundMessage) -> Read? {
        guard message.topic.hasPrefix("cameras/") else { return nil }
        let levels = message.topic.split(separator: "/", omittingEmptySubsequences: false)
        guard levels.count >= 3, let camera = CameraID(rawValue: String(levels[1])) else {
            return .event(.measured(.unreadable))
        }
        let noun = levels[2...].joined(separator: "/")
        // Taken back: a retained state that is empty.
        if message.payload.isEmpty {
            return noun == "snapshot/image" ? .picture(camera, []) : .event(.cameraCleared(camera, noun: noun))
        }
        switch noun {
        case "availability": return told(message, CameraAvailability.self) { .availability($0) }
        case "stream": return told(message, StreamState.self) { .stream($0) }
        case "recording": return told(message, RecordingState.self) { .recording($0) }
        case "viewing": return told(message, ViewingState.self) { .viewing($0) }
        case "snapshot": return told(message, SnapshotState.self) { .snapshot($0) }
        case "rotation": return told(message, RotationState.self) { .rotation($0) }
        case "stats": return told(message, StreamStats.self) { .stats($0) }
        case "config": return told(message, CameraConfigState.self) { .configuration($0) }
        case "segment": return told(message, SegmentEvent.self) { .segment($0) }
        case "gap": return told(message, GapEvent.self) { .gap($0) }
        case "error": return told(message, CameraErrorEvent.self) { .error($0) }
        case "health": return told(message, CameraHealth.self) { .health($0) }
        case "snapshot/image":
            guard message.payload.count <= SnapshotImage.bytesMax, message.payload.starts(with: [0xFF, 0xD8]) else {
                return .event(.measured(.unreadable))
            }
            return .picture(camera, message.payload)
        default: return Read.none
        }
    }

    private static func told<M: BusMessage>(
        _ message: InboundMessage, _ type: M.Type, _ report: (M) -> CameraReport
    ) -> Read where M.Address == CameraID {
        guard let (camera, stamped, text) = decoded(message, type) else { return .event(.measured(.unreadable)) }
        return .event(.camera(camera, report(stamped.message), json: text))
    }

    // MARK: Nodes and services

    private static func node(_ message: InboundMessage) -> Read? {
        guard !message.payload.isEmpty else { return cleared(message.topic) }
        if StorageState.address(from: message.topic) != nil {
            return event(message, StorageState.self) { .storage($0, $1, json: $2) }
        } else if MediaServerState.address(from: message.topic) != nil {
            return event(message, MediaServerState.self) { .mediaServer($0, $1, json: $2) }
        } else if ServiceState.address(from: message.topic) != nil {
            return event(message, ServiceState.self) { .service($0, $1, json: $2) }
        } else if ConfigState.address(from: message.topic) != nil {
            return event(message, ConfigState.self) { .configuration($1, json: $2) }
        }
        return nil
    }

    /// Taken back: a retained state that is empty.
    private static func cleared(_ topic: String) -> Read? {
        if let node = StorageState.address(from: topic) { return .event(.storageCleared(node)) }
        if let node = MediaServerState.address(from: topic) { return .event(.mediaServerCleared(node)) }
        if let address = ServiceState.address(from: topic) { return .event(.serviceCleared(address)) }
        return nil
    }

    private static func event<M: BusMessage>(
        _ message: InboundMessage, _ type: M.Type, _ event: (M.Address, M, String) -> MetricsEvent
    ) -> Read {
        guard let (address, stamped, text) = decoded(message, type) else { return .event(.measured(.unreadable)) }
        return .event(event(address, stamped.message, text))
    }

    // MARK: Reading

    private static func decoded<M: BusMessage>(
        _ message: InboundMessage, _ type: M.Type
    ) -> (M.Address, Stamped<M>, String)? {
        guard let (address, result) = message.decoded(type), case .success(let stamped) = result else { return nil }
        let bytes: [UInt8]
        do throws(CodedError) {
            bytes = try M.format == .word ? BusCodec.json(stamped.message) : BusCodec.json(stamped)
        } catch {
            return nil
        }
        guard bytes.count <= textBytesMax else { return nil }
        return (address, stamped, String(decoding: bytes, as: UTF8.self))
    }
}
