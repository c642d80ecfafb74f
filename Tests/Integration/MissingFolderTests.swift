import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// A disk that is away when a worker starts. One that goes while it records is among the faults.
extension NodeTests {
    @Suite struct MissingFolderTests {
        /// Why a worker does not get its folder.
        enum Refusal: String, CaseIterable {
            case readOnlyMount, fileInItsPlace
        }

        @Test(arguments: Refusal.allCases)
        func aWorkerThatStartsWithoutItsFolderWaitsForIt(refusal: Refusal) async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            guard try refuse(disk, refusal) else { return }
            defer { if refusal == .readOnlyMount { umount2(disk, Int32(MNT_DETACH)) } }
            let camera = """
                  front:
                    source: "test://pattern?size=160x120&fps=25"
                    encoder: {gop: 1s}
                    record: always
                    storage: {path: \(disk), retention: {min_free: 1}}
                """
            try await Cluster.run(cameras: camera, rotation: "2s") { cluster in
                try await cluster.ready("front")
                let worker = try cluster.pid(of: "capture-worker.front")
                #expect(cluster.recording("front")?.state == .failed)
                let reply: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/front/recording/set")
                #expect(reply.error?.code == .storageFailed, "\(reply)")
                let picture = try await cluster.ask(
                    "PRESS", on: "cameras/front/snapshot/set", expecting: SnapshotResult.self)
                #expect(picture.error?.code == .storageFailed, "\(picture)")
                try await eventually("it is tried again", within: .seconds(30)) {
                    try cluster.upLog().components(separatedBy: "folder not usable").count > 3
                }
                try allow(disk, refusal)
                let mended = Date()
                try await eventually("it records", within: .seconds(40)) {
                    cluster.recording("front")?.state == .recording
                }
                print("\(refusal): recording", mended.ago, "after the folder was there")
                #expect(try cluster.pid(of: "capture-worker.front") == worker, "it never left")
                try await cluster.passSegments(1, of: "front")
                try await cluster.verify()
            }
        }

        /// False where that is not permitted.
        private func refuse(_ disk: String, _ refusal: Refusal) throws -> Bool {
            switch refusal {
            case .fileInItsPlace: try Data().write(to: URL(fileURLWithPath: "\(disk)/front"))
            case .readOnlyMount:
                guard mount("framekeeper-test", disk, "tmpfs", UInt(MS_RDONLY), "size=16m") == 0 else {
                    print("SKIPPED: a read-only disk: mount is not permitted here:", String(cString: strerror(errno)))
                    return false
                }
            }
            return true
        }

        private func allow(_ disk: String, _ refusal: Refusal) throws {
            switch refusal {
            case .fileInItsPlace: try FileManager.default.removeItem(atPath: "\(disk)/front")
            case .readOnlyMount:
                try #require(mount("framekeeper-test", disk, "tmpfs", UInt(MS_REMOUNT), "size=16m") == 0)
            }
        }
    }
}
