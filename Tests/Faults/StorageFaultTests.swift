import BusContract
import Domain
import Foundation
import Glibc
import Ledger
import TestSupport
import Testing

/// Disks that are full, read-only, gone, broken or slow: memory stays bounded, what is lost is counted, and recording
/// goes on by itself.
extension FaultTests {
    @Suite struct StorageFaultTests {
        private static func camera(_ disk: String) -> String {
            """
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
                storage: {path: \(disk), retention: {min_free: 1}}
            """
        }

        /// 64 MiB that others fill to the last byte and free again; in the full form, again and again.
        @Test(.enabled(if: OwnDisk.isPermitted, "this user may not mount a tmpfs"))
        func aDiskThatOthersFillAndFree() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            try OwnDisk.mount(on: disk, "size=64m")
            defer { umount2(disk, Int32(MNT_DETACH)) }
            try await Cluster.run(cameras: Self.camera(disk), rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                var outage = try Outage(cluster, "front")
                for round in 1...(isFullRun ? 5 : 1) {
                    try await fill(disk, cluster)
                    try await outage.isTold(.storageFull)
                    let freed = Date()
                    try FileManager.default.removeItem(atPath: "\(disk)/filler")
                    try await outage.isOver(gaps: round)
                    print("disk full, round \(round): recording again", freed.ago, "after space was freed;", outage)
                }
                try await outage.endsWell(.storageFull)
            }
        }

        private func fill(_ disk: String, _ cluster: Cluster) async throws {
            let filler = open("\(disk)/filler", O_WRONLY | O_CREAT, 0o600)
            try #require(filler >= 0)
            defer { close(filler) }
            let zeros = [UInt8](repeating: 0, count: 4096)
            try await eventually("the worker says that the disk is full", within: .seconds(30)) {
                while write(filler, zeros, zeros.count) > 0 {}
                return cluster.recording("front")?.error?.code == .storageFull
            }
        }

