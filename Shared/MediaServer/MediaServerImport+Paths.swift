internal import ClusterConfig
internal import Domain

/// One path at a time.
extension MediaServerImport {
    /// Settings of a path that a camera has in another form, or that say nothing without the others.
    private static let understood: Set<String> = [
        "name", "source", "sourceOnDemand", "sourceOnDemandStartTimeout", "sourceOnDemandCloseAfter", "record",
        "recordSegmentDuration", "recordDeleteAfter", "recordPartDuration", "overridePublisher", "runOnDemandRestart",
        "runOnInitRestart", "runOnReadyRestart", "runOnAvailableRestart", "runOnDemandStartTimeout",
        "runOnDemandCloseAfter", "runOnUnDemand", "disablePublisherOverride",
    ]
    /// Commands that may publish. `runOnReady` and `runOnAvailable` run once somebody else does.
    private static let hooks = ["runOnInit", "runOnDemand"]
    private static let followers = ["runOnReady", "runOnAvailable"]
    private static let tcpNames = ["automatic", "tcp"]

    mutating func readPath(_ entry: YAMLTree.Entry, defaults: YAMLTree) {
        let path = entry.key
        guard !MediaServerSettings.namesOfMany.contains(path), !path.hasPrefix("~") else {
            return remark(path, "it stands for many paths; a camera has one", isLoss: true)
        }
        guard let keys = entry.value.entries else {
            return remark(path, "it is not a mapping", isLoss: true)
        }
        func value(_ key: String) -> YAMLTree? { entry.value[key] ?? defaults["pathDefaults"]?[key] ?? defaults[key] }
        guard let source = source(of: path, value) else { return }
        var camera = Camera(id: CameraID(unchecked: "camera"), path: path, source: source)
        readRecording(&camera, value)
        cameras.append(camera)
        if let transport = value("rtspTransport")?.text, source.hasPrefix("rtsp"), !Self.tcpNames.contains(transport) {
            remark(path, "rtspTransport: \(transport); Framekeeper's workers use TCP")
        }
        let used = Self.hooks.filter { entry.value[$0]?.text?.isEmpty == false }.prefix(1)
        let left = keys.map(\.key).filter { key in
            !Self.understood.contains(key) && !used.contains(key) && key != "rtspTransport"
                && entry.value[key]?.text?.isEmpty != true
        }
        if !left.isEmpty { remark(path, "not carried over: \(left.sorted().joined(separator: ", "))") }
    }

    // MARK: Where the pictures come from

    private mutating func source(of path: String, _ value: (String) -> YAMLTree?) -> String? {
        let source = value("source")?.text ?? "publisher"
        let command = Self.hooks.compactMap { value($0)?.text }.first { !$0.isEmpty }
        let outcome: CommandReading.Outcome
        if source == "publisher" || source.isEmpty {
            guard let command else {
                let follower = Self.followers.first { value($0)?.text?.isEmpty == false }
                let reason =
                    follower.map { "\($0) only runs once somebody publishes" } ?? "somebody else publishes to it"
                remark(path, "\(reason); a camera fetches its pictures itself", isLoss: true)
                return nil
            }
            outcome = CommandReading(folder: folder).read(command)
        } else if source.hasPrefix("rtsp://") || source.hasPrefix("rtsps://") {
            outcome = CommandReading(folder: folder).checkedSource(source, isLiteral: true)
            if case .source = outcome {
                remark(path, "its worker connects to the camera; with ingest: mediamtx the media server would go on to")
            }
        } else {
            let scheme = source.prefix { $0.isLetter || $0.isNumber || $0 == "+" }
            outcome = .notTranslated("its source is \(scheme), which no camera here can be")
        }
        switch outcome {
        case .source(let address, let remarks):
            for text in remarks { remark(path, text) }
            return address
        case .notTranslated(let reason):
            remark(path, reason, isLoss: true)
            return nil
        }
    }

    // MARK: Recording

    /// The server's defaults (`internal/conf/path.go`).
    private static let segmentDefault = "1h"
    private static let deleteAfterDefault = "1d"
    private static let maxAgeMin: Duration = .seconds(60)

    private mutating func readRecording(_ camera: inout Camera, _ value: (String) -> YAMLTree?) {
        guard value("record")?.flag ?? false else { return }
        camera.recordsAlways = true
        let interval = Self.duration(value("recordSegmentDuration")?.text ?? Self.segmentDefault)
        if let interval, (RotationSettings.intervalMin...RotationSettings.intervalMax).contains(interval) {
            camera.rotation = interval
        } else {
            remark(camera.path, "its recordSegmentDuration is not a rotation interval (1s to 1d); the default holds")
        }
        let age = Self.duration(value("recordDeleteAfter")?.text ?? Self.deleteAfterDefault)
        if let age, (Self.maxAgeMin...Duration.writtenMax).contains(age) {
            camera.maxAge = age
        } else if age != .zero {
            remark(camera.path, "its recordDeleteAfter is no age to keep recordings for (1m to 366d); none is set")
        }
        if let place = value("recordPath")?.text {
            remark(camera.path, "recordPath \(place): new recordings go to storage.path instead")
        }
        if let format = value("recordFormat")?.text, format != "fmp4" {
            remark(camera.path, "recordFormat \(format): recordings are fragmented MP4")
        }
    }

    private static func duration(_ text: String) -> Duration? {
        ServerDuration.nanoseconds(text).flatMap { $0 >= 0 && $0 < 1e18 ? .nanoseconds(Int64($0)) : nil }
    }
}
