import Bus
import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Snapshots from a real node: every kind of source, idle and warm, alone and all at once.
extension NodeTests {
    @Suite struct SnapshotTests {
        private func snapshot(_ camera: String, _ cluster: Cluster, _ payload: String = "PRESS") async throws
            -> Reply<SnapshotResult>
        {
            try await cluster.ask(payload, on: "cameras/\(camera)/snapshot/set", expecting: SnapshotResult.self)
        }

        /// Width, height and codec as ffprobe sees them; libav has nothing to say while it decodes.
        private func probe(_ file: String) async throws -> String {
            let said = try await Tool.run("ffmpeg", ["-v", "warning", "-i", file, "-f", "null", "-"])
            #expect(said == "")
            return try await Tool.run(
                "ffprobe", ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0", file]
            ).trimmingCharacters(in: .whitespacesAndNewlines)
        }

        @Test func anIdleCameraIsStartedForItAndClosesByItself() async throws {
            let camera = """
                  front:
                    source: "test://pattern?size=640x360&fps=15"
                    lifecycle: {snapshot: {close_after: 1s}}
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("front")
                let reply = try await snapshot("front", cluster)
                let result = try #require(reply.result, "\(reply)")
                let file = "\(cluster.storage)/\(result.file)"
                #expect(try await probe(file) == "mjpeg,640,360")
                let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
                #expect(bytes.count == result.bytes)
                try await eventually("the picture is on the bus", within: .seconds(5)) {
                    cluster.log.messages(on: "cameras/front/snapshot/image").last?.payload == [UInt8](bytes)
                }
                let state = cluster.log.state(SnapshotState.self, at: CameraID(unchecked: "front"))
                #expect(state?.file == result.file && state?.tookSeconds == result.tookSeconds)
                try await eventually("the stream closes", within: .seconds(10)) {
                    cluster.stream("front")?.state == .idle
                }
                let small = try await snapshot("front", cluster, #"{"width":320,"quality":50}"#)
                let shown = try #require(small.result, "\(small)")
                #expect(shown.width == 320 && shown.height == 180 && shown.file != result.file)
                #expect(try await probe("\(cluster.storage)/\(shown.file)") == "mjpeg,320,180")
            }
        }

        /// H.265 with B-frames, and Motion JPEG, which is encoded once.
        @Test(arguments: ["libx265", "mjpeg"]) func otherCodecsGivePicturesToo(codec: String) async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let clip = "\(folder)/clip.mkv"
            let options = codec == "mjpeg" ? ["-q:v", "3"] : ["-x265-params", "log-level=none:keyint=30"]
            _ = try await Tool.run(
                "ffmpeg",
                ["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=10", "-c:v", codec]
                    + options + [clip])
            let camera = """
                  clip:
                    source: "file://\(clip)?loop=1"
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("clip")
                // Once when idle, once from the ring of a stream that runs.
                for _ in 0..<2 {
                    let reply = try await snapshot("clip", cluster)
                    let result = try #require(reply.result, "\(reply)")
                    #expect(try await probe("\(cluster.storage)/\(result.file)") == "mjpeg,320,240")
                }
            }
        }

        /// Two kinds of pictures, asked for in turn.
        private func fortyFiles(of camera: String, _ cluster: Cluster) async throws -> [String] {
            try await withThrowingTaskGroup(of: String?.self) { group in
                for number in 0..<40 {
                    let wish = number.isMultiple(of: 2) ? "PRESS" : #"{"width":160}"#
                    group.addTask { try await snapshot(camera, cluster, wish).result?.file }
                }
                return try await group.reduce(into: [String]()) { $0.append($1 ?? "") }
            }
        }

        /// Whatever the worker does meanwhile: the broker has them all.
        private func fortyAreAsked(of camera: String, _ cluster: Cluster) async throws {
            try await eventually("all are asked for", within: .seconds(20)) {
                cluster.log.messages(on: "cameras/\(camera)/snapshot/set").count == 40
            }
        }

        @Test func whoAsksAtOnceIsAnsweredAndARecordingGoesOn() async throws {
            let camera = """
                  front:
                    source: "test://pattern?size=320x240&fps=25"
                    encoder: {gop: 1s}
                """
            try await Cluster.run(cameras: camera, rotation: "2s") { cluster in
                try await cluster.ready("front")
                let viewed = try await cluster.ask(
                    "ON", on: "cameras/front/viewing/set", expecting: ViewingResult.self)
                #expect(viewed.result?.state == .active)
                // A worker that finds them all at once has no time to answer them one by one.
                try cluster.signal("capture-worker.front", SIGSTOP)
                defer { try? cluster.signal("capture-worker.front", SIGCONT) }
                async let asked = fortyFiles(of: "front", cluster)
                try await fortyAreAsked(of: "front", cluster)
                try cluster.signal("capture-worker.front", SIGCONT)
                let shared = try await asked
                #expect(shared.count == 40 && !shared.contains(""))
                #expect(Set(shared).count <= 8, "a picture serves all who ask while it is made")

                try await cluster.startRecording("front")
                let files = try await fortyFiles(of: "front", cluster)
                #expect(files.count == 40 && !files.contains(""))
                try await cluster.passSegments(2, of: "front")
                try await cluster.stopAndVerify("front")
                #expect(cluster.gaps("front").isEmpty)
            }
        }

