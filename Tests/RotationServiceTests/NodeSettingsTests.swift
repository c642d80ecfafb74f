import ClusterConfig
import Domain
import RotationServiceCore
import Testing

@testable import RotationServiceShell

/// Which limit of the file binds what.
@Suite struct NodeSettingsTests {
    private let fleet = RetentionLimits(
        maxAge: .seconds(30 * 86_400), maxSize: ByteCount(1000), minFree: ByteCount(10))

    private func settings(_ cameras: [(name: String, path: String, retention: RetentionLimits)]) throws -> NodeSettings
    {
        let node = NodeID(unchecked: "node")
        let source = try SourceAddress("test://pattern")
        return NodeSettings(
            ClusterConfiguration(
                node: node, stateDir: "/state", storage: StorageSettings(path: "/main", retention: fleet),
                cameras: cameras.map { camera in
                    CameraConfiguration(
                        id: CameraID(unchecked: camera.name), source: source, node: node,
                        storage: StorageSettings(path: camera.path, retention: camera.retention))
                }))
    }

    private func limits(_ path: String, _ settings: NodeSettings) -> RetentionLimits? {
        settings.folders.first { $0.folder == StorageFolder(path) }?.retention
    }

    @Test func theSizeOfOneCameraBindsNoOtherInItsFolder() throws {
        let (small, large) = (ByteCount(100), ByteCount(2000))
        for order in [[small, large], [large, small]] {
            let settings = try settings(
                order.enumerated().map { ("c\($0)", "/disk2", RetentionLimits(maxAge: .seconds(86_400), maxSize: $1)) })
            #expect(limits("/disk2", settings) == RetentionLimits(maxAge: fleet.maxAge))
            #expect(settings.cameras.map { $0.retention.maxSize } == order)
            #expect(limits("/main", settings) == fleet)
        }
    }

    @Test func theMostFreeSpaceThatACameraAsksForBindsItsDisk() throws {
        let settings = try settings([
            ("a", "/main", RetentionLimits(minFree: ByteCount(50))),
            ("b", "/disk2", RetentionLimits(minFree: ByteCount(20))),
            ("c", "/disk2", RetentionLimits(minFree: ByteCount(70))),
        ])
        #expect(limits("/main", settings)?.minFree == ByteCount(50))
        #expect(limits("/disk2", settings)?.minFree == ByteCount(70))
    }
}
