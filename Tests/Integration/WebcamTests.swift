import BusContract
import Domain
import Foundation
import Media
import TestSupport
import Testing

/// Webcams through libv4l2, emulated: files that a plugin of libv4l turns into cameras (see `EmulatedCameras`). What
/// only a kernel can prove is proved in a virtual machine (Tests/VideoDevices/vm).
extension NodeTests {
    @Suite struct WebcamTests {
        private typealias Mode = EmulatedCameras.Mode

        /// Each delivers numbered pictures; every one of them is in exactly one file.
        @Test func threeKindsAreRecordedAndEveryFrameIsThere() async throws {
            let cameras = try EmulatedCameras()
            let clips = try cameras.numberedClips()
            // The device takes the first of its modes unless it is told the rate.
            try cameras.plug(
                "video0", card: "Raw",
                [Mode(format: "YUYV", fps: 10, clip: clips.raw), Mode(format: "YUYV", clip: clips.raw)])
            try cameras.plug(
                "video1", card: "Jpeg",
                [Mode(format: "YUYV", fps: 10, clip: clips.raw), Mode(format: "MJPG", clip: clips.jpeg)])
            try cameras.plug(
                "video2", card: "Coded",
                [Mode(format: "H264", clip: clips.coded), Mode(format: "MJPG", clip: clips.jpeg)],
                stableName: "usb-Maker_Coded_0815-video-index0")
            let configuration = """
                  raw: {source: "v4l2:///dev/video0?size=300x200&fps=30"}
                  jpeg: {source: "v4l2:///dev/video1?size=320x180&fps=30"}
                  coded: {source: "v4l2:///dev/v4l/by-id/usb-Maker_Coded_0815-video-index0?size=320x180"}
                """
            try await Cluster.run(cameras: configuration, rotation: "2s", launcher: cameras.launcher) { cluster in
                for camera in ["raw", "jpeg", "coded"] { try await cluster.startRecording(camera) }
                let raw = try #require(cluster.stream("raw")?.input)
                #expect(raw.format == "YUYV" && raw.wanted == "300x200" && raw.encoder == "libx264")
                #expect(raw.device == "/dev/video0" && raw.width == 320 && raw.height == 180 && raw.fps == 30)
                let said = try cluster.upLog().split(separator: "\n").filter { $0.contains("[capture-worker/raw]") }
                let opened = try #require(said.first { $0.contains(" source open ") })
                #expect(opened.contains(" wanted=300x200") && opened.contains(" size=320x180"))
                #expect(said.contains { $0.contains(" no hardware encoder works, libx264 is used (h264_v4l2m2m: ") })
                let jpeg = try #require(cluster.stream("jpeg")?.input)
                #expect(jpeg.format == "MJPG" && jpeg.wanted == nil && jpeg.encoder == "libx264")
                let coded = try #require(cluster.stream("coded")?.input)
                #expect(coded.format == "H264" && coded.device == "/dev/video2" && coded.encoder == nil)
                for camera in ["raw", "jpeg", "coded"] { try await cluster.passSegments(4, of: camera) }
                try await cluster.stopAndVerify("raw", "jpeg", "coded")
                for camera in ["raw", "jpeg", "coded"] {
                    #expect(cluster.gaps(camera).isEmpty)
                    let numbers = try cluster.files(camera).flatMap { try TestPatternReading.numbers(in: $0) }
                    #expect(numbers.count > 200)
                    let steps = zip(numbers, numbers.dropFirst()).map { (Int($1) - Int($0) + 60) % 60 }
                    #expect(steps.allSatisfy { $0 == 1 }, "\(camera): every picture, once, in order")
                }
                for camera in ["raw", "jpeg"] {
                    let offsets = cluster.segments(camera).compactMap(\.offsetSeconds)
                    #expect(offsets.count >= 3 && offsets.allSatisfy { (0...0.034).contains($0) }, "\(offsets)")
                }
            }
        }

