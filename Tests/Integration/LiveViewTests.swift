import Bus
import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Live view of a real node through a media server: MediaMTX where there is one, else its stand-in.
extension NodeTests {
    @Suite struct LiveViewTests {
        static let camera = """
              front:
                source: "test://pattern?size=320x240&fps=15"
                encoder: {gop: 1s}
            """
        /// Short, so that the end of a stream can be waited for.
        static let lifecycle = "lifecycle: {viewing: {close_after: \(closeAfter)s}, snapshot: {close_after: 1s}}"
        /// Longer than a stream stays published whatever the configuration says.
        private static let closeAfter = 8

        @Test func aReaderOfAnIdleCameraGetsVideoAndTheStreamClosesAfterIt() async throws {
            try await LiveCluster.run(cameras: Self.camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                #expect(cluster.stream("front")?.state == .idle)
                let frames = try await LiveCluster.watch("front", at: server, frames: 20)
                #expect(frames == 20)
                try await eventually("the lease of the viewers ends", within: .seconds(10)) {
                    cluster.viewing("front")?.state == .closing
                }
                try await eventually("the stream closes", within: .seconds(20)) {
                    cluster.stream("front")?.state == .idle && cluster.viewing("front")?.state == .off
                }
                let stayed = try #require(cluster.lastClosing(of: "front"))
                #expect(stayed >= .seconds(Self.closeAfter - 1), "it stays for its close-after, and stayed \(stayed)")
                #expect(try await LiveCluster.watch("front", at: server, frames: 5) == 5, "and opens again")
            }
        }

        @Test func aSecondViewerKeepsTheStreamAndTheLastOneEndsIt() async throws {
            try await LiveCluster.run(cameras: Self.camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                let first = try server.read("front")
                try await eventually("the first viewer is seen", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 1
                }
                // No hook tells of a demand by this one.
                let second = try server.read("front")
                try await eventually("the second viewer is seen", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 2
                }
                first.kill()
                try await eventually("one is left", within: .seconds(15)) { cluster.viewing("front")?.viewers == 1 }
                let since = Date()
                try await eventually("more than the close-after passes", within: .seconds(20)) {
                    #expect(cluster.stream("front")?.state == .active && second.exitStatus() == nil)
                    return Date().timeIntervalSince(since) > Double(Self.closeAfter) + 2
                }
                second.kill()
                try await eventually("the stream closes", within: .seconds(25)) {
                    cluster.stream("front")?.state == .idle
                }
            }
        }

        /// One that the server has set up is counted, and can take frames only once it asks for them: the key frame
        /// that its count brought about has passed by then, and the next would come in a minute.
        @Test func aSecondViewerHasItsKeyFrameWhenItBegins() async throws {
            let camera = Self.camera.replacingOccurrences(of: "gop: 1s", with: "gop: 60s")
            try await LiveCluster.run(cameras: camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                let first = try server.read("front")
                defer { first.kill() }
                try await eventually("the first viewer is seen", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 1
                }
                let second = try ChildProcess(
                    [
                        "/usr/bin/python3", try Products.project("Tests/MediaMTX/first_picture.py"), "--hold",
                        "\(server.rtsp)/front",
                    ], output: server.folder.path("second.log"))
                try await eventually("the second viewer is counted", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 2
                }
                let count = cluster.log.messages(on: "cameras/front/stats").count
                try await eventually("its key frame passes", within: .seconds(15)) {
                    cluster.log.messages(on: "cameras/front/stats").count >= count + 2
                }
                second.signal(SIGUSR1)
                try await eventually("it has a picture", within: .seconds(20)) { second.exitStatus() == 0 }
                #expect(first.exitStatus() == nil)
            }
        }

        @Test func recordingGoesOnWhileTheMediaServerDiesAndTheViewIsBackSoon() async throws {
            try await LiveCluster.run(cameras: Self.camera, rotation: "2s", extra: Self.lifecycle) { cluster, server in
                try await cluster.startRecording("front")
                try await cluster.readyToView("front")
                let reader = try server.read("front")
                try await eventually("the viewer is seen", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 1
                }
                server.kill()
                try await eventually("the viewer is cut off", within: .seconds(10)) { reader.exitStatus() != nil }
                try await cluster.passSegments(2, of: "front")
                try await server.start()
                let back = Date()
                // A player that is refused asks again; until the paths are back, the server knows no such camera.
                try await eventually("the view is back", within: .seconds(20)) {
                    (try? await LiveCluster.firstPicture("front", at: server)) != nil
                }
                let seconds = Date().timeIntervalSince(back)
                #expect(seconds <= 5, "the view was back after \(seconds) s")
                try await cluster.passSegments(2, of: "front")
                try await cluster.stopAndVerify("front")
                #expect(cluster.gaps("front").isEmpty)
                print("media server killed and back: view after", String(format: "%.2f s", seconds), "no gap")
            }
        }

