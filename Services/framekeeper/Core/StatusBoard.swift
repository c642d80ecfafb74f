package import BusContract
package import Domain

/// The retained states of the cluster as one table: what `framekeeper status` prints. Pure: it is filled from the bus
/// and printed.
package struct StatusBoard: Sendable, Hashable, Codable {
    package struct Camera: Sendable, Hashable, Codable {
        package var camera: CameraID
        package var availability: CameraAvailability?
        package var stream: StreamState?
        package var recording: RecordingState?
        package var viewing: ViewingState?
        package var rotation: RotationState?
        package var health: CameraHealth?
        package init(camera: CameraID) { self.camera = camera }
    }

    package struct Service: Sendable, Hashable, Codable {
        package var service: ServiceName
        package var instance: InstanceID
        package var presence: ServiceState
        package init(_ address: ServiceAddress, _ presence: ServiceState) {
            service = address.service
            instance = address.instance
            self.presence = presence
        }
    }

    package struct Storage: Sendable, Hashable, Codable {
        package var node: NodeID
        package var storage: StorageState
        package init(node: NodeID, storage: StorageState) {
            self.node = node
            self.storage = storage
        }
    }

    package struct MediaServer: Sendable, Hashable, Codable {
        package var node: NodeID
        package var mediaServer: MediaServerState
        package init(node: NodeID, mediaServer: MediaServerState) {
            self.node = node
            self.mediaServer = mediaServer
        }
    }

    /// In the order of their names.
    package private(set) var cameras: [Camera] = []
    package private(set) var services: [Service] = []
    package private(set) var storage: [Storage] = []
    package private(set) var mediaServers: [MediaServer] = []
    private var expected: Set<CameraID> = []

    private enum CodingKeys: CodingKey { case cameras, services, storage, mediaServers }

    package init() {}

    /// Makes sure that a camera has its line, also when its worker has never spoken.
    package mutating func expect(_ camera: CameraID) {
        expected.insert(camera)
        update(camera) { _ in }
    }

    package mutating func update(_ camera: CameraID, _ change: (inout Camera) -> Void) {
        let index = cameras.firstIndex { $0.camera >= camera } ?? cameras.endIndex
        if index == cameras.endIndex || cameras[index].camera != camera {
            cameras.insert(Camera(camera: camera), at: index)
        }
        change(&cameras[index])
    }

    package mutating func update(_ address: ServiceAddress, _ state: ServiceState) {
        services.removeAll { $0.service == address.service && $0.instance == address.instance }
        services.append(Service(address, state))
        services.sort { ($0.service, $0.instance) < ($1.service, $1.instance) }
    }

    package mutating func update(_ node: NodeID, _ state: StorageState) {
        storage.removeAll { $0.node == node }
        storage.append(Storage(node: node, storage: state))
        storage.sort { $0.node < $1.node }
    }

    package mutating func update(_ node: NodeID, _ state: MediaServerState) {
        mediaServers.removeAll { $0.node == node }
        mediaServers.append(MediaServer(node: node, mediaServer: state))
        mediaServers.sort { $0.node < $1.node }
    }

    /// Takes back what a camera has said; a camera that nobody expects and that says nothing more has no line.
    package mutating func clear(_ camera: CameraID, _ change: (inout Camera) -> Void) {
        guard let index = cameras.firstIndex(where: { $0.camera == camera }) else { return }
        change(&cameras[index])
        if cameras[index] == Camera(camera: camera), !expected.contains(camera) { cameras.remove(at: index) }
    }

    package mutating func remove(_ address: ServiceAddress) {
        services.removeAll { $0.service == address.service && $0.instance == address.instance }
    }

    package mutating func removeStorage(of node: NodeID) { storage.removeAll { $0.node == node } }

    package mutating func removeMediaServer(of node: NodeID) { mediaServers.removeAll { $0.node == node } }

    /// Four tables; a table without rows is left out.
    /// - Parameters:
    ///   - width: of the terminal; nil: as wide as it is.
    ///   - paint: puts colour around a cell.
    package func lines(now: WallTime, width: Int? = nil, paint: (String) -> String = { $0 }) -> [String] {
        let tables = [cameraTable(now: now), serviceTable(now: now), storageTable, mediaServerTable].compactMap { $0 }
        let printed = tables.map { $0.lines(width: width, paint: paint) }
        return ((cameras.isEmpty ? [["no cameras"]] : []) + printed).joined(separator: [""]).map { $0 }
    }

    /// Whether a process has said that it is there: `capture-worker/front`.
    package func isOnline(_ name: String) -> Bool {
        services.contains { "\($0.service)/\($0.instance)" == name && $0.presence.state == .online }
    }

    /// What is wrong comes first, and then why: a narrow terminal cuts the rest.
    private func cameraTable(now: WallTime) -> TextTable? {
        guard !cameras.isEmpty else { return nil }
        var table = TextTable(
            "CAMERA", "HEALTH", "STREAM", "RECORDING", "VIEW", "WHY", "SINCE", "SESSION", ">SEGMENT", "LEASES")
        for camera in cameras {
            let recording = camera.recording
            table.add(
                camera.camera.rawValue, camera.health?.status.rawValue ?? "-", streamText(camera),
                recording.map(recordingText) ?? "-", camera.viewing.map(viewingText) ?? "-",
                camera.health?.reasons.first?.message ?? "-", recording?.since.map { ago($0, now) } ?? "-",
                recording?.session?.short ?? "-", recording?.segment.map { "\($0.index)" } ?? "-",
                leasesText(recording))
        }
        return table
    }

    private func viewingText(_ viewing: ViewingState) -> String {
        if let error = viewing.error { return "\(viewing.state.rawValue): \(error.code.rawValue)" }
        guard let viewers = viewing.viewers, viewers > 0 else { return viewing.state.rawValue }
        return "\(viewing.state.rawValue), \(viewers) watching"
    }

    private func streamText(_ camera: Camera) -> String {
        guard camera.availability == .online else { return camera.availability == nil ? "no worker" : "worker offline" }
        guard let stream = camera.stream else { return "-" }
        if let error = stream.error { return "\(stream.state.rawValue): \(error.code.rawValue)" }
        guard let width = stream.width, let height = stream.height else { return stream.state.rawValue }
        return "\(stream.state.rawValue) \(stream.codec ?? "") \(width)x\(height)"
    }

    private func recordingText(_ recording: RecordingState) -> String {
        recording.error.map { "\(recording.state.rawValue): \($0.code.rawValue)" } ?? recording.state.rawValue
    }

    private func leasesText(_ recording: RecordingState?) -> String {
        guard let leases = recording?.leases, !leases.isEmpty else { return "-" }
        return leases.map { lease in
            lease.until.map { "\(lease.holder) until \($0.timeText(separator: ":").prefix(8))" }
                ?? lease.holder.rawValue
        }.joined(separator: ", ")
    }

    private func serviceTable(now: WallTime) -> TextTable? {
        guard !services.isEmpty else { return nil }
        var table = TextTable("SERVICE", "INSTANCE", "STATE", "NODE", ">PID", "VERSION", "SINCE")
        for entry in services {
            let presence = entry.presence
            table.add(
                entry.service.rawValue, entry.instance.rawValue, presence.state.rawValue, presence.node.rawValue,
                "\(presence.pid)", presence.version, presence.state == .online ? ago(presence.startedAt, now) : "-")
        }
        return table
    }

    private var storageTable: TextTable? {
        guard !storage.isEmpty else { return nil }
        var table = TextTable("STORAGE", "STATE", ">RECORDED", ">FREE", ">OF", "OLDEST")
        for entry in storage {
            let state = entry.storage
            table.add(
                entry.node.rawValue,
                state.error.map { "\(state.status.rawValue): \($0.message)" } ?? state.status.rawValue,
                "\(ByteCount(state.usedBytes))", "\(ByteCount(state.freeBytes))", "\(ByteCount(state.totalBytes))",
                state.oldestAt?.rfc3339 ?? "-")
        }
        return table
    }

    private var mediaServerTable: TextTable? {
        guard !mediaServers.isEmpty else { return nil }
        var table = TextTable("MEDIAMTX", "STATE", "MODE", "VERSION", ">PATHS", ">VIEWERS", "WAITING")
        for entry in mediaServers {
            let state = entry.mediaServer
            table.add(
                entry.node.rawValue, state.error.map(\.message) ?? (state.reachable ? "ok" : "unreachable"),
                state.mode.rawValue, state.version ?? "-", "\(state.paths.count)",
                "\(state.paths.values.reduce(0) { $0 + $1.viewers })",
                state.waiting.isEmpty ? "-" : state.waiting.joined(separator: ", "))
        }
        return table
    }

    private func ago(_ moment: WallTime, _ now: WallTime) -> String {
        let seconds = max(0, (now - moment).nanoseconds / 1_000_000_000)
        return seconds == 0 ? "now" : "\(Duration.seconds(seconds).written) ago"
    }
}
