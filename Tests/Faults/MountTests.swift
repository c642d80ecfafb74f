import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// A disk that is not mounted when services start again.
extension FaultTests {
    @Suite(.enabled(if: OwnDisk.isPermitted, "this user may not mount a tmpfs")) struct MountTests {
        /// The storage is a folder on the mount, and nothing is running that would remember it: neither recordings nor
        /// a ledger may come to lie beneath, where they would be hidden when the disk is back.
        @Test func aMountThatIsAwayWhenServicesStart() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            let device = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: device) }
            try OwnDisk.mount(on: device, "size=64m")
            defer { umount2(device, Int32(MNT_DETACH)) }
            func attach() throws { try #require(mount(device, disk, "none", UInt(MS_BIND), nil) == 0) }
            try attach()
            defer { umount2(disk, Int32(MNT_DETACH)) }
            let camera = """
                  front:
                    source: "test://pattern?size=160x120&fps=25"
                    encoder: {gop: 1s}
                    storage: {path: \(disk)/cameras/indoors}
                """
            try await Cluster.run(cameras: camera, rotation: "2s") { cluster in
                let node = NodeID(unchecked: "node1")
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                try #require(umount2(disk, Int32(MNT_DETACH)) == 0)
                cluster.log.forgetStates()
                for name in ["capture-worker.front", "rotation-service"] { try cluster.signal(name, SIGKILL) }
                try await eventually("the worker's successor says that it is away", within: .seconds(30)) {
                    guard let error = cluster.recording("front")?.error else { return false }
                    return error.code == .storageFailed && error.message.contains("nothing is mounted at")
                }
                try await eventually("so does the rotation-service's", within: .seconds(30)) {
                    cluster.log.state(StorageState.self, at: node)?.status == .failed
                }
                #expect(try FileManager.default.files(below: disk) == [], "nothing is written beneath")
                try attach()
                try await eventually("it records again", within: .seconds(60)) {
                    cluster.recording("front")?.state == .recording
                        && cluster.log.state(StorageState.self, at: node)?.status == .ok
                }
                try await cluster.passSegments(2, of: "front")
                try await cluster.stopAndVerify("front")
                #expect(cluster.gaps("front").map(\.cause) == [.workerDied])
            }
        }
    }
}