        /// The server holds a reader who comes back right after its publisher died, and tells nobody.
        @Test func aReaderOnHoldIsServedWhenTheWorkerIsBack() async throws {
            try await LiveCluster.run(cameras: Self.camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                let reader = try server.read("front")
                try await eventually("the viewer is seen", within: .seconds(15)) {
                    cluster.viewing("front")?.viewers == 1
                }
                try cluster.signal("capture-worker.front", SIGKILL)
                try await eventually("the viewer is cut off", within: .seconds(10)) { reader.exitStatus() != nil }
                #expect(try await LiveCluster.watch("front", at: server, frames: 5) == 5)
            }
        }

        /// Everything is closed to strangers: API, publishing and reading.
        @Test func aMediaServerWithUsersIsServedAndItsPasswordIsNowhere() async throws {
            let secret = "hush-9f3c"
            let server = try MediaServerProcess(user: (name: "keeper", password: secret), isClosed: true)
            try await LiveCluster.run(
                cameras: Self.camera, extra: Self.lifecycle, server: server, login: ("keeper", secret)
            ) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                let reply = try await cluster.ask(
                    "ON", on: "cameras/front/viewing/set", expecting: ViewingResult.self)
                #expect(reply.result?.state == .active, "\(reply)")
                try await cluster.servicesReady()
                let doctor = try await cluster.framekeeper("doctor", "--json")
                #expect(doctor.status == 0, "\(doctor.output)")
                let shown = try await cluster.framekeeper("config", "show")
                for text in [try cluster.upLog(), doctor.output, shown.output] {
                    #expect(!text.contains(secret))
                }
                let topics = ["cameras/front/viewing", "cameras/front/config", "mediamtx/node1", "config"]
                for topic in topics {
                    let payloads = cluster.log.messages(on: topic).map { String(decoding: $0.payload, as: UTF8.self) }
                    #expect(!payloads.isEmpty && !payloads.contains { $0.contains(secret) }, "\(topic)")
                }
            }
        }

        /// The media server holds the connection to the camera; while it is away, the worker takes the camera itself.
        @Test func aCameraOfTheMediaServerIsRecordedWithAndWithoutIt() async throws {
            let camera = try RTSPCamera(
                pipeline: "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1 ! "
                    + "x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1")
            let text = """
                  door:
                    source: \(camera.url)
                    ingest: mediamtx
                """
            try await LiveCluster.run(cameras: text, rotation: "3s", extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("door")
                try await cluster.readyToView("door")
                try await cluster.startRecording("door")
                try await eventually("the worker is the server's reader", within: .seconds(15)) {
                    cluster.mediaServer?.paths["door"]?.viewers == 1
                }
                let before = cluster.gaps("door").count
                server.kill()
                try await eventually("it records from the camera itself", within: .seconds(20)) {
                    cluster.gaps("door").count > before && cluster.recording("door")?.state == .recording
                }
                try await cluster.passSegments(1, of: "door")
                try await eventually("the server is missed", within: .seconds(20)) {
                    cluster.mediaServer?.reachable == false
                }
                try await server.start()
                try await cluster.readyToView("door")
                let held = try await cluster.ask(
                    #"{"command":"start","duration":"5m"}"#, on: "cameras/door/viewing/set",
                    expecting: ViewingResult.self)
                #expect(held.error == nil, "\(held)")
                let gaps = cluster.gaps("door").count
                try await cluster.passSegments(1, of: "door")
                #expect(cluster.mediaServer?.paths["door"]?.viewers == 0, "the recording goes on from the camera")
                try await cluster.stopAndVerify("door")
                #expect(cluster.gaps("door").count == gaps)
                #expect(cluster.gaps("door").allSatisfy { [.sourceLost, .sourceStalled].contains($0.cause) })
                try await eventually("the worker is the server's reader again", within: .seconds(20)) {
                    cluster.mediaServer?.paths["door"]?.viewers == 1 && cluster.stream("door")?.state == .active
                }
                withExtendedLifetime(camera) {}
            }
        }

        @Test func theDoctorSaysWhatIsWrongWithTheMediaServer() async throws {
            try await LiveCluster.run(cameras: Self.camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                try await cluster.servicesReady()
                let well = try await cluster.framekeeper("doctor")
                #expect(well.status == 0 && well.output.contains("ok       mediamtx"), "\(well.output)")
                server.kill()
                let sick = try await cluster.framekeeper("doctor")
                #expect(sick.status == 1 && sick.output.contains("failed   mediamtx"), "\(sick.output)")
                #expect(sick.output.contains("mediamtx.yml"), "it says what to do")
            }
        }

