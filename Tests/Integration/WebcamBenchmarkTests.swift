import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// What a webcam costs, printed and not judged: a recording worker beside ffmpeg, in turns on the same emulated camera.
/// The emulation's own part (a copy of each picture into the driver's buffer) is in both figures.
extension NodeTests {
    @Suite struct WebcamBenchmarkTests {
        private static let rounds = isFullRun ? 9 : 3
        private static let window: Duration = isFullRun ? .seconds(10) : .seconds(4)

        /// Raw pictures: one encoding, 4:2:0 on both sides.
        @Test func costOfEncoding() async throws {
            let cameras = try EmulatedCameras()
            let clip = try MediaFixtures().clipForCamera(size: "640x360")
            let raw = try cameras.clip(
                "raw", CameraPictures.raw(clip.path, pixelFormat: "yuyv422", bytesEach: 640 * 360 * 2))
            try cameras.plug(
                "video0", card: "Desk", [.init(format: "YUYV", width: 640, height: 360, fps: 30, clip: raw)])
            try await compare(
                "CPU of 640x360 at 30 fps, YUYV to H.264", cameras, encoder: "libx264",
                [
                    "-input_format", "yuyv422", "-video_size", "640x360", "-framerate", "30", "-i", "/dev/video0",
                    "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
                ])
        }

        @Test func costOfCopying() async throws {
            let cameras = try EmulatedCameras()
            let clip = try MediaFixtures().clipForCamera(size: "640x360")
            let coded = try cameras.clip("coded", CameraPictures.h264(clip.path, gop: 30))
            try cameras.plug(
                "video0", card: "Desk", [.init(format: "H264", width: 640, height: 360, fps: 30, clip: coded)])
            try await compare(
                "CPU of 640x360 at 30 fps, H.264 copied", cameras, encoder: nil,
                [
                    "-input_format", "h264", "-video_size", "640x360", "-framerate", "30", "-i", "/dev/video0",
                    "-c:v", "copy",
                ])
        }

        private func compare(
            _ what: String, _ cameras: EmulatedCameras, encoder: String?, _ input: [String]
        ) async throws {
            let preload = try await EmulatedCameras.preload()
            let configuration = #"  desk: {source: "v4l2:///dev/video0?size=640x360&fps=30", encoder: software}"#
            try await Cluster.run(cameras: configuration, launcher: cameras.launcher) { cluster in
                var (own, peer): ([Double], [Double]) = ([], [])
                var peerFrames = 0
                for round in 0..<Self.rounds {
                    try await cluster.startRecording("desk")
                    let given = try #require(cluster.stream("desk")?.input)
                    #expect(given.encoder == encoder && given.width == 640 && given.fps == 30)
                    own.append(try await share(of: try cluster.pid(of: "capture-worker.desk")))
                    let _: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/desk/recording/set")
                    let file = "\(cameras.folder)/\(round).mp4"
                    let ffmpeg = try ChildProcess(
                        cameras.launcher + ["env", preload, "ffmpeg", "-nostdin", "-v", "error", "-f", "v4l2"] + input
                            + ["-movflags", "+frag_keyframe+empty_moov+default_base_moof", "-y", file],
                        output: "\(cameras.folder)/ffmpeg.log")
                    try await eventually("ffmpeg has written", within: .seconds(30)) {
                        guard ffmpeg.exitStatus() == nil else {
                            throw CodedError(
                                .internal, try String(contentsOfFile: "\(cameras.folder)/ffmpeg.log", encoding: .utf8))
                        }
                        return ((try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0) > 2000
                    }
                    peer.append(try await share(of: ffmpeg.pid))
                    ffmpeg.kill()
                    peerFrames += try MediaFixtures().ffprobe("packet=pts_time", file).split(separator: "\n").count
                }
                try await cluster.verify()
                let frames = cluster.log.events(SegmentEvent.self, at: CameraID(unchecked: "desk"))
                    .filter { $0.event == .closed }.reduce(0) { $0 + Int($1.frames ?? 0) }
                #expect(frames > 0 && peerFrames > 0)
                let (median, other) = (own.sorted()[own.count / 2], peer.sorted()[peer.count / 2])
                print(
                    "benchmark: \(what):",
                    String(
                        format: "%.1f%% of a core (median of %d, %d frames); ffmpeg: %.1f%% (%d frames); ratio %.2f",
                        median * 100, own.count, frames, other * 100, peerFrames, median / other))
            }
        }

        /// Of one core, over the window.
        private func share(of pid: Int32) async throws -> Double {
            let before = try ProcessCost.cpuSeconds(pid)
            let begin = ContinuousClock.now
            try await eventually("the window passes", within: Self.window + .seconds(30)) {
                ContinuousClock.now - begin >= Self.window
            }
            let took = ContinuousClock.now - begin
            return (try ProcessCost.cpuSeconds(pid) - before) / took.seconds
        }
    }
}

extension MediaFixtures {
    /// Two seconds at 30 fps; the clip lives as long as this fixture.
    fileprivate func clipForCamera(size: String) throws -> (fixtures: MediaFixtures, path: String) {
        (self, try clip("clip.mp4", seconds: 2, size: size, rate: 30))
    }
}
