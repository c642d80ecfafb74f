import Domain
import Media
import TestSupport
import Testing

/// Promise 1: every access unit of the source is in exactly one file, in order.
@Suite struct SegmentCopyTests {
    struct Input: Sendable, CustomTestStringConvertible {
        var name: String
        var codec = "h264"
        var seconds = 10
        var video: [String] = []
        var audio: [String]?
        /// Segments expected of 2 s each.
        var segments = 5
        var testDescription: String { "\(name) \(video.joined(separator: " "))" }
    }

    static let x265 = ["-c:v", "libx265", "-preset", "ultrafast"]

    static let inputs = [
        Input(name: "plain.mp4"),
        Input(name: "b-frames.mp4", video: ["-preset", "veryfast", "-bf", "3", "-x264-params", "b-pyramid=normal"]),
        Input(name: "b-frames.mkv", video: ["-preset", "veryfast", "-bf", "3"]),
        Input(name: "b-frames.ts", video: ["-preset", "veryfast", "-bf", "3"]),
        Input(
            name: "open-gop.mp4", video: ["-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1"],
            segments: 4),
        Input(name: "raw.h264"),
        Input(name: "raw-b-frames.h264", video: ["-preset", "veryfast", "-bf", "2"]),
        Input(name: "long-gop.mp4", seconds: 20, video: ["-g", "250", "-keyint_min", "250"], segments: 2),
        Input(name: "ntsc.mp4", video: ["-r", "30000/1001", "-g", "30"]),
        Input(name: "aac.mp4", audio: ["-c:a", "aac", "-shortest"]),
        Input(name: "aac.ts", audio: ["-c:a", "aac"]),
        Input(name: "opus.mkv", audio: ["-c:a", "libopus"]),
        Input(name: "g711.mkv", audio: ["-c:a", "pcm_alaw", "-ar", "8000"]),
        Input(
            name: "h265.mp4", codec: "hevc",
            video: x265 + ["-x265-params", "log-level=error:open-gop=0:keyint=25:bframes=3"]),
        Input(
            name: "h265-open-gop.mp4", codec: "hevc",
            video: x265 + ["-x265-params", "log-level=error:open-gop=1:keyint=25:bframes=3"]),
        Input(name: "h265.ts", codec: "hevc", video: x265 + ["-x265-params", "log-level=error:keyint=25:bframes=0"]),
    ]

    @Test(arguments: inputs) func everyPictureIsInOneFile(_ input: Input) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(input.name, seconds: input.seconds, video: input.video, audio: input.audio)
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(2))
        try copy.run(Self.source(clip, audio: input.audio != nil))

        #expect(copy.reports.count == input.segments)
        let codec = try #require(ParameterSets.Codec(name: input.codec))
        let original = try fixtures.codedSlices(
            fixtures.elementaryStream(of: [clip], codec: input.codec, into: "original"), codec: codec)
        let joined = try fixtures.elementaryStream(of: copy.paths, codec: input.codec, into: "joined.\(input.codec)")
        let copied = try fixtures.codedSlices(joined, codec: codec)
        #expect(copied.count == original.count)
        #expect(copied == original)
        #expect(try fixtures.ffmpeg(["-i", joined, "-f", "null", "-"]) == "")
        try Self.checkDurations(copy, seconds: input.seconds, fixtures)
        #expect(copy.parts.allSatisfy { $0.videoFrames <= 30 })
        if input.audio != nil { #expect(copy.reports.allSatisfy { $0.audioPackets > 0 }) }
    }

    static func source(_ path: String, audio: Bool = false, loops: Bool = false) -> any MediaSource {
        MediaSources.make(
            .file(.init(path: path, loops: loops, atFullSpeed: true)), encoder: EncoderSettings(), audio: audio,
            openTimeout: .seconds(10), stallTimeout: .seconds(5))
    }

    private static func checkDurations(_ copy: MediaCopy, seconds: Int, _ fixtures: MediaFixtures) throws {
        let frame = 0.0401
        let whole = copy.reports.reduce(0) { $0 + $1.duration.seconds }
        #expect(abs(whole - Double(seconds)) < frame)
        for (report, path) in zip(copy.reports, copy.paths) {
            let inspection = try SegmentFileReader.inspect(path)
            #expect(inspection.videoFrames == report.videoFrames)
            #expect(inspection.audioPackets == report.audioPackets)
            #expect(inspection.bytesAgree(with: report))
            #expect(inspection.manifest == MediaCopy.manifest(index: report.path.index))
            let probed = try #require(Double(try fixtures.ffprobe("format=duration", path)))
            // Presentation lies behind decoding by the reordering delay, and audio frames end where they end.
            #expect(abs(probed - report.duration.seconds) < 4 * frame)
        }
    }
}

extension SegmentInspection {
    fileprivate func bytesAgree(with report: SegmentReport) -> Bool {
        !isTorn && fileBytes == report.bytes && duration == report.duration
    }
}
