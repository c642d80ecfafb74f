import ClusterConfig
import Domain
import Foundation
import RotationServiceCore
import TestSupport
import Testing

@testable import RotationServiceShell

/// Which limit of the file binds what.
@Suite struct NodeSettingsTests {
    private let fleet = RetentionLimits(
        maxAge: .seconds(30 * 86_400), maxSize: ByteCount(1000), minFree: ByteCount(10))

    private func settings(
        main: String = "/main", _ cameras: [(name: String, path: String, retention: RetentionLimits)]
    ) throws -> NodeSettings {
        let node = NodeID(unchecked: "node")
        let source = try SourceAddress("test://pattern")
        return NodeSettings(
            ClusterConfiguration(
                node: node, stateDir: "/state", storage: StorageSettings(path: main, retention: fleet),
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

    @Test(arguments: [true, false]) func twoNamesOfOneFolderAreOneRoom(isMade: Bool) throws {
        let disk = try Scratch.folder()
        defer { try? FileManager.default.removeItem(atPath: disk) }
        try FileManager.default.createSymbolicLink(atPath: disk + "/link", withDestinationPath: disk)
        let main = disk + "/recordings"
        if isMade { try FileManager.default.createDirectory(atPath: main, withIntermediateDirectories: false) }
        let free = RetentionLimits(minFree: ByteCount(50))
        let settings = try settings(
            main: main,
            [
                ("a", main, RetentionLimits()), ("b", disk + "/link/recordings", free),
                ("c", disk + "/link/others", RetentionLimits()), ("d", disk + "/others", RetentionLimits()),
            ])
        let (first, second) = (StorageFolder(main), StorageFolder(disk + "/link/others"))
        #expect(settings.folders.map(\.folder) == [first, second])
        #expect(settings.cameras.map(\.folder) == [first, first, second, second])
        #expect(limits(main, settings)?.minFree == ByteCount(50))
    }
}
