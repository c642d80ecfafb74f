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
        func inherited(_ key: String) -> YAMLTree? { defaults["pathDefaults"]?[key] ?? defaults[key] }
        func value(_ key: String) -> YAMLTree? { entry.value[key] ?? inherited(key) }
        let hooks = Self.commands(entry.value, inherited)
        var used: String?
        guard let read = source(of: path, hooks, &used, value) else { return }
        var camera = Camera(id: CameraID(unchecked: "camera"), path: path, source: read.source)
        (camera.encoder, camera.hasAudio) = (read.encoder, read.hasAudio)
        readRecording(&camera, value)
        cameras.append(camera)
        if let transport = value("rtspTransport")?.text, read.source.hasPrefix("rtsp"),
            !Self.tcpNames.contains(transport)
        {
            remark(path, "rtspTransport: \(transport); Framekeeper's workers use TCP")
        }
        let left = keys.map(\.key).filter { key in
            !Self.understood.contains(key) && key != used && key != "rtspTransport"
                && entry.value[key]?.text?.isEmpty != true
        }
        if !left.isEmpty { remark(path, "not carried over: \(left.sorted().joined(separator: ", "))") }
    }

    // MARK: Where the pictures come from

    private struct Hook {
        var name: String
        var command: String
    }

    /// The path's own before those that it inherits; one that is empty at the path is none.
    private static func commands(_ path: YAMLTree, _ inherited: (String) -> YAMLTree?) -> [Hook] {
        let own = hooks.compactMap { name in path[name]?.text.map { Hook(name: name, command: $0) } }
        let others = hooks.filter { name in !own.contains { $0.name == name } }
            .compactMap { name in inherited(name)?.text.map { Hook(name: name, command: $0) } }
        return (own + others).filter { !$0.command.isEmpty }
    }

    /// - Parameter used: the hook that the camera stands for.
    private mutating func source(
        of path: String, _ hooks: [Hook], _ used: inout String?, _ value: (String) -> YAMLTree?
    ) -> CommandReading.Translation? {
        let source = value("source")?.text ?? "publisher"
        do throws(CommandReading.Untranslated) {
            let read: CommandReading.Translation
            if source == "publisher" || source.isEmpty {
                read = try firstCamera(of: hooks, at: path, &used, value)
            } else if source.hasPrefix("rtsp://") || source.hasPrefix("rtsps://") {
                read = try reading(path).checked(source, isLiteral: true)
                remark(
                    path, "its worker connects to the camera; with ingest: mediamtx the media server would go on to")
            } else {
                let scheme = source.prefix { $0.isLetter || $0.isNumber || $0 == "+" }
                throw CommandReading.Untranslated("its source is \(scheme), which no camera here can be")
            }
            for text in read.remarks { remark(path, text) }
            return read
        } catch {
            remark(path, error.reason, isLoss: true)
            return nil
        }
    }

    /// The first hook that can be a camera, or what keeps each of them from it.
    private func firstCamera(
        of hooks: [Hook], at path: String, _ used: inout String?, _ value: (String) -> YAMLTree?
    ) throws(CommandReading.Untranslated) -> CommandReading.Translation {
        var reasons: [String] = []
        for hook in hooks {
            do throws(CommandReading.Untranslated) {
                let read = try reading(path).read(hook.command)
                used = hook.name
                return read
            } catch {
                reasons.append(hooks.count > 1 ? "\(hook.name): \(error.reason)" : error.reason)
            }
        }
        guard reasons.isEmpty else { throw CommandReading.Untranslated(reasons.joined(separator: "; ")) }
        let follower = Self.followers.first { value($0)?.text?.isEmpty == false }
        let reason = follower.map { "\($0) only runs once somebody publishes" } ?? "somebody else publishes to it"
        throw CommandReading.Untranslated("\(reason); a camera fetches its pictures itself")
    }

    private func reading(_ path: String) -> CommandReading {
        CommandReading(folder: folder, path: path, listeners: listeners)
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