        @Test func theCommandLineHoldsAViewOpen() async throws {
            try await LiveCluster.run(cameras: Self.camera, extra: Self.lifecycle) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                let shown = try await cluster.framekeeper("view", "front", "--for", "1s")
                #expect(shown.status == 0 && shown.output.contains("\(server.rtsp)/front"), "\(shown.output)")
                let said = cluster.log.events(ViewingState.self, at: CameraID(unchecked: "front"))
                let holders = said.filter { $0.state == .active }.flatMap(\.leases).map { "\($0.holder)" }
                #expect(holders.contains { $0.hasPrefix("cli:") }, "\(holders)")
                try await eventually("the lease has ended with it", within: .seconds(5)) {
                    cluster.viewing("front")?.leases.isEmpty == true
                }
                // Ctrl-C ends the lease too, also while the answer is waited for.
                server.pause()
                let held = try ChildProcess([Products.path("framekeeper"), "view", "front", "--config", cluster.config])
                try await eventually("it is held", within: .seconds(20)) {
                    cluster.viewing("front")?.leases.isEmpty == false
                }
                held.signal(SIGINT)
                #expect(try await held.wait(within: .seconds(20)) == 0)
                try await eventually("its lease has ended", within: .seconds(5)) {
                    cluster.viewing("front")?.leases.isEmpty == true
                }
            }
        }
    }
}

/// A node with a media server beside it.
enum LiveCluster {
    static func run(
        cameras: String, rotation: String = "30m", extra: String = "", server: MediaServerProcess? = nil,
        login: (name: String, password: String)? = nil,
        _ body: (Cluster, MediaServerProcess) async throws -> Void
    ) async throws {
        let server = try server ?? MediaServerProcess()
        try await server.start()
        let credentials = login.map { "username: \($0.name)\n  password: \($0.password)" } ?? "publish: on_demand"
        let section = """
            mediamtx:
              api: \(server.api)
              rtsp: \(server.rtsp)
              \(credentials)
              hook_listen: 127.0.0.1:\(try MosquittoBroker.freePort())
            \(extra)
            """
        try await Cluster.run(cameras: cameras, rotation: rotation, extra: section) { cluster in
            try await body(cluster, server)
        }
    }

    /// Reads until `frames` pictures have been decoded; returns how many were.
    static func watch(_ camera: String, at server: MediaServerProcess, frames: Int) async throws -> Int {
        let said = try await Tool.run(
            "ffmpeg",
            [
                "-v", "error", "-stats", "-fflags", "nobuffer", "-probesize", "500000", "-analyzeduration", "0",
                "-rtsp_transport", "tcp", "-i", "\(server.rtsp)/\(camera)", "-frames:v", "\(frames)", "-f",
                "framecrc", "-",
            ], within: .seconds(40))
        return said.split(whereSeparator: \.isNewline).count { $0.first?.isNumber == true }
    }

    /// How many seconds ffmpeg takes for one picture of the stream.
    static func ffmpegPicture(
        _ camera: String, at server: MediaServerProcess, into output: [String] = ["-f", "null", "-"]
    ) async throws -> Double {
        let begin = Date()
        let input = ["-y", "-v", "error", "-rtsp_transport", "tcp", "-i", "\(server.rtsp)/\(camera)"]
        _ = try await Tool.run("ffmpeg", input + ["-frames:v", "1"] + output)
        return Date().timeIntervalSince(begin)
    }

    /// How many seconds a reader that probes nothing waits for the first picture that it can decode.
    static func firstPicture(_ camera: String, at server: MediaServerProcess) async throws -> Double {
        let said = try await Tool.run(
            "/usr/bin/python3",
            [try Products.project("Tests/MediaMTX/first_picture.py"), "\(server.rtsp)/\(camera)"],
            within: .seconds(40))
        guard let seconds = Double(said.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw CodedError(.internal, "no picture: \(said)")
        }
        return seconds
    }
}

extension Cluster {
    func viewing(_ camera: String) -> ViewingState? {
        log.state(ViewingState.self, at: CameraID(unchecked: camera))
    }

    /// How long the view was closing the last time, by the worker's own word.
    func lastClosing(of camera: String) -> Duration? {
        let address = CameraID(unchecked: camera)
        let said = Array(
            zip(log.events(ViewingState.self, at: address), log.stamped(ViewingState.self, at: address)))
        guard let closing = said.lastIndex(where: { $0.0.state == .closing }),
            let begin = said[...closing].lastIndex(where: { $0.0.state != .closing }),
            let end = said[closing...].first(where: { $0.0.state != .closing })
        else { return nil }
        return end.1 - said[begin + 1].1
    }

    /// Waits until every service of the node has said that it is there.
    func servicesReady() async throws {
        let names: [ServiceName] = [.rotationService, .configWriter, .healthMonitor, .metrics]
        for name in names {
            let address = ServiceAddress(name, InstanceID(unchecked: "node1"))
            try await eventually("\(name) is online", within: .seconds(30)) {
                log.state(ServiceState.self, at: address)?.state == .online
            }
        }
    }

    var mediaServer: MediaServerState? { log.state(MediaServerState.self, at: NodeID(unchecked: "node1")) }

    /// Waits until the media server knows the camera's path.
    func readyToView(_ camera: String) async throws {
        try await eventually("the media server has the path of \(camera)", within: .seconds(20)) {
            mediaServer?.reachable == true && mediaServer?.paths[camera] != nil
        }
    }
}