        /// Retention that keeps a tenth free: the disk never gets full, however long it records.
        @Test(.enabled(if: OwnDisk.isPermitted, "this user may not mount a tmpfs"))
        func retentionFreesSpaceInTime() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            try OwnDisk.mount(on: disk, "size=48m")
            defer { umount2(disk, Int32(MNT_DETACH)) }
            let clips = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: clips) }
            let clip = try await NoiseClip.make(in: clips)
            let camera = """
                  front:
                    source: "file://\(clip)?loop=1"
                    storage: {path: \(disk), retention: {min_free: 20MiB}}
                """
            try await Cluster.run(cameras: camera, rotation: "1s") { cluster in
                try await cluster.startRecording("front")
                try await eventually("three disks full were written", within: .seconds(120)) {
                    cluster.segments("front").reduce(0) { $0 + ($1.bytes ?? 0) } > 144 << 20
                }
                #expect(cluster.recording("front")?.state == .recording)
                #expect(cluster.gaps("front") == [])
                let reply: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/front/recording/set")
                #expect(reply.status == .ok, "\(reply)")
                // Retention still frees space for a while, and would take the files from under the reader.
                #expect(try await cluster.stop() == 0)
                let files = try FileManager.default.files(below: "\(disk)/front").filter { $0.hasSuffix(".mp4") }
                try await cluster.probe(files)
                print("retention: \(cluster.segments("front").count) segments on a disk of 48 MiB, \(files.count) left")
            }
        }

        @Test(.enabled(if: OwnDisk.isPermitted, "this user may not mount a tmpfs"))
        func aDiskThatIsRemountedReadOnly() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            try OwnDisk.mount(on: disk, "size=64m")
            defer { umount2(disk, Int32(MNT_DETACH)) }
            try await Cluster.run(cameras: Self.camera(disk), rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                var outage = try Outage(cluster, "front")
                // The kernel leaves a file system writable while a file on it is open for writing, unless its device
                // fails. So the same files are mounted once more on top, read-only: the next one cannot be made.
                try #require(mount(disk, disk, "none", UInt(MS_BIND), nil) == 0)
                try #require(mount("none", disk, "none", UInt(MS_REMOUNT | MS_BIND | MS_RDONLY), nil) == 0)
                try await outage.isTold(.storageFailed)
                try #require(umount2(disk, 0) == 0)
                let back = Date()
                try await outage.isOver(gaps: 1)
                print("disk read-only: recording again", back.ago, "after it was writable;", outage)
                try await outage.endsWell(.storageFailed)
            }
        }

        /// The mount goes away under an open file and comes back as the same one: nothing may be written beneath it.
        @Test(.enabled(if: OwnDisk.isPermitted, "this user may not mount a tmpfs"))
        func aMountThatVanishesAndComesBack() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            let device = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: device) }
            try OwnDisk.mount(on: device, "size=64m")
            defer { umount2(device, Int32(MNT_DETACH)) }
            func attach() throws {
                try #require(mount(device, disk, "none", UInt(MS_BIND), nil) == 0)
            }
            try attach()
            defer { umount2(disk, Int32(MNT_DETACH)) }
            try await Cluster.run(cameras: Self.camera(disk), rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                var outage = try Outage(cluster, "front")
                try #require(umount2(disk, Int32(MNT_DETACH)) == 0)
                try await outage.isTold(.storageFailed)
                try await eventually("it is tried again", within: .seconds(30)) {
                    try cluster.upLog().components(separatedBy: "storage still fails").count > 2
                }
                let picture = try await cluster.ask(
                    "{}", on: "cameras/front/snapshot/set", expecting: SnapshotResult.self)
                #expect(picture.error?.code == .storageFailed, "\(picture)")
                let beneath = try FileManager.default.files(below: disk)
                    .filter { $0.hasSuffix(".mp4") || $0.hasSuffix(".jpg") }
                #expect(beneath == [], "nothing fills the disk beneath")
                try attach()
                let back = Date()
                try await outage.isOver(gaps: 1)
                print("mount vanished: recording again", back.ago, "after it was back;", outage)
                try await outage.endsWell(.storageFailed)
            }
        }

        /// The device is broken, or the kernel has made the file system read-only under the open file.
        @Test(arguments: isFullRun ? [EIO, EROFS] : [EIO]) func aDiskThatFailsEveryWrite(number: Int32) async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            let faulty = try await FaultyDisk(disk, path: "front")
            try await Cluster.run(
                cameras: Self.camera(disk), rotation: "2s", launcher: faulty.launcher
            ) { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                var outage = try Outage(cluster, "front")
                try faulty.become(.fails(number))
                try await outage.isTold(.storageFailed)
                try faulty.become(.none)
                let back = Date()
                try await outage.isOver(gaps: 1)
                print("disk with errno \(number): recording again", back.ago, "after it took writes;", outage)
                try await outage.endsWell(.storageFailed)
            }
        }

        /// Three seconds for each write, with more video than its memory may hold.
        @Test func aDiskThatTakesSecondsForEachWrite() async throws {
            let disk = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: disk) }
            let clip = try await NoiseClip.make(in: disk)
            let faulty = try await FaultyDisk(disk, path: "front")
            let camera = """
                  front:
                    source: "file://\(clip)?loop=1"
                    storage: {path: \(disk)}
                  side:
                    source: "test://pattern?size=160x120&fps=25"
                    encoder: {gop: 1s}
                """
            try await Cluster.run(cameras: camera, rotation: "5s", launcher: faulty.launcher) { cluster in
                for name in ["front", "side"] { try await cluster.startRecording(name) }
                try await cluster.passSegments(1, of: "front")
                var outage = try Outage(cluster, "front")
                try faulty.become(.slow(milliseconds: 3000))
                try await eventually("frames are dropped", within: .seconds(90)) {
                    try outage.note()
                    return cluster.stats("front").last.map { $0.droppedTotal > 0 } ?? false
                }
                try await eventually("the health-monitor says why", within: .seconds(20)) {
                    try outage.note()
                    let reasons = cluster.health("front")?.reasons.map(\.code) ?? []
                    return reasons.contains(.storageSlow) && reasons.contains(.droppingFrames)
                }
                try faulty.become(.none)
                let back = Date()
                try await outage.isOver(gaps: 1, within: .seconds(60))
                print("disk of 3 s a write: recording again", back.ago, "after it was fast;", outage)
                #expect(cluster.gaps("side") == [] && cluster.holes("side") == [])
                try await outage.endsWell(.overrun, waits: isFullRun)
            }
        }
    }
}

/// What a worker does while its disk refuses, and afterwards.
struct Outage: CustomStringConvertible {
    /// 64 MiB wait for the disk at most; the rest is what a worker has anyway.
    static let growthMaxMiB = 96.0

    let cluster: Cluster
    let camera: String
    private let worker: Int32
    private let before: Double
    private var most: Double

    init(_ cluster: Cluster, _ camera: String) throws {
        self.cluster = cluster
        self.camera = camera
        worker = try cluster.pid(of: "capture-worker.\(camera)")
        before = try ProcessCost.pssMiB(worker)
        most = before
    }

    var description: String {
        String(format: "memory from %.1f to %.1f MiB, ", before, most)
            + cluster.gaps(camera).map { "\($0.framesLost ?? 0) frames lost in \($0.seconds) s" }
            .joined(separator: ", ")
    }