        /// Configured by its node; it comes back as another one, and its name leads there.
        @Test func aCameraThatIsPluggedInAgainIsFoundByItsName() async throws {
            let cameras = try EmulatedCameras()
            let modes = [Mode(format: "YUYV", clip: try cameras.numberedClips().raw)]
            try cameras.plug("video0", card: "Desk", modes, stableName: "usb-Maker_Desk_4711-video-index0")
            let configuration = #"  desk: {source: "v4l2:///dev/video0?size=320x180"}"#
            try await Cluster.run(cameras: configuration, rotation: "2s", launcher: cameras.launcher) { cluster in
                try await cluster.startRecording("desk")
                let session = cluster.recording("desk")?.session
                try await cluster.passSegments(1, of: "desk")
                try cameras.unplug("video0")
                try await eventually("the loss is seen", within: .seconds(20)) {
                    cluster.streams("desk").contains { $0.error?.message == "/dev/video0 was unplugged" }
                }
                try await eventually("it is said what is missing", within: .seconds(20)) {
                    cluster.stream("desk")?.error?.message == "no such device /dev/video0; there is none at all"
                }
                // Another camera takes its place, and is not recorded in its stead.
                try cameras.plug("video0", card: "Hall", modes, stableName: "usb-Maker_Hall_1-video-index0")
                try await eventually("the other one is refused", within: .seconds(60)) {
                    cluster.stream("desk")?.error?.message.contains("/dev/video0 is another camera now") == true
                }
                try cameras.plug("video3", card: "Desk", modes, stableName: "usb-Maker_Desk_4711-video-index0")
                try await eventually("it goes on", within: .seconds(60)) {
                    cluster.stream("desk")?.input?.device == "/dev/video3"
                }
                try await cluster.passSegments(2, of: "desk")
                #expect(cluster.recording("desk")?.session == session)
                try await cluster.stopAndVerify("desk")
                let gaps = cluster.gaps("desk")
                #expect(gaps.count == 1 && gaps.first?.cause == .sourceLost && gaps.first?.session == session)
            }
        }

        @Test func aCameraInUseIsRefusedWithWhoUsesItAndRecordedWhenItIsFree() async throws {
            let cameras = try EmulatedCameras()
            try cameras.plug(
                "video0", card: "Shared", [Mode(format: "YUYV", clip: try cameras.numberedClips().raw)])
            let holder = try ChildProcess(
                cameras.launcher + [
                    "env", try await EmulatedCameras.preload(), "ffmpeg", "-nostdin", "-v", "error", "-f", "v4l2",
                    "-i", "/dev/video0", "-f", "null", "-",
                ], output: "\(cameras.folder)/ffmpeg.log")
            try await eventually("ffmpeg has it", within: .seconds(20)) {
                try await cameras.framekeeper("devices").contains("busy: ffmpeg (pid \(holder.pid))")
            }
            let configuration = #"  shared: {source: "v4l2:///dev/video0?size=320x180"}"#
            try await Cluster.run(cameras: configuration, launcher: cameras.launcher) { cluster in
                try await cluster.ready("shared")
                let refusal: Reply<RecordingResult> = try await cluster.ask(
                    "ON", on: "cameras/shared/recording/set")
                #expect(refusal.error?.code == .sourceUnavailable)
                let sentence = "/dev/video0 is in use by ffmpeg (pid \(holder.pid))"
                #expect(refusal.error?.message.contains(sentence) == true, "\(refusal)")
                let sick = try await cluster.framekeeper("doctor")
                #expect(sick.status == 1 && sick.output.contains("device of shared: Shared is in use by ffmpeg"))
                holder.kill()
                try await eventually("a recording", within: .seconds(60)) {
                    cluster.recording("shared")?.state == .recording
                }
                let well = try await cluster.framekeeper("doctor")
                #expect(well.output.contains("ok       device of shared: Shared, /dev/video0, open by its worker"))
                try await cluster.stopAndVerify("shared")
            }
        }

        /// What the driver lost, what came damaged, and a camera that falls silent.
        @Test func whatTheCameraLosesIsKnown() async throws {
            let cameras = try EmulatedCameras()
            let clips = try cameras.numberedClips()
            try cameras.plug("video0", card: "Raw", [Mode(format: "YUYV", clip: clips.raw)])
            try cameras.plug("video1", card: "Coded", [Mode(format: "H264", clip: clips.coded)])
            let configuration = """
                  raw: {source: "v4l2:///dev/video0?size=320x180"}
                  coded: {source: "v4l2:///dev/video1?size=320x180"}
                """
            try await Cluster.run(cameras: configuration, rotation: "2s", launcher: cameras.launcher) { cluster in
                for camera in ["raw", "coded"] { try await cluster.startRecording(camera) }
                for (number, camera) in ["raw", "coded"].enumerated() {
                    try await cluster.passSegments(1, of: camera)
                    try cameras.tell("video\(number)", "lose=3")
                    try await gapsOf(camera, 1, cluster)
                    try cameras.tell("video\(number)", "damage=2")
                    try await gapsOf(camera, 2, cluster)
                    let said = cluster.streams(camera).count
                    try cameras.tell("video\(number)", "silent=1")
                    try await eventually("the stall is seen", within: .seconds(20)) {
                        cluster.streams(camera).dropFirst(said).contains {
                            $0.error?.message == "/dev/video\(number) sent no picture for 1.8 s"
                        }
                    }
                    try cameras.tell("video\(number)", "silent=0")
                    try await gapsOf(camera, 3, cluster)
                    try await eventually("what was lost is in the log", within: .seconds(10)) {
                        let said = try cluster.upLog().split(separator: "\n").filter {
                            $0.contains("[capture-worker/\(camera)]") && $0.contains("pictures lost by the device")
                        }
                        return said.contains { $0.contains(" frames lost: ") }
                            && said.contains { $0.contains(" source closed ") }
                    }
                    #expect(cluster.gaps(camera).map(\.cause) == [.overrun, .overrun, .sourceStalled])
                }
                #expect(cluster.gaps("raw").first?.framesLost == 3)
                // Up to the next key frame, since what refers to a lost picture is none.
                let lost = try #require(cluster.gaps("coded").first?.framesLost)
                #expect(lost >= 3 && lost < 3 + 15)
                try await cluster.stopAndVerify("raw", "coded")
            }
        }