        @Test func whoeverWaitsForACameraSharesItsFirstPicture() async throws {
            let camera = try RTSPCamera(
                pipeline: "videotestsrc is-live=true ! video/x-raw,width=320,height=240,framerate=15/1 ! "
                    + "x264enc tune=zerolatency key-int-max=15 ! rtph264pay name=pay0 pt=96 config-interval=-1")
            camera.freeze()
            let text = """
                  door:
                    source: \(camera.url)
                    lifecycle: {snapshot: {start_timeout: 60s}}
                """
            try await Cluster.run(cameras: text) { cluster in
                try await cluster.ready("door")
                async let asked = fortyFiles(of: "door", cluster)
                try await fortyAreAsked(of: "door", cluster)
                // What the worker is asked last it answers when it has taken in all the others.
                let last = try await cluster.ask("OFF", on: "cameras/door/viewing/set", expecting: ViewingResult.self)
                #expect(last.status == .ok)
                camera.thaw()
                let files = try await asked
                #expect(files.count == 40 && !files.contains(""))
                #expect(Set(files).count == 2, "one picture of each kind for all")
            }
        }

        @Test func whatCannotBeHadIsRefusedWithItsReason() async throws {
            let cameras = """
                  gone:
                    source: "rtsp://127.0.0.1:1/none"
                  front:
                    source: "test://pattern?size=160x120"
                """
            try await Cluster.run(cameras: cameras) { cluster in
                try await cluster.ready("gone")
                try await cluster.ready("front")
                #expect(try await snapshot("gone", cluster).error?.code == .sourceUnavailable)
                try await eventually("it is not tried for ever", within: .seconds(5)) {
                    cluster.stream("gone")?.state == .idle && cluster.stream("gone")?.leases.snapshot == 0
                }
                for wish in ["maybe", #"{"width":1}"#, #"{"width":"wide"}"#, #"{"quality":0}"#, #"{"size":3}"#] {
                    let code = try await snapshot("front", cluster, wish).error?.code
                    #expect(code == .invalidArgument || code == .unknownCommand, "\(wish)")
                }
                // A file where the folder should be: nothing can be written, and nothing else breaks.
                try FileManager.default.createDirectory(
                    atPath: "\(cluster.storage)/front", withIntermediateDirectories: true)
                try Data().write(to: URL(fileURLWithPath: "\(cluster.storage)/front/snapshots"))
                #expect(try await snapshot("front", cluster).error?.code == .storageFailed)
                try await cluster.startRecording("front")
                try await cluster.stopAndVerify("front")
            }
        }

        /// Nobody decodes a thousand pictures for one; the encoder gives a key frame when asked.
        @Test func aGroupTooLongToDecodeIsEndedForIt() async throws {
            let camera = """
                  front:
                    source: "test://pattern?size=160x120&fps=120"
                    encoder: {gop: 60s}
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.startRecording("front")
                try await eventually("the group is long", within: .seconds(30)) {
                    let stats = cluster.log.state(StreamStats.self, at: CameraID(unchecked: "front"))
                    return (stats?.framesTotal ?? 0) > 1000
                }
                let reply = try await snapshot("front", cluster)
                #expect(try #require(reply.result, "\(reply)").tookSeconds < 2)
                try await cluster.stopAndVerify("front")
            }
        }

        /// Noise does not compress; the file is what was asked for, and the bus has a copy of it and no older picture.
        @Test func aPictureTooLargeForTheBusGoesOutCoarser() async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let clip = "\(folder)/clip.mp4"
            _ = try await Tool.run(
                "ffmpeg",
                [
                    "-y", "-v", "error", "-f", "lavfi", "-i", "color=gray:size=3840x2160:rate=2:duration=1", "-vf",
                    "noise=alls=100", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "8", "-g", "1", "-pix_fmt",
                    "yuv420p", clip,
                ])
            let camera = """
                  clip:
                    source: "file://\(clip)?loop=1"
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("clip")
                #expect(try await snapshot("clip", cluster, #"{"width":320}"#).result?.imageBytes == nil)
                let file = "\(cluster.folder)/clip.jpg"
                let taken = try await cluster.framekeeper("snapshot", "clip", "-o", file, "--quality", "100")
                #expect(taken.status == 0 && taken.output.contains("coarser"), "\(taken.output)")
                #expect(try await probe(file) == "mjpeg,3840,2160")
                let state = try #require(cluster.log.state(SnapshotState.self, at: CameraID(unchecked: "clip")))
                #expect(state.bytes > SnapshotImage.bytesMax, "\(state)")
                #expect(try Data(contentsOf: URL(fileURLWithPath: file)).count == state.imageBytes)
                #expect(cluster.log.messages(on: "cameras/clip/snapshot/image").last?.payload.count == state.imageBytes)
            }
        }

        @Test func theCommandLineWritesThePicture() async throws {
            let camera = """
                  front:
                    source: "test://pattern?size=640x360&fps=15"
                """
            try await Cluster.run(cameras: camera) { cluster in
                try await cluster.ready("front")
                let file = "\(cluster.folder)/front.jpg"
                let taken = try await cluster.framekeeper("snapshot", "front", "-o", file, "--width", "320")
                #expect(taken.status == 0 && taken.output.contains("320x180"), "\(taken.output)")
                #expect(try await probe(file) == "mjpeg,320,180")
                let json = try await cluster.framekeeper("snapshot", "front", "-o", file, "--json")
                #expect(json.output.contains("\"age_seconds\":") && json.output.contains("\"width\":640"))
                let nowhere = try await cluster.framekeeper("snapshot", "front", "-o", "\(cluster.folder)/no/where.jpg")
                #expect(nowhere.status == 1 && nowhere.output.contains("no/where.jpg"), "\(nowhere.output)")
                let unknown = try await cluster.framekeeper("snapshot", "nobody", "-o", file)
                #expect(unknown.status == 1 && unknown.output.contains("nobody"), "\(unknown.output)")
                #expect(try await cluster.framekeeper("snapshot", "front", "--width", "3").status == 64)
            }
        }
    }
}
