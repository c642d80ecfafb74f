import Domain
import Media
import TestSupport
import Testing

/// Against a real RTSP server.
@Suite(.serialized) struct RTSPSourceTests {
    struct Camera: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var pipeline: String
        var codec = "h264"
        var audio: String?
    }

    private static let picture = "videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 ! "
    private static let x264 = "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! "
    private static let sound = " audiotestsrc is-live=true ! "

    static let cameras = [
        Camera(testDescription: "H.264", pipeline: picture + x264 + "rtph264pay name=pay0 pt=96 config-interval=1"),
        Camera(
            testDescription: "H.264, parameter sets in the description alone",
            pipeline: picture + x264 + "h264parse ! rtph264pay name=pay0 pt=96 config-interval=0"),
        Camera(
            testDescription: "H.264 with B-frames",
            pipeline: picture + "x264enc speed-preset=veryfast bframes=2 key-int-max=25 rc-lookahead=2 ! "
                + "rtph264pay name=pay0 pt=96 config-interval=1"),
        Camera(
            testDescription: "H.265",
            pipeline: picture + "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! "
                + "rtph265pay name=pay0 pt=96 config-interval=1", codec: "hevc"),
        Camera(
            testDescription: "H.264 with AAC",
            pipeline: picture + x264 + "rtph264pay name=pay0 pt=96 config-interval=1" + sound
                + "audio/x-raw,rate=48000,channels=1 ! voaacenc ! rtpmp4gpay name=pay1 pt=97", audio: "aac"),
        Camera(
            testDescription: "H.264 with G.711",
            pipeline: picture + x264 + "rtph264pay name=pay0 pt=96 config-interval=1" + sound
                + "audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8", audio: "pcm_alaw"),
        Camera(
            testDescription: "H.264 with Opus",
            pipeline: picture + x264 + "rtph264pay name=pay0 pt=96 config-interval=1" + sound
                + "audio/x-raw,rate=48000,channels=1 ! opusenc ! rtpopuspay name=pay1 pt=97", audio: "opus"),
    ]

    private static func source(_ camera: RTSPCamera, audio: Bool) -> any MediaSource {
        MediaSources.make(
            .rtsp(url: camera.url), encoder: EncoderSettings(), audio: audio, openTimeout: .seconds(20),
            stallTimeout: .seconds(5))
    }

    @Test(arguments: cameras) func aCameraIsRecorded(_ camera: Camera) throws {
        let fixtures = try MediaFixtures()
        let server = try RTSPCamera(pipeline: camera.pipeline)
        let source = Self.source(server, audio: camera.audio != nil)
        #expect(source.paces)
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .milliseconds(900))
        copy.audio = camera.audio != nil
        copy.framesMax = 60
        try copy.run(source)
        let format = try #require(copy.formats.first)
        #expect(format.video.codecName == camera.codec)
        #expect(format.video.width == 320 && format.video.height == 180)
        #expect(format.audio?.codecName == camera.audio)
        #expect(copy.formats.count == 1)
        #expect(copy.reports.count >= 2)
        #expect(copy.reports.reduce(0) { $0 + $1.videoFrames } == 60)
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
        if camera.audio != nil { #expect(copy.reports.reduce(0) { $0 + $1.audioPackets } > 10) }
        let joined = try fixtures.elementaryStream(of: copy.paths, codec: camera.codec, into: "joined.\(camera.codec)")
        #expect(try fixtures.ffmpeg(["-i", joined, "-f", "null", "-"]) == "")
    }

    @Test func aCameraThatDiesEndsTheRead() throws {
        let server = try RTSPCamera(pipeline: Self.cameras[0].pipeline)
        let source = Self.source(server, audio: false)
        defer { source.close() }
        _ = try source.open()
        _ = try source.next()
        server.kill()
        #expect(throws: CodedError.self) {
            while true { _ = try source.next() }
        }
    }
}
