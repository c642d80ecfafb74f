package import ClusterConfig
package import Domain

/// The fixed settings of a camera's path at the media server. They follow from the configuration alone, never from what
/// goes on: a change of almost any of them cuts off publisher and readers, so policies live in leases and not here.
///
/// Only the keys that matter are set and compared; everything else is the server's default or its operator's
/// `pathDefaults`.
package struct PathSettings: Hashable, Sendable, CustomStringConvertible {
    /// What the path needs beyond its camera.
    package struct Fleet: Hashable, Sendable {
        package var node: NodeID
        package var publish: MediaServerSettings.Publishing
        package var hookURL: String
        package init(node: NodeID, publish: MediaServerSettings.Publishing, hookURL: String) {
            self.node = node
            self.publish = publish
            self.hookURL = hookURL
        }
    }

    /// Equal to the camera's id, whose letters the server allows in names.
    package let name: String
    package let values: [String: SettingValue]

    /// The values may hold a password.
    package var description: String { "path \(name)" }

    package init(name: String, values: [String: SettingValue]) {
        self.name = name
        self.values = values
    }

    /// A worker that was idle still has to hear of the demand, open its source and connect.
    package static let workerAllowance: Duration = .seconds(5)
    /// Never zero: the server arms this timer when the publisher comes, before the reader that it came for has asked
    /// for the stream, so that zero ends the publisher at once. The worker lingers longer than this after the last
    /// viewer.
    static let closeAfterSeconds: Int64 = 2
    /// How long a source of the server's own outlives its last reader: longer than a worker takes to connect again. Not
    /// the close-after of viewing: a changed policy must not change a path.
    static let sourceCloseAfterSeconds: Int64 = 10
    private static let hookSecondsMax = 5

    /// The path of a camera, nil if there is to be none.
    package init?(_ camera: CameraConfiguration, fleet: Fleet) {
        var values: [String: SettingValue] = ["record": .flag(false), Self.markerKey: .text(Self.marker(fleet.node))]
        if camera.ingest == .mediaServer, case .rtsp(let url) = camera.source.kind {
            // The worker is a reader like any other, so the camera is connected exactly while somebody reads.
            let patience = max(camera.lifecycle.recording.startTimeout, camera.lifecycle.viewing.startTimeout)
            values["source"] = .text(url)
            values["rtspTransport"] = .text("tcp")
            values["sourceOnDemand"] = .flag(true)
            values["sourceOnDemandStartTimeout"] = .text(Self.written(patience))
            values["sourceOnDemandCloseAfter"] = .text(ServerDuration.written(seconds: Self.sourceCloseAfterSeconds))
        } else {
            guard fleet.publish != .never else { return nil }
            values["source"] = .text("publisher")
            values["overridePublisher"] = .flag(true)
            // Whoever joins a stream that runs waits for its next key frame.
            values["runOnRead"] = .text(Self.hook("read", camera.id, fleet))
            values["runOnReadRestart"] = .flag(false)
            if fleet.publish == .onDemand {
                values["runOnDemand"] = .text(Self.hook("demand", camera.id, fleet))
                values["runOnUnDemand"] = .text(Self.hook("undemand", camera.id, fleet))
                values["runOnDemandRestart"] = .flag(false)
                values["runOnDemandStartTimeout"] = .text(
                    Self.written(camera.lifecycle.viewing.startTimeout + Self.workerAllowance))
                values["runOnDemandCloseAfter"] = .text(ServerDuration.written(seconds: Self.closeAfterSeconds))
            }
        }
        self.init(name: camera.id.rawValue, values: values)
    }

    /// Run without a shell, so nothing in it may need one. `--noproxy`: the hook address is never behind a proxy that
    /// the server's environment may name.
    static func hook(_ verb: String, _ camera: CameraID, _ fleet: Fleet) -> String {
        "curl --silent --show-error --noproxy * --max-time \(hookSecondsMax) --output /dev/null --request POST "
            + "\(fleet.hookURL)/v1/\(verb)/\(camera)"
    }

    private static func written(_ duration: Duration) -> String {
        ServerDuration.written(seconds: max(1, (duration.nanoseconds + 999_999_999) / 1_000_000_000))
    }

    // MARK: Whose path it is

    /// The server keeps this text and reads it only for a Raspberry Pi camera's own picture, so it is free to carry a
    /// name on paths that have no hook, and a change of it disturbs nobody.
    static let markerKey = "rpiCameraTextOverlay"
    static func marker(_ node: NodeID) -> String { "framekeeper/\(node)" }

    /// Whether settings that were read are those of a path that this node's config-writer made.
    package static func isMade(by node: NodeID, _ values: [String: SettingValue]) -> Bool {
        values[markerKey] == .text(marker(node))
    }

    /// Whether a source of the server's own has a password in it, as far as one can tell.
    package var hasLogin: Bool {
        guard case .text(let source)? = values["source"], let scheme = source.firstRange(of: "://") else {
            return false
        }
        let rest = source[scheme.upperBound...]
        let isNamed = ["pass", "pwd", "token"].contains { rest.lowercased().contains($0) }
        return isNamed || rest.prefix { !"/?#".contains($0) }.contains("@")
    }

    // MARK: Comparing

    /// The keys whose values differ from those that the server shows.
    package func differences(from shown: [String: SettingValue]) -> [String] {
        values.keys.sorted().filter { key in
            guard let wanted = values[key], let found = shown[key] else { return true }
            return !Self.isSame(key, wanted, found)
        }
    }

    private static func isSame(_ key: String, _ wanted: SettingValue, _ found: SettingValue) -> Bool {
        if wanted == found { return true }
        guard MediaServerSchema.path[key] == .duration, case .text(let left) = wanted, case .text(let right) = found,
            let first = ServerDuration.nanoseconds(left)
        else { return false }
        return first == ServerDuration.nanoseconds(right)
    }
}
