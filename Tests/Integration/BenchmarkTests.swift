import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Numbers, printed and not judged: no machine is too slow to pass. Each stands beside a peer in the same run. Only the
/// long form judges what an idle node costs.
extension NodeTests {
    @Suite struct BenchmarkTests {
        static let runs = isFullRun ? 20 : 5

        /// From the command to the reply, which comes when the first frame is on disk.
        @Test func startLatencyOfAnIdlePattern() async throws {
            let camera = """
                  front:
                    source: "test://pattern?size=1280x720&fps=30"
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("front")
                var seconds: [Double] = []
                for _ in 0..<Self.runs { seconds.append(try await startAndStop("front", cluster)) }
                let peer = try await firstFileOfFFmpeg(
                    [
                        "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30", "-c:v", "libx264", "-preset",
                        "ultrafast",
                        "-tune", "zerolatency",
                    ])
                report("start, idle 720p30 pattern", seconds, beside: peer, of: "ffmpeg testsrc2, libx264 ultrafast")
            }
        }

        /// Kept warm by pre-roll, and by the close-after of the recording before.
        @Test(arguments: ["preroll: 2s", "lifecycle: {recording: {close_after: 60s}}"])
        func startLatencyOfAWarmRTSPCamera(warmth: String) async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let server = try ChildProcess(
                [try Products.project("compose/rtsp-camera.py"), "--fps", "15", "--gop", "15"],
                output: "\(folder)/camera.log")
            let address = try await eventually("the RTSP camera answers", within: .seconds(20)) {
                try String(contentsOfFile: "\(folder)/camera.log", encoding: .utf8).split(separator: "\n").first {
                    $0.hasPrefix("rtsp://")
                }
            }
            let camera = """
                  door:
                    source: \(address)
                    \(warmth)
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("door")
                let cold = try await startAndStop("door", cluster)
                #expect([.active, .closing].contains(cluster.stream("door")?.state))
                var seconds: [Double] = []
                for _ in 0..<Self.runs { seconds.append(try await startAndStop("door", cluster)) }
                let peer = try await firstFileOfFFmpeg(
                    ["-rtsp_transport", "tcp", "-i", String(address), "-c", "copy"])
                report(
                    "start, warm RTSP (\(warmth); the first start took \(String(format: "%.0f ms", cold * 1000)))",
                    seconds, beside: peer, of: "ffmpeg -c copy, new connection")
            }
            server.kill()
        }

        /// Ten cameras that nobody wants: what they cost.
        @Test func anIdleNodeOfTenCameras() async throws {
            let cameras = (1...10).map { "  cam\($0):\n    source: test://pattern" }.joined(separator: "\n")
            try await Cluster.run(cameras: cameras) { cluster in
                for number in 1...10 { try await cluster.ready("cam\(number)") }
                let workers = (1...10).map { "capture-worker.cam\($0)" }
                let services = [
                    "rotation-service", "config-writer", "health-monitor", "metrics", "broker",
                ]
                for name in services.dropLast() {
                    let address = ServiceAddress(ServiceName(unchecked: name), InstanceID(unchecked: "node1"))
                    try await eventually("\(name) is online", within: .seconds(30)) {
                        cluster.log.state(ServiceState.self, at: address)?.state == .online
                    }
                }
                // A node at rest: starting and first verdicts are not what it costs.
                try await eventually("every camera has a verdict", within: .seconds(60)) {
                    (1...10).allSatisfy {
                        cluster.log.state(CameraHealth.self, at: CameraID(unchecked: "cam\($0)")) != nil
                    }
                }
                let pids = try (workers + services).map(cluster.pid(of:)) + [cluster.supervisor]
                let window = isFullRun ? 60.0 : 5
                let before = try pids.map(ProcessCost.cpuSeconds)
                let begin = Date()
                try await eventually("the window passes", within: .seconds(120)) {
                    Date().timeIntervalSince(begin) >= window
                }
                let after = try pids.map(ProcessCost.cpuSeconds)
                let share = (after.reduce(0, +) - before.reduce(0, +)) / Date().timeIntervalSince(begin)
                if isFullRun { #expect(share < 0.005, "\(share * 100)% of a core for nothing") }
                let memory = try pids.prefix(10).map(ProcessCost.pssMiB)
                print(
                    "benchmark: idle node, 10 cameras:",
                    String(
                        format: "%.2f%% of a core in all; PSS of a worker %.1f MiB (median), rotation-service %.1f MiB",
                        share * 100, memory.sorted()[5], try ProcessCost.pssMiB(pids[10])))
                let reply: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/cam1/recording/set")
                #expect(reply.status == .ok)
                print(
                    "benchmark: recording worker (640x360 at 15 fps, encoding):",
                    String(format: "PSS %.1f MiB", try ProcessCost.pssMiB(pids[0])))
            }
        }

        private func startAndStop(_ camera: String, _ cluster: Cluster) async throws -> Double {
            let begin = ContinuousClock.now
            let reply: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/\(camera)/recording/set")
            let took = ContinuousClock.now - begin
            #expect(reply.status == .ok && reply.result?.state == .recording, "\(reply)")
            let stop: Reply<RecordingResult> = try await cluster.ask("OFF", on: "cameras/\(camera)/recording/set")
            #expect(stop.status == .ok, "\(stop)")
            return Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        }

        /// How long the peer takes until the first fragment of its file is on disk.
        private func firstFileOfFFmpeg(_ input: [String]) async throws -> Double {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            var seconds: [Double] = []
            for number in 0..<3 {
                let file = "\(folder)/\(number).mp4"
                let begin = ContinuousClock.now
                let child = try ChildProcess(
                    ["ffmpeg", "-v", "error"] + input
                        + [
                            "-movflags", "+frag_every_frame+empty_moov+default_base_moof", "-flush_packets", "1", "-t",
                            "3",
                            "-y", file,
                        ])
                try await eventually("ffmpeg has written", within: .seconds(30)) {
                    // The header alone is smaller than a frame.
                    ((try? FileManager.default.attributesOfItem(atPath: file)[.size] as? Int) ?? 0) > 2000
                }
                let took = ContinuousClock.now - begin
                child.kill()
                seconds.append(Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18)
            }
            return seconds.sorted()[1]
        }

        private func report(_ what: String, _ seconds: [Double], beside peer: Double, of name: String) {
            let median = seconds.sorted()[seconds.count / 2]
            print(
                "benchmark: \(what):",
                String(
                    format: "median %.0f ms, most %.0f ms of %d; %@: %.0f ms; ratio %.2f", median * 1000,
                    (seconds.max() ?? 0) * 1000, seconds.count, name, peer * 1000, median / peer))
        }
    }
}

