import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// Promise 1 on real video: what the source has coded is in the segments exactly once, in order.
extension NodeTests {
    @Suite struct ContinuityTests {
        /// Ten minutes and 120 boundaries in the full form; the same over less in the bounded one.
        static let seconds = isFullRun ? 600 : 60

        @Test(arguments: Clip.Kind.allCases) func everyCodedPictureIsInTheSegmentsOnce(kind: Clip.Kind) async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let clip = try await Clip.make(kind, seconds: Self.seconds, in: folder)
            let camera = """
                  clip:
                    source: "file://\(clip.path)?rate=max"
                    audio: \(kind == .withAudio)
                """
            try await Cluster.run(cameras: camera, rotation: "5s") { cluster in
                try await cluster.ready("clip")
                let reply: Reply<RecordingResult> = try await cluster.ask("ON", on: "cameras/clip/recording/set")
                #expect(reply.status == .ok, "\(reply)")
                try await eventually("the recording ends with its file", within: .seconds(120)) {
                    cluster.recording("clip")?.state == .off && cluster.closed("clip").last?.reason == .stop
                }
                #expect(cluster.partialFiles().isEmpty)
                try await compare(clip, try cluster.files("clip"), events: cluster.closed("clip"))
                // One MP4 track has one size.
                if kind != .changesFormat { try await decodeExport(cluster, clip) }
                let verdict = try await cluster.framekeeper("recordings", "verify", "--decode")
                #expect(verdict.status == 0, "\(verdict.output)")
            }
        }

        private func compare(_ clip: Clip, _ files: [String], events: [SegmentEvent]) async throws {
            let source = try await CodedPictures.hashes(of: clip.path, isH265: clip.isH265)
            var recorded: [UInt64] = []
            var duration = 0.0
            for file in files {
                recorded += try await CodedPictures.hashes(of: file, isH265: clip.isH265)
                duration += try await CodedPictures.duration(of: file)
            }
            #expect(!source.isEmpty)
            #expect(recorded == source, "\(recorded.count) slices of \(source.count)")
            let expectedFiles = clip.kind == .longGOP ? Self.seconds / 10 : Self.seconds / 5
            #expect(files.count >= expectedFiles - 1)
            #expect(events.count == files.count)
            let whole = try await CodedPictures.duration(of: clip.path)
            #expect(abs(duration - whole) <= clip.frameSeconds, "\(duration) s of \(whole) s")
            #expect(abs(events.compactMap(\.durationSeconds).reduce(0, +) - whole) <= clip.frameSeconds)
            if clip.kind == .withAudio {
                var packets: [String] = []
                for file in files { packets += try await CodedPictures.audioHashes(of: file) }
                #expect(packets == (try await CodedPictures.audioHashes(of: clip.path)))
            }
            try await decodeInTurn(files, clip)
            report(
                clip, files: files.count, slices: recorded.count, areSame: recorded == source, duration: duration,
                of: whole)
        }

        /// The segments one after the other, decoded: libav has nothing to say, and every picture is the source's to
        /// the bit. Each file's time begins with its first decode time, which `inpoint 0` says; left to itself, ffmpeg
        /// begins a file at its first key frame and would lay the leading pictures of an open group over the file
        /// before.
        private func decodeInTurn(_ files: [String], _ clip: Clip) async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            var list = ""
            for file in files {
                list += "file '\(file)'\ninpoint 0\nduration \(try await CodedPictures.duration(of: file))\n"
            }
            try list.write(toFile: "\(folder)/list", atomically: true, encoding: .utf8)
            let joined = try await CodedPictures.decoded(["-f", "concat", "-safe", "0", "-i", "\(folder)/list"])
            let source = try await CodedPictures.decoded(["-i", clip.path])
            #expect(!source.pictures.isEmpty && joined.pictures == source.pictures)
            #expect(joined.said == "", "\(clip)")
        }

        /// One file made of all segments: every picture in it, and libav has nothing to say.
        private func decodeExport(_ cluster: Cluster, _ clip: Clip) async throws {
            let file = "\(cluster.folder)/export.mp4"
            let export = try await cluster.framekeeper(
                "recordings", "export", "--camera", "clip", "--from", "2020-01-01", "-o", file)
            #expect(export.status == 0, "\(export.output)")
            let said = try await Tool.run("ffmpeg", ["-v", "warning", "-i", file, "-f", "null", "-"])
            #expect(said == "")
            let source = try await CodedPictures.hashes(of: clip.path, isH265: clip.isH265)
            #expect(try await CodedPictures.hashes(of: file, isH265: clip.isH265) == source)
            let whole = try await CodedPictures.duration(of: clip.path)
            #expect(abs(try await CodedPictures.duration(of: file) - whole) <= 1.0 / 30)
        }

        private func report(
            _ clip: Clip, files: Int, slices: Int, areSame: Bool, duration: Double, of whole: Double
        ) {
            let verdict = areSame ? "all once and in order" : "NOT the source's"
            print(
                "continuity \(clip.kind): \(files) segments, \(slices) slices, \(verdict);",
                String(format: "%.3f s of %.3f s", duration, whole))
        }
    }
}
