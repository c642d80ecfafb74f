internal import Domain

/// The sections that hold for the fleet.
extension ConfigurationReader {
    /// Names for parts that this version does not have, so that a file that is written for them is taken; they only
    /// have to be a mapping or a list.
    private static let unreadKeys = ["home_assistant", "schedules", "triggers"]
    private static let keys =
        [
            "broker", "node", "state_dir", "storage", "rotation", "lifecycle", "mediamtx", "health", "metrics",
            "cameras",
        ] + unreadKeys
    /// A fleet of more is several fleets.
    static let camerasMax = 4096

    mutating func configuration(_ root: YAMLNode, defaults: ConfigurationDefaults) -> ClusterConfiguration {
        // Keys that begin with `x-` are the user's own, to hang anchors on.
        var root = Field(node: root, path: "")
        if case .mapping(let entries) = root.node.content {
            root.node.content = .mapping(entries.filter { !$0.key.hasPrefix("x-") })
        }
        let fields = fields(root, known: Self.keys)
        let unread = Self.unreadKeys.filter { saysSomething(fields[$0]) }
        let node = value(fields["node"], or: defaults.node, expected: Self.nameRule, NodeID.init(rawValue:))
        let fleet = FleetDefaults(
            node: node,
            rotation: rotation(fields["rotation"], over: RotationSettings()),
            lifecycle: lifecycle(fields["lifecycle"], over: LifecyclePolicies()),
            storage: storage(
                fields["storage"], over: StorageSettings(path: defaults.storagePath)),
            hasMediaServer: fields["mediamtx"] != nil)
        return ClusterConfiguration(
            broker: broker(fields["broker"]), node: node, stateDir: path(fields["state_dir"]) ?? defaults.stateDir,
            storage: fleet.storage, rotation: fleet.rotation, lifecycle: fleet.lifecycle,
            mediaServer: mediaServer(fields["mediamtx"]), health: health(fields["health"]),
            metrics: metrics(fields["metrics"]),
            cameras: cameras(fields["cameras"], fleet: fleet), unreadSections: unread)
    }

    static let nameRule = "1 to 63 of a-z, 0-9, '_' and '-', the first a letter or a digit"

    private mutating func saysSomething(_ field: Field?) -> Bool {
        guard let field else { return false }
        switch field.node.content {
        case .mapping(let entries): return !entries.isEmpty
        case .sequence(let items): return !items.isEmpty
        case .scalar:
            if !field.node.isNull { report("expected a mapping or a list, found a single value", at: field) }
            return false
        }
    }

    mutating func rotation(_ field: Field?, over base: RotationSettings) -> RotationSettings {
        let fields = fields(field, known: ["interval", "align", "stagger"])
        let interval = duration(
            fields["interval"], or: base.interval, in: RotationSettings.intervalMin...RotationSettings.intervalMax)
        let settings = RotationSettings(
            interval: interval, align: word(fields["align"], or: base.align),
            stagger: duration(fields["stagger"], or: min(base.stagger, interval), in: .zero...interval))
        return settings
    }

    private mutating func health(_ field: Field?) -> HealthSettings {
        let fields = fields(field, known: ["restart", "backoff", "disk_warning", "clock_offset_max"])
        let backoff = self.fields(fields["backoff"], known: ["first", "most"])
        let base = HealthSettings()
        let first = duration(
            backoff["first"], or: base.backoffFirst, in: Duration.seconds(1)...Duration.seconds(86_400))
        return HealthSettings(
            restart: flag(fields["restart"], or: base.restart), backoffFirst: first,
            backoffMost: duration(
                backoff["most"], or: max(base.backoffMost, first), in: first...max(first, .seconds(86_400))),
            diskWarning: duration(
                fields["disk_warning"], or: base.diskWarning, in: Duration.zero...Duration.seconds(86_400)),
            clockOffsetMax: duration(
                fields["clock_offset_max"], or: base.clockOffsetMax,
                in: Duration.milliseconds(100)...Duration.seconds(86_400)))
    }

    mutating func lifecycle(_ field: Field?, over base: LifecyclePolicies) -> LifecyclePolicies {
        let fields = fields(field, known: UseCase.allCases.map(\.rawValue))
        var policies = base
        policies.recording = policy(fields[UseCase.recording.rawValue], over: base.recording)
        policies.viewing = policy(fields[UseCase.viewing.rawValue], over: base.viewing)
        policies.snapshot = policy(fields[UseCase.snapshot.rawValue], over: base.snapshot)
        return policies
    }

    private mutating func policy(_ field: Field?, over base: UseCasePolicy) -> UseCasePolicy {
        let fields = fields(field, known: ["close_after", "restart", "start_timeout"])
        return UseCasePolicy(
            closeAfter: duration(fields["close_after"], or: base.closeAfter, in: .zero...Duration.seconds(86_400)),
            restart: flag(fields["restart"], or: base.restart),
            startTimeout: duration(
                fields["start_timeout"], or: base.startTimeout, in: Duration.seconds(1)...Duration.seconds(300)))
    }

    mutating func storage(_ field: Field?, over base: StorageSettings) -> StorageSettings {
        let fields = fields(field, known: ["path", "durability", "retention"])
        return StorageSettings(
            path: path(fields["path"]) ?? base.path, durability: word(fields["durability"], or: base.durability),
            retention: retention(fields["retention"], over: base.retention))
    }

    private mutating func retention(_ field: Field?, over base: RetentionLimits) -> RetentionLimits {
        let fields = fields(field, known: ["max_age", "max_size", "min_free"])
        let size = "a size such as 500GB or 64MiB"
        var limits = base
        if let maxAge = fields["max_age"] {
            limits.maxAge = duration(
                maxAge, or: base.maxAge ?? .writtenMax, in: Duration.seconds(60)...Duration.writtenMax)
        }
        limits.maxSize = value(fields["max_size"], or: base.maxSize, expected: size) { text in
            ByteCount(written: text).flatMap { $0 > ByteCount(0) ? .some(.some($0)) : nil }
        }
        limits.minFree = value(fields["min_free"], or: base.minFree, expected: size) { text in
            ByteCount(written: text).map { .some($0) }
        }
        return limits
    }
}

/// What a camera starts from.
struct FleetDefaults {
    var node: NodeID
    var rotation: RotationSettings
    var lifecycle: LifecyclePolicies
    var storage: StorageSettings
    var hasMediaServer: Bool
}

/// What depends on the machine and on where the file lies.
struct ConfigurationDefaults {
    var node: NodeID
    var stateDir: String
    var storagePath: String
}
