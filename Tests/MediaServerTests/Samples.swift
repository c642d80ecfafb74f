import ClusterConfig
import Domain
import MediaServer

/// Cameras and settings as tests want them.
enum Samples {
    static let node = NodeID(unchecked: "attic")

    static func fleet(
        _ publish: MediaServerSettings.Publishing = .onDemand, hookURL: String = "http://127.0.0.1:9921"
    ) -> PathSettings.Fleet {
        PathSettings.Fleet(node: node, publish: publish, hookURL: hookURL)
    }

    static func camera(
        _ id: String, source: String = "test://pattern", ingest: Ingest = .worker, startTimeout: Duration = .seconds(10)
    ) throws -> CameraConfiguration {
        var lifecycle = LifecyclePolicies()
        lifecycle.viewing.startTimeout = startTimeout
        return CameraConfiguration(
            id: CameraID(unchecked: id), source: try SourceAddress(source), ingest: ingest, node: node,
            lifecycle: lifecycle, storage: StorageSettings(path: "/nonexistent"))
    }

    static func path(_ id: String, _ publish: MediaServerSettings.Publishing = .onDemand) throws -> PathSettings {
        guard let path = PathSettings(try camera(id), fleet: fleet(publish)) else { throw Missing() }
        return path
    }

    struct Missing: Error {}
}

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
    var text: String { String(decoding: self, as: UTF8.self) }
}
