internal import Bus
internal import BusContract
internal import Domain
internal import HealthMonitorCore

/// Tells a state that was just said from one that the broker has kept: they look alike, but the first on its topic
/// after a connect may be of any age, and no later one is.
struct LiveTopics {
    /// More topics of nodes and services than a fleet has; what does not fit is taken for kept.
    static let topicsMax = 32_768

    private var heard: Set<String> = []

    mutating func disconnected() { heard = [] }

    /// Of a node or a service; the states of cameras say nothing about clocks.
    mutating func isLive(_ topic: String) -> Bool {
        guard topic.hasPrefix("services/") || topic.hasPrefix("storage/") else { return false }
        guard heard.count < Self.topicsMax else { return heard.contains(topic) }
        return !heard.insert(topic).inserted
    }
}

extension HealthEvent {
    /// The event in what came from the bus; nil for what concerns nobody, and, after a word to `unreadable`, for what
    /// is not what its topic says.
    init?(_ input: BusInput, live: inout LiveTopics, unreadable: @escaping (String, CodedError) -> Void) {
        switch input {
        case .connected: self = .busConnected
        case .disconnected:
            live.disconnected()
            self = .busLost
        case .outboxOverflowed: return nil
        case .message(let message):
            guard !message.payload.isEmpty else {
                guard let event = HealthEvent(retired: message.topic) else { return nil }
                self = event
                return
            }
            let reader = Reader(message: message, isLive: live.isLive(message.topic), unreadable: unreadable)
            guard let event = reader.ofCamera ?? reader.ofNode else { return nil }
            self = event
        }
    }

    /// A retained state that is taken back is an empty payload; of those that say who is there it means that nobody is.
    private init?(retired topic: String) {
        if let camera = CameraAvailability.address(from: topic) {
            self = .cameraRetired(camera)
        } else if let address = ServiceState.address(from: topic) {
            self = .serviceRetired(address)
        } else {
            return nil
        }
    }

    private struct Reader {
        let message: InboundMessage
        let isLive: Bool
        let unreadable: (String, CodedError) -> Void

        private func read<M: BusMessage>(_ type: M.Type) -> (address: M.Address, stamped: Stamped<M>)? {
            guard let (address, result) = message.decoded(type) else { return nil }
            switch result {
            case .success(let stamped): return (address, stamped)
            case .failure(let error):
                unreadable(message.topic, error)
                return nil
            }
        }

        var ofCamera: HealthEvent? {
            if let (camera, stamped) = read(StreamStats.self) {
                return .statsReported(camera, stamped.message, sentAt: stamped.at)
            }
            if let (camera, stamped) = read(StreamState.self) { return .streamReported(camera, stamped.message) }
            if let (camera, stamped) = read(RecordingState.self) { return .recordingReported(camera, stamped.message) }
            if let (camera, stamped) = read(ViewingState.self) { return .viewingReported(camera, stamped.message) }
            if let (camera, stamped) = read(CameraHealth.self) { return .verdictReported(camera, stamped.message) }
            if let (camera, stamped) = read(CameraAvailability.self) {
                return .availabilityReported(camera, stamped.message)
            }
            return nil
        }

        var ofNode: HealthEvent? {
            if let (_, stamped) = read(HealthLeader.self) { return .leaderReported(stamped.message) }
            if let (address, stamped) = read(ServiceState.self) {
                return .serviceReported(address, stamped.message, sentAt: isLive ? stamped.at : nil)
            }
            if let (node, stamped) = read(StorageState.self) {
                return .storageReported(node, stamped.message, sentAt: isLive ? stamped.at : nil)
            }
            if let (node, stamped) = read(MediaServerState.self) { return .mediaServerReported(node, stamped.message) }
            return nil
        }
    }
}

extension RestartCommand {
    private struct Fields: Encodable {
        var command = "restart"
        var reason: String?
        var ifRestarts: Int?
    }

    /// As it stands on the bus.
    /// - Throws: `internal`, which cannot happen: texts and numbers have their JSON.
    var payload: [UInt8] {
        get throws(CodedError) { try BusCodec.json(Fields(reason: reason, ifRestarts: ifRestarts)) }
    }
}