        private func gapsOf(_ camera: String, _ count: Int, _ cluster: Cluster) async throws {
            try await eventually("\(count) gaps of \(camera)", within: .seconds(30)) {
                cluster.gaps(camera).count >= count
            }
        }

        /// A driver's stamps say when a picture was taken, however late it is handed out; where they are of another
        /// clock, every picture is recorded all the same.
        @Test func timestampsAreTheDriversWhereTheyCanBe() async throws {
            let cameras = try EmulatedCameras()
            let clips = try cameras.numberedClips()
            for (node, words) in [("video0", "late=25"), ("video1", "stamps=none")] {
                try cameras.plug(node, card: node, [Mode(format: "YUYV", clip: clips.raw)])
                try cameras.tell(node, words)
            }
            let configuration = """
                  late: {source: "v4l2:///dev/video0?size=320x180&fps=30", encoder: software}
                  bare: {source: "v4l2:///dev/video1?size=320x180&fps=30", encoder: software}
                """
            try await Cluster.run(cameras: configuration, rotation: "2s", launcher: cameras.launcher) { cluster in
                for camera in ["late", "bare"] { try await cluster.startRecording(camera) }
                for camera in ["late", "bare"] { try await cluster.passSegments(2, of: camera) }
                try await cluster.stopAndVerify("late", "bare")
                for path in try cluster.files("late") {
                    // Within a file no picture is missing.
                    let moments = try Self.moments(in: path)
                    let steps = zip(moments, moments.dropFirst()).map { $1 - $0 }
                    #expect(steps.allSatisfy { abs($0 - 1 / 30) < 0.000_1 }, "\(path): \(steps)")
                }
                for path in try cluster.files("bare") {
                    let moments = try Self.moments(in: path)
                    #expect(zip(moments, moments.dropFirst()).allSatisfy { $0 < $1 })
                    let numbers = try TestPatternReading.numbers(in: path)
                    let steps = zip(numbers, numbers.dropFirst()).map { (Int($1) - Int($0) + 60) % 60 }
                    #expect(numbers.count == moments.count && steps.allSatisfy { $0 == 1 })
                }
            }
        }

        private static func moments(in path: String) throws -> [Double] {
            try MediaFixtures().ffprobe("packet=pts_time", path).split(separator: "\n").compactMap { Double($0) }
        }

        /// An encoder that cannot keep up: 200 pictures a second with a preset for archives.
        @Test func whatTheEncoderHasNoTimeForIsAnOverrun() async throws {
            let cameras = try EmulatedCameras()
            let noise = (0..<4).map { seed in
                var random = SeededRandom(seed: UInt64(seed))
                return (0..<320 * 180 * 2).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            }
            try cameras.plug(
                "video0", card: "Fast",
                [Mode(format: "YUYV", fps: 200, clip: try cameras.clip("noise", noise))])
            let configuration =
                #"  fast: {source: "v4l2:///dev/video0?size=320x180&fps=200", "#
                + "encoder: {preset: veryslow, gop: 500ms}}"
            try await Cluster.run(cameras: configuration, launcher: cameras.launcher) { cluster in
                try await cluster.startRecording("fast")
                try await eventually("overruns", within: .seconds(30)) {
                    cluster.gaps("fast").contains { $0.cause == .overrun && ($0.framesLost ?? 0) > 0 }
                }
                try await eventually("they are counted", within: .seconds(10)) {
                    cluster.log.events(StreamStats.self, at: CameraID(unchecked: "fast")).contains {
                        $0.droppedTotal > 0
                    }
                }
                let worker = try cluster.pid(of: "capture-worker.fast")
                #expect(try ProcessCost.pssMiB(worker) < 300, "nothing piles up")
                try await cluster.stopAndVerify("fast")
            }
        }
    }
}