extension NodeTests {
    /// Pictures, beside ffmpeg on the same stream in the same run.
    @Suite struct SnapshotBenchmarkTests {
        static let runs = isFullRun ? 30 : 5

        @Test func snapshotsOfAWarmStreamAndOfAnIdlePattern() async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let clip = "\(folder)/clip.mp4"
            _ = try await Tool.run(
                "ffmpeg",
                [
                    "-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1920x1080:rate=30:duration=4", "-c:v",
                    "libx264", "-preset", "veryfast", "-b:v", "4M", "-g", "60", clip,
                ])
            let cameras = """
                  clip:
                    source: "file://\(clip)?loop=1"
                    preroll: 1s
                  front:
                    source: "test://pattern?size=640x360&fps=15"
                    lifecycle: {snapshot: {close_after: 0s}}
                """
            try await LiveCluster.run(cameras: cameras) { cluster, server in
                try await cluster.ready("clip")
                try await cluster.ready("front")
                try await cluster.readyToView("clip")
                try await eventually("the stream is warm", within: .seconds(20)) {
                    cluster.stream("clip")?.state == .active
                }
                let worker = try cluster.pid(of: "capture-worker.clip")
                var (first, warm, older, idle): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
                for _ in 0..<(isFullRun ? 5 : 1) {
                    try await eventually("it is not followed", within: .seconds(30)) { try !isFollowed(worker) }
                    first.append(try await seconds("clip", cluster))
                }
                _ = try await seconds("clip", cluster)
                #expect(try isFollowed(worker), "asked for twice")
                for run in 0..<Self.runs {
                    // As somebody asks who looks at pictures once a second, and at all places between two key frames.
                    let next = Date().addingTimeInterval(0.6 + 0.7 * Double(run * 7 % 10) / 10)
                    try await eventually("the next picture is due", within: .seconds(10)) { Date() >= next }
                    warm.append(try await seconds("clip", cluster))
                    older.append(try await seconds("clip", cluster, #"{"max_age":"1s"}"#))
                    idle.append(try await seconds("front", cluster))
                    try await eventually("idle again", within: .seconds(10)) {
                        cluster.stream("front")?.state == .idle
                    }
                }
                let followed = try await share(of: worker) { try isFollowed(worker) }
                try await eventually("nobody asks any more", within: .seconds(30)) { try !isFollowed(worker) }
                let alone = try await share(of: worker) { true }
                let view = try await cluster.ask("ON", on: "cameras/clip/viewing/set", expecting: ViewingResult.self)
                #expect(view.result?.state == .active, "\(view)")
                var peer: [Double] = []
                for _ in 0..<3 {
                    peer.append(
                        try await LiveCluster.ffmpegPicture("clip", at: server, into: ["\(folder)/peer.jpg"]))
                }
                print(
                    "benchmark: snapshot, command to reply:",
                    String(
                        format: "warm 1080p30, GOP 2 s, asked every second, median %.0f ms, most %.0f ms; "
                            + "the first in a row %.0f ms of %d; with max_age 1s %.0f ms; "
                            + "idle 360p pattern %.0f ms; of %d each; "
                            + "ffmpeg -frames:v 1 of the same stream: %.0f ms; ratio %.2f; "
                            + "the worker takes %.1f%% of a core while it is asked, %.1f%% else",
                        median(warm) * 1000, (warm.max() ?? 0) * 1000, median(first) * 1000, first.count,
                        median(older) * 1000, median(idle) * 1000, Self.runs, median(peer) * 1000,
                        median(warm) / median(peer), followed * 100, alone * 100))
            }
        }

        /// The thread that makes snapshots stays for as long as it follows the stream.
        private func isFollowed(_ worker: Int32) throws -> Bool {
            let tasks = "/proc/\(worker)/task"
            return try FileManager.default.contentsOfDirectory(atPath: tasks).contains { thread in
                // One that has ended since the folder was read has no name any more.
                (try? String(contentsOfFile: "\(tasks)/\(thread)/comm", encoding: .utf8)) == "snapshot\n"
            }
        }

        /// Of one core, over some seconds in which a condition holds.
        private func share(of pid: Int32, while holds: () throws -> Bool) async throws -> Double {
            let (begin, before) = (Date(), try ProcessCost.cpuSeconds(pid))
            try await eventually("the window passes", within: .seconds(60)) {
                Date().timeIntervalSince(begin) >= (isFullRun ? 8 : 2)
            }
            #expect(try holds())
            return (try ProcessCost.cpuSeconds(pid) - before) / Date().timeIntervalSince(begin)
        }

        private func seconds(
            _ camera: String, _ cluster: Cluster, _ command: String = "PRESS"
        ) async throws -> Double {
            let begin = Date()
            let reply = try await cluster.ask(
                command, on: "cameras/\(camera)/snapshot/set", expecting: SnapshotResult.self)
            #expect(reply.status == .ok, "\(reply)")
            return Date().timeIntervalSince(begin)
        }

        private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    }
}

extension NodeTests {
    /// The first picture that a reader can decode, beside ffmpeg on the same stream.
    @Suite struct LiveViewBenchmarkTests {
        @Test func firstPictureOfAnIdleAndOfARecordingCamera() async throws {
            let runs = isFullRun ? 20 : 3
            let cameras = """
                  idle:
                    source: "test://pattern?size=640x360&fps=15"
                    lifecycle: {viewing: {close_after: 0s}}
                  busy:
                    source: "test://pattern?size=640x360&fps=15"
                    record: always
                    lifecycle: {viewing: {close_after: 0s}}
                """
            try await LiveCluster.run(cameras: cameras) { cluster, server in
                for camera in ["idle", "busy"] {
                    try await cluster.ready(camera)
                    try await cluster.readyToView(camera)
                }
                for camera in ["idle", "busy"] {
                    var (own, peer): ([Double], [Double]) = ([], [])
                    for _ in 0..<runs {
                        own.append(try await LiveCluster.firstPicture(camera, at: server))
                        try await quiet(camera, cluster)
                    }
                    for _ in 0..<3 {
                        peer.append(try await LiveCluster.ffmpegPicture(camera, at: server))
                        try await quiet(camera, cluster)
                    }
                    report(camera == "idle" ? "an idle camera" : "a recording camera", own, beside: peer)
                }
                // A second viewer: the stream is there, in the middle of a GOP.
                let first = try server.read("busy")
                try await viewers(1, cluster)
                var (own, peer): ([Double], [Double]) = ([], [])
                for run in 0..<(runs + 3) {
                    if run < runs {
                        own.append(try await LiveCluster.firstPicture("busy", at: server))
                    } else {
                        peer.append(try await LiveCluster.ffmpegPicture("busy", at: server))
                    }
                    try await viewers(1, cluster)
                }
                first.kill()
                report("a camera that somebody watches", own, beside: peer)
            }
        }

        private func report(_ what: String, _ own: [Double], beside peer: [Double]) {
            let (median, beside) = (own.sorted()[own.count / 2], peer.sorted()[peer.count / 2])
            print(
                "benchmark: first picture at a reader of \(what):",
                String(
                    format: "median %.0f ms, most %.0f ms of %d; ffmpeg -frames:v 1: %.0f ms; ratio %.2f",
                    median * 1000, (own.max() ?? 0) * 1000, own.count, beside * 1000, median / beside))
        }

        private func viewers(_ count: Int, _ cluster: Cluster) async throws {
            try await eventually("\(count) watch", within: .seconds(30)) { cluster.viewing("busy")?.viewers == count }
        }

        /// Until the next reader finds no stream again.
        private func quiet(_ camera: String, _ cluster: Cluster) async throws {
            try await eventually("nobody watches \(camera)", within: .seconds(30)) {
                cluster.viewing(camera)?.state == .off && cluster.mediaServer?.paths[camera]?.ready == false
            }
        }
    }
}
