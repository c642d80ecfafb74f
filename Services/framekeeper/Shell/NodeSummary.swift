internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

/// What `up` tells the person once, before the log begins.
struct NodeSummary: Sendable {
    let configuration: ClusterConfiguration
    let broker: EmbeddedBroker?
    /// What is wrong with the file; then it is an earlier text of it that is in force.
    var broken: ConfigurationErrors?

    var lines: [String] {
        var lines = ["framekeeper \(ProductVersion.text), node \(configuration.node)"]
        func add(_ title: String, _ text: String) {
            lines.append("  " + title + String(repeating: " ", count: max(1, 15 - title.count)) + text)
        }
        add("configuration", configuration.file ?? "none, everything is default")
        if broken != nil { add("", "BROKEN, see above: the text that was in force before is used") }
        if let broker {
            add("broker", "mqtt://\(broker.host):\(broker.port) (embedded), privately unix://\(broker.paths.socket)")
        } else {
            add("broker", configuration.broker.url.description)
        }
        add("storage", configuration.storage.path + retention)
        add("state", configuration.stateDir)
        if configuration.ownCameras.isEmpty { add("cameras", "none on this node") }
        for (index, camera) in configuration.ownCameras.enumerated() {
            add(index == 0 ? "cameras" : "", describe(camera))
        }
        return lines + ["Ctrl-C stops in order; twice, at once."]
    }

    var json: ShownValue {
        .map([
            ("version", .text(ProductVersion.text)), ("node", .text(configuration.node.rawValue)),
            ("file", .text(configuration.file ?? "")), ("broker", .text(configuration.broker.url.description)),
            ("socket", .text(broker?.paths.socket ?? "")), ("storage", .text(configuration.storage.path)),
            ("state_dir", .text(configuration.stateDir)),
            ("cameras", .list(configuration.ownCameras.map { .text($0.id.rawValue) })),
            ("errors", .list((broken?.errors ?? []).map { .text($0.description) })),
        ])
    }

    private func describe(_ camera: CameraConfiguration) -> String {
        let mode = camera.record == .always ? "records always" : "records on request"
        return "\(camera.id)  \(camera.source.publicText)  \(mode), a file every \(camera.rotation.interval.written)"
    }

    private var retention: String {
        let limits = configuration.storage.retention
        var parts: [String] = []
        if let age = limits.maxAge { parts.append("keeps \(age.written)") }
        if let size = limits.maxSize { parts.append("at most \(size)") }
        if let free = limits.minFree { parts.append("leaves \(free) free") }
        return parts.isEmpty ? "" : "  (" + parts.joined(separator: ", ") + ")"
    }
}
