internal import BusContract
package import Domain

/// The metrics service as a pure value: what the bus says is folded into series, documents and history.
///
/// Owns what is known of cameras, nodes and services. Invariants: everything is bounded. Cameras of the configuration
/// are always there; others are taken until there are `strangersMax` of them, and forgotten when they have been silent;
/// beyond that they are counted and not kept, so that nobody on the bus can make series without end. What comes in is
/// counted once, however often it is delivered. The Shell calls `handle` from one loop; who answers HTTP reads copies.
package struct MetricsCore: Sendable {
    package let node: NodeID
    package let version: String
    package let startedAt: WallTime
    let configured: Set<CameraID>
    var cameras: [CameraID: CameraBoard] = [:]
    var nodes: [NodeID: NodeBoard] = [:]
    var services: [ServiceAddress: ServiceEntry] = [:]
    /// The writers of all nodes share one topic, which keeps what the last of them said.
    var configurations: [NodeID: (state: ConfigState, text: String)] = [:]
    package internal(set) var isBusConnected = false
    /// Whether the states that the broker keeps have had the time to come.
    package internal(set) var hasEverConnected = false
    var roundtrip = Histogram.roundtrip
    var lastRoundtrip: Double?
    var heartbeatsLost: UInt64 = 0
    var messages: UInt64 = 0
    var unreadable: UInt64 = 0
    var ignored: UInt64 = 0
    var commands: [ControlNoun: Histogram] = [:]
    var commandErrors: [ErrorCode: UInt64] = [:]
    var processes: [ProcessCost] = []
    /// By the hundred of the status: 2, 4, 5.
    var requests: [Int: UInt64] = [:]
    var connections = (open: 0, listeners: 0)
    var historyWritten: UInt64 = 0
    var historyFailures: UInt64 = 0
    private var roundtripInSpan: Double?
    private var spanStart: WallTime

    struct ServiceEntry: Hashable, Sendable {
        var state: ServiceState
        var text: String
    }

    package static let strangersMax = 256
    package static let nodesMax = 256
    package static let servicesMax = 8192
    /// A stranger that says nothing for so long is forgotten.
    package static let strangersLast: Duration = .seconds(600)
    /// The length of a span of the history.
    package static let tick: Duration = HistoryStep.tenSeconds.duration

    /// - Parameter cameras: those of the configuration, of all nodes.
    package init(node: NodeID, cameras: [CameraID], version: String, at now: Now) {
        self.node = node
        self.version = version
        startedAt = now.wall
        configured = Set(cameras)
        spanStart = HistoryStep.tenSeconds.start(of: now.wall)
        for camera in cameras { self.cameras[camera] = CameraBoard(camera, at: now) }
    }

    package mutating func handle(_ event: MetricsEvent, at now: Now) -> [MetricsEffect] {
        switch event {
        case .busConnected:
            hasEverConnected = true
            return bus(isConnected: true)
        case .busLost: return bus(isConnected: false)
        case .camera(let camera, let report, let json): return told(camera, report, json, at: now)
        case .cameraCleared(let camera, let noun):
            guard cameras[camera] != nil else { return [] }
            cameras[camera]?.clear(noun)
            if cameras[camera]?.isKnown == false, !configured.contains(camera) { cameras[camera] = nil }
            let json = named("camera", camera.rawValue, "null")
            return [.announce(Announcement(kind: noun, camera: camera, json: json))]
        case .storage(let node, let state, let json):
            guard take(node) else { return [] }
            nodes[node]?.fold(state, json: json, at: now.monotonic)
            return [announce("storage", of: node, json)]
        case .storageCleared(let node): return cleared("storage", of: node) { $0.clearStorage() }
        case .mediaServer(let node, let state, let json):
            guard take(node) else { return [] }
            nodes[node]?.fold(state, json: json)
            return [announce("mediamtx", of: node, json)]
        case .mediaServerCleared(let node): return cleared("mediamtx", of: node) { $0.clearMediaServer() }
        case .service(let address, let state, let json): return told(address, state, json)
        case .serviceCleared(let address): services[address] = nil
        case .configuration(let state, let json): return told(state, json)
        case .ticked: return ticked(at: now)
        case .measured(let measurement): fold(measurement)
        }
        return []
    }

    private mutating func bus(isConnected: Bool) -> [MetricsEffect] {
        guard isBusConnected != isConnected else { return [] }
        isBusConnected = isConnected
        return [.announce(Announcement(kind: "bus", camera: nil, json: "{\"connected\":\(isConnected)}"))]
    }

    private mutating func fold(_ measurement: Measurement) {
        switch measurement {
        case .unreadable: unreadable += 1
        case .heartbeat(let seconds):
            roundtrip.observe(seconds)
            lastRoundtrip = seconds
            roundtripInSpan = max(roundtripInSpan ?? 0, seconds)
        case .heartbeatLost: heartbeatsLost += 1
        case .command(let noun, let seconds, let error):
            commands[noun, default: .command].observe(seconds)
            if let error { commandErrors[error, default: 0] += 1 }
        case .processes(let costs): processes = costs
        case .request(let status): requests[status / 100, default: 0] += 1
        case .connections(let open, let listeners): connections = (open, listeners)
        case .historyWritten(let samples): historyWritten += UInt64(max(samples, 0))
        case .historyFailed: historyFailures += 1
        }
    }

    // MARK: Messages

    private mutating func told(
        _ camera: CameraID, _ report: CameraReport, _ json: String, at now: Now
    ) -> [MetricsEffect] {
        messages += 1
        if cameras[camera] == nil {
            guard cameras.count - configured.count < Self.strangersMax else {
                ignored += 1
                return []
            }
            cameras[camera] = CameraBoard(camera, at: now)
        }
        guard cameras[camera]?.fold(report, json: json, at: now) == true else { return [] }
        return [
            .announce(
                Announcement(kind: report.noun, camera: camera, json: named("camera", camera.rawValue, json)))
        ]
    }

    private mutating func told(_ address: ServiceAddress, _ state: ServiceState, _ json: String) -> [MetricsEffect] {
        messages += 1
        if services[address] == nil, services.count >= Self.servicesMax {
            ignored += 1
            return []
        }
        if let before = services[address]?.state, state.isLate(after: before) { return [] }
        services[address] = ServiceEntry(state: state, text: json)
        var text = JSONText()
        text.add("service", address.service.rawValue)
        text.add("instance", address.instance.rawValue)
        text.add("data", raw: json)
        return [.announce(Announcement(kind: "service", camera: nil, json: text.closed))]
    }

    private mutating func told(_ state: ConfigState, _ json: String) -> [MetricsEffect] {
        messages += 1
        guard configurations[state.node] != nil || configurations.count < Self.nodesMax else {
            ignored += 1
            return []
        }
        configurations[state.node] = (state, json)
        return [.announce(Announcement(kind: "config", camera: nil, json: json))]
    }

    private mutating func take(_ node: NodeID) -> Bool {
        messages += 1
        if nodes[node] != nil { return true }
        guard nodes.count < Self.nodesMax else {
            ignored += 1
            return false
        }
        nodes[node] = NodeBoard()
        return true
    }

    private mutating func cleared(
        _ noun: String, of node: NodeID, _ clear: (inout NodeBoard) -> Void
    ) -> [MetricsEffect] {
        guard var board = nodes[node] else { return [] }
        clear(&board)
        nodes[node] = board.isKnown ? board : nil
        return [announce(noun, of: node, "null")]
    }

    private func announce(_ noun: String, of node: NodeID, _ json: String) -> MetricsEffect {
        .announce(Announcement(kind: noun, camera: nil, json: named("node", node.rawValue, json)))
    }

    private func named(_ key: String, _ name: String, _ json: String) -> String {
        "{\"\(key)\":\"\(name)\",\"data\":\(json)}"
    }

    // MARK: Time

    private mutating func ticked(at now: Now) -> [MetricsEffect] {
        for (camera, board) in cameras
        where !configured.contains(camera) && now.monotonic - board.lastHeardAt > Self.strangersLast && !board.isOnline
        {
            cameras[camera] = nil
        }
        var samples: [HistorySample] = []
        for camera in cameras.keys.sorted() {
            guard let sample = cameras[camera]?.endSpan(of: Self.tick, at: now) else { continue }
            samples.append(sample)
        }
        var own = HistorySample(.node(node), at: spanStart)
        own.busRoundtripSeconds = roundtripInSpan
        own.freeBytes = nodes[node]?.storage.map { Double($0.freeBytes) }
        own.usedBytes = nodes[node]?.storage.map { Double($0.usedBytes) }
        if !own.isEmpty { samples.append(own) }
        roundtripInSpan = nil
        spanStart = HistoryStep.tenSeconds.start(of: now.wall)
        return samples.isEmpty ? [] : [.keep(samples)]
    }
}