    mutating func note() throws { most = max(most, try ProcessCost.pssMiB(worker)) }

    /// The worker, and the health-monitor after it, say what is wrong.
    mutating func isTold(_ code: ErrorCode) async throws {
        try await eventually("the worker says \(code)", within: .seconds(30)) {
            try note()
            return cluster.recording(camera)?.error?.code == code
        }
        #expect(cluster.recording(camera)?.state == .failed)
        let reason: HealthReason.Code = code == .storageFull ? .storageFull : .storageFailed
        try await eventually("the health-monitor says so", within: .seconds(20)) {
            cluster.health(camera)?.status == .failing
                && cluster.health(camera)?.reasons.contains { $0.code == reason } == true
        }
    }

    mutating func isOver(gaps: Int, within: Duration = .seconds(10)) async throws {
        try await eventually("it records again", within: within) {
            try note()
            return cluster.recording(camera)?.state == .recording && cluster.gaps(camera).count >= gaps
        }
        #expect(most - before < Self.growthMaxMiB, "\(self)")
    }

    /// The same process, whole files, each gap counted frame by frame, and verdicts that are good again.
    /// - Parameter waits: whether to wait until what was a minute ago no longer counts.
    func endsWell(_ cause: GapCause, waits: Bool = true) async throws {
        try await cluster.passSegments(2, of: camera)
        #expect(try cluster.pid(of: "capture-worker.\(camera)") == worker, "it never left")
        if waits {
            try await eventually("it is well again", within: .seconds(90)) { cluster.health(camera)?.status == .ok }
        }
        try await cluster.stopAndVerify(camera)
        let gaps = cluster.gaps(camera)
        #expect(gaps.allSatisfy { $0.cause == cause }, "\(gaps)")
        // That the numbers skip just as many is what `verify` has found.
        #expect(gaps.allSatisfy { ($0.framesLost ?? 0) > 0 }, "\(gaps)")
        let folder = cluster.segments(camera).isEmpty ? "" : try storage()
        try await cluster.probe(try FileManager.default.files(below: folder).filter { $0.hasSuffix(".mp4") })
        #expect(try FileManager.default.files(below: folder).allSatisfy { !$0.hasSuffix(".partial.mp4") })
    }

    private func storage() throws -> String {
        let text = try String(contentsOfFile: cluster.config, encoding: .utf8)
        let path = text.components(separatedBy: "storage: {path: ").last?.prefix { $0 != "," && $0 != "}" }
        return try #require(path.map { "\($0)/\(camera)" })
    }
}

/// A clip of noise, which no codec makes small.
enum NoiseClip {
    static func make(seconds: Int = 4, in folder: String) async throws -> String {
        let path = "\(folder)/noise.mp4"
        _ = try await Tool.run(
            "ffmpeg",
            [
                "-y", "-v", "error", "-f", "lavfi", "-i",
                "testsrc2=size=480x360:rate=25:duration=\(seconds),noise=alls=100:allf=t+u", "-c:v", "libx264",
                "-preset", "ultrafast", "-qp", "8", "-g", "25", "-pix_fmt", "yuv420p", path,
            ])
        return path
    }
}

/// A file system of a test's own, which not every container lets even root mount.
enum OwnDisk {
    static let isPermitted: Bool = {
        guard let folder = try? Scratch.folder() else { return false }
        defer { rmdir(folder) }
        guard Glibc.mount("framekeeper-test", folder, "tmpfs", 0, "size=64k") == 0 else { return false }
        umount2(folder, Int32(MNT_DETACH))
        return true
    }()

    static func mount(on folder: String, _ options: String) throws {
        try #require(Glibc.mount("framekeeper-test", folder, "tmpfs", 0, options) == 0)
    }
}

extension Cluster {
    func health(_ camera: String) -> CameraHealth? { log.state(CameraHealth.self, at: CameraID(unchecked: camera)) }
    func verdicts(_ camera: String) -> [CameraHealth] {
        log.events(CameraHealth.self, at: CameraID(unchecked: camera))
    }
    /// When and with what the worker first said that its source had failed, by its own clock.
    func failure(_ camera: String) -> (at: WallTime, code: ErrorCode)? {
        let told = zip(streams(camera), log.stamped(StreamState.self, at: CameraID(unchecked: camera)))
        return told.lazy.compactMap { state, at in state.error.map { (at: at, code: $0.code) } }.first
    }
    func stats(_ camera: String) -> [StreamStats] { log.events(StreamStats.self, at: CameraID(unchecked: camera)) }
}

extension FileManager {
    func files(below folder: String) throws -> [String] {
        let names = enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return names.map { "\(folder)/\($0)" }.sorted()
    }
}
