package import Domain

/// One node's view of the fleet's configuration file: every default filled in, every override resolved, every path
/// absolute. It is made by `ConfigurationLoader` alone, read by every service at its start, and never changes after
/// that. How the file is written does not belong here; see `ConfigurationReader`.
package struct ClusterConfiguration: Sendable, Hashable {
    package var broker: BrokerSettings
    /// This host.
    package var node: NodeID
    /// Absolute. Leases, outboxes, sockets, the embedded broker's data.
    package var stateDir: String
    /// The node's storage; a camera may have its own.
    package var storage: StorageSettings
    package var rotation: RotationSettings
    package var lifecycle: LifecyclePolicies
    /// Nil: there is none.
    package var mediaServer: MediaServerSettings?
    package var health: HealthSettings
    package var metrics: MetricsSettings
    /// In the order of the file; cameras of other nodes included.
    package var cameras: [CameraConfiguration]
    /// Sections that say something and that no part of this version reads, in alphabetical order.
    package var unreadSections: [String]
    /// Absolute; nil if there is no file and everything is default, environment or flag.
    package var file: String?

    package init(
        broker: BrokerSettings = BrokerSettings(), node: NodeID, stateDir: String, storage: StorageSettings,
        rotation: RotationSettings = RotationSettings(), lifecycle: LifecyclePolicies = LifecyclePolicies(),
        mediaServer: MediaServerSettings? = nil, health: HealthSettings = HealthSettings(),
        metrics: MetricsSettings = MetricsSettings(),
        cameras: [CameraConfiguration] = [], unreadSections: [String] = [], file: String? = nil
    ) {
        self.broker = broker
        self.node = node
        self.stateDir = stateDir
        self.storage = storage
        self.rotation = rotation
        self.lifecycle = lifecycle
        self.mediaServer = mediaServer
        self.health = health
        self.metrics = metrics
        self.cameras = cameras
        self.unreadSections = unreadSections
        self.file = file
    }

    /// The cameras that this node records, in the order of the file.
    package var ownCameras: [CameraConfiguration] { cameras.filter { $0.node == node } }

    package func camera(_ id: CameraID) -> CameraConfiguration? { cameras.first { $0.id == id } }

    /// A sentence for each section that is taken and does nothing.
    package var unreadRemarks: [String] {
        unreadSections.map { "warning: \($0): no part of this version reads this section; it does nothing" }
    }
}

package struct StorageSettings: Sendable, Hashable {
    /// Absolute.
    package var path: String
    package var durability: Durability
    package var retention: RetentionLimits

    package init(
        path: String, durability: Durability = .powerCut, retention: RetentionLimits = RetentionLimits()
    ) {
        self.path = path
        self.durability = durability
        self.retention = retention
    }
}

/// When a camera records.
package enum RecordMode: String, Sendable, Hashable, CaseIterable {
    case onRequest = "on_request"
    /// The worker holds a lease of the holder `always` from its start on.
    case always
}

/// Who holds the connection to an IP camera.
package enum Ingest: String, Sendable, Hashable, CaseIterable {
    /// The capture-worker; the media server gets the stream from it.
    case worker
    /// The media server; the capture-worker reads from it, and from the camera itself while the server is away.
    case mediaServer = "mediamtx"
}

/// A camera with the fleet's settings and its own overrides resolved.
package struct CameraConfiguration: Sendable, Hashable {
    package var id: CameraID
    package var source: SourceAddress
    /// The names of the variables and secrets in `source`, in the order of the text; never their values.
    package var secrets: [String]
    package var ingest: Ingest
    /// The host whose worker owns the source.
    package var node: NodeID
    package var groups: [GroupID]
    package var record: RecordMode
    /// Kept in memory before a request; zero: the stream runs only while leased. At most 300 s.
    package var preroll: Duration
    package var encoder: EncoderSettings
    /// What a webcam's controls are set to whenever it is opened.
    package var controls: [ControlName: ControlSetting]
    /// Whether a sound track of the source is kept.
    package var audio: Bool
    package var rotation: RotationSettings
    package var lifecycle: LifecyclePolicies
    package var storage: StorageSettings

    package init(
        id: CameraID, source: SourceAddress, secrets: [String] = [], ingest: Ingest = .worker, node: NodeID,
        groups: [GroupID] = [], record: RecordMode = .onRequest,
        preroll: Duration = .zero, encoder: EncoderSettings = EncoderSettings(),
        controls: [ControlName: ControlSetting] = [:], audio: Bool = true,
        rotation: RotationSettings = RotationSettings(), lifecycle: LifecyclePolicies = LifecyclePolicies(),
        storage: StorageSettings
    ) {
        self.id = id
        self.source = source
        self.secrets = secrets
        self.ingest = ingest
        self.node = node
        self.groups = groups
        self.record = record
        self.preroll = preroll
        self.encoder = encoder
        self.controls = controls
        self.audio = audio
        self.rotation = rotation
        self.lifecycle = lifecycle
        self.storage = storage
    }

    /// Whether a command to `group` is meant for this camera.
    package func belongs(to group: GroupID) -> Bool { group == .all || groups.contains(group) }
}
