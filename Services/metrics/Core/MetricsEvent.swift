package import BusContract
package import Domain

/// What one camera's topics say.
package enum CameraReport: Hashable, Sendable {
    case availability(CameraAvailability)
    case stream(StreamState)
    case recording(RecordingState)
    case viewing(ViewingState)
    case snapshot(SnapshotState)
    case rotation(RotationState)
    case stats(StreamStats)
    case health(CameraHealth)
    case configuration(CameraConfigState)
    case segment(SegmentEvent)
    case gap(GapEvent)
    case error(CameraErrorEvent)

    /// The last level of the topic, and the key in the camera's document.
    package var noun: String {
        switch self {
        case .availability: "availability"
        case .stream: "stream"
        case .recording: "recording"
        case .viewing: "viewing"
        case .snapshot: "snapshot"
        case .rotation: "rotation"
        case .stats: "stats"
        case .health: "health"
        case .configuration: "config"
        case .segment: "segment"
        case .gap: "gap"
        case .error: "error"
        }
    }
}

/// What one process of this node costs.
package struct ProcessCost: Hashable, Sendable {
    package var service: ServiceName
    /// User and system time since its start.
    package var cpuSeconds: Double
    package var residentBytes: UInt64

    package init(service: ServiceName, cpuSeconds: Double, residentBytes: UInt64) {
        self.service = service
        self.cpuSeconds = cpuSeconds
        self.residentBytes = residentBytes
    }
}

/// A command that went out over HTTP, by its noun.
package enum ControlNoun: String, Hashable, Sendable, CaseIterable {
    case recording, rotation, snapshot
}

/// `json` of a message is its text on the bus, encoded anew, so that it holds what its type holds and nothing else.
package enum MetricsEvent: Hashable, Sendable {
    case busConnected
    case busLost
    case camera(CameraID, CameraReport, json: String)
    /// A retained state of a camera was taken back.
    case cameraCleared(CameraID, noun: String)
    case storage(NodeID, StorageState, json: String)
    case storageCleared(NodeID)
    case mediaServer(NodeID, MediaServerState, json: String)
    case mediaServerCleared(NodeID)
    case service(ServiceAddress, ServiceState, json: String)
    case serviceCleared(ServiceAddress)
    case configuration(ConfigState, json: String)
    case measured(Measurement)
    /// Every `MetricsCore.tick`.
    case ticked
}

/// What the service measures itself.
package enum Measurement: Hashable, Sendable {
    /// Something on a topic of the contract that is not of the contract.
    case unreadable
    /// The way to the broker and back.
    case heartbeat(seconds: Double)
    case heartbeatLost
    /// `error` nil: done.
    case command(ControlNoun, seconds: Double, error: ErrorCode?)
    case processes([ProcessCost])
    case request(status: Int)
    case connections(open: Int, listeners: Int)
    case historyWritten(samples: Int)
    case historyFailed
}

package enum MetricsEffect: Hashable, Sendable {
    /// For everybody who listens on `/events`.
    case announce(Announcement)
    /// For the history.
    case keep([HistorySample])
}

/// One server-sent event.
package struct Announcement: Hashable, Sendable {
    /// The noun of the topic; `bus`: the connection to the broker.
    package var kind: String
    /// Nil: of a node or a service.
    package var camera: CameraID?
    /// What happened, as JSON.
    package var json: String

    package init(kind: String, camera: CameraID?, json: String) {
        self.kind = kind
        self.camera = camera
        self.json = json
    }

    /// Comes every 2 s from each camera; told only to those who look at one.
    package var isTelemetry: Bool { kind == "stats" }
}
