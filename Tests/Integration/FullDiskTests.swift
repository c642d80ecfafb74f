import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// A disk that is really full: a small tmpfs.
extension NodeTests {
    @Suite struct FullDiskTests {
        @Test func aFullDiskCostsCountedFramesAndHealsByItself() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            guard mount("framekeeper-test", disk, "tmpfs", 0, "size=8m") == 0 else {
                print("SKIPPED: a full disk: mount is not permitted here:", String(cString: strerror(errno)))
                return
            }
            defer { umount2(disk, Int32(MNT_DETACH)) }
            let camera = """
                  front:
                    source: "test://pattern?size=160x120&fps=25"
                    encoder: {gop: 1s}
                    storage: {path: \(disk), retention: {min_free: 1}}
                """
            try await Cluster.run(cameras: camera, rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                let worker = try cluster.pid(of: "capture-worker.front")
                let memory = try ProcessCost.pssMiB(worker)
                try await fillUp(disk, cluster)
                let grown = try ProcessCost.pssMiB(worker) - memory
                #expect(grown < 64, "\(grown) MiB more while the disk was full")
                let freed = Date()
                try FileManager.default.removeItem(atPath: "\(disk)/filler")
                // The disk is looked at every 2 s, and a segment begins with a key frame.
                try await eventually("it records again", within: .seconds(10)) {
                    cluster.recording("front")?.state == .recording && !cluster.gaps("front").isEmpty
                }
                print(
                    "disk full: recording again", freed.ago, "after space was freed; memory grew by",
                    String(format: "%.1f MiB", grown))
                try await cluster.passSegments(2, of: "front")
                #expect(try cluster.pid(of: "capture-worker.front") == worker)
                try await cluster.stopAndVerify("front")
                try await checkLoss(cluster, disk)
            }
        }

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

        /// Fills the disk and waits until the worker has failed to write and failed again.
        private func fillUp(_ disk: String, _ cluster: Cluster) async throws {
            let filler = open("\(disk)/filler", O_WRONLY | O_CREAT, 0o600)
            try #require(filler >= 0)
            defer { close(filler) }
            // To the last byte: what a write frees elsewhere meanwhile is taken too.
            let zeros = [UInt8](repeating: 0, count: 4096)
            try await eventually("the worker says that the disk is full", within: .seconds(30)) {
                while write(filler, zeros, zeros.count) > 0 {}
                return cluster.recording("front")?.error?.code == .storageFull
            }
            #expect(cluster.recording("front")?.state == .failed)
            try await eventually("it is tried again", within: .seconds(30)) {
                try cluster.upLog().components(separatedBy: "storage still fails").count > 3
            }
        }

        private func checkLoss(_ cluster: Cluster, _ disk: String) async throws {
            let gaps = cluster.gaps("front")
            #expect(gaps.map(\.cause) == [.storageFull])
            let lost = try #require(gaps.first?.framesLost)
            #expect(lost > 0)
            #expect(cluster.holes("front") == [lost], "the numbers count the same frames")
            let ledger = try LedgerStore(storage: disk, access: .reader, now: WallTime(milliseconds: 0))
            #expect(try ledger.gaps(LedgerQuery()).map(\.framesLost) == [lost])
            let names = FileManager.default.enumerator(atPath: "\(disk)/front")?.compactMap { $0 as? String } ?? []
            let files = names.filter { $0.hasSuffix(".mp4") }.map { "\(disk)/front/\($0)" }
            #expect(files.allSatisfy { !$0.hasSuffix(".partial.mp4") })
            try await cluster.probe(files)
            print("disk full: \(lost) frames lost in", gaps.map(\.seconds), "s, \(files.count) files")
        }
    }
}
