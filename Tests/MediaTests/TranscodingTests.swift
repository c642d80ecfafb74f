import Domain
import Foundation
import Media
import TestSupport
import Testing

/// Sources whose pictures recordings do not hold as they are.
@Suite(.serialized) struct TranscodingTests {
    private static func source(
        _ path: String, gop: Duration = .seconds(2), audio: Bool = false, atFullSpeed: Bool = true, loops: Bool = false
    ) -> any MediaSource {
        MediaSources.make(
            .file(.init(path: path, loops: loops, atFullSpeed: atFullSpeed)), encoder: EncoderSettings(gop: gop),
            audio: audio, openTimeout: .seconds(20), stallTimeout: .seconds(20))
    }

    private static let mjpeg = ["-c:v", "mjpeg", "-q:v", "2"]

    /// A recording of the test pattern as MJPEG: every picture can be told from every other.
    private static func numbered(_ fixtures: MediaFixtures, _ name: String, frames: Int, arguments: [String] = mjpeg)
        throws -> String
    {
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(600))
        copy.framesMax = frames
        try copy.run(NumberedPattern.source())
        let recorded = try #require(copy.paths.first)
        try fixtures.ffmpeg(["-i", recorded] + arguments + [fixtures.path(name)])
        return fixtures.path(name)
    }

    @Test(arguments: [
        ("whole.avi", ["-pix_fmt", "yuvj420p"]), ("whole.mkv", ["-pix_fmt", "yuvj422p"]),
        ("whole.mjpeg", ["-pix_fmt", "yuvj420p"]), ("whole.mov", ["-pix_fmt", "yuvj444p"]),
    ]) func everyPictureOfAFileIsRecorded(_ name: String, _ format: [String]) throws {
        let fixtures = try MediaFixtures()
        let clip = try Self.numbered(fixtures, name, frames: 100, arguments: Self.mjpeg + format)
        var copy = MediaCopy(storage: fixtures.path("copy"), segmentSeconds: .milliseconds(300))
        try FileManager.default.createDirectory(atPath: copy.storage, withIntermediateDirectories: true)
        let source = Self.source(clip, gop: .milliseconds(250))
        #expect(!source.paces)
        try copy.run(source)
        #expect(source.notes == [])
        let recorded = try #require(copy.formats.first)
        #expect(copy.formats.count == 1 && recorded.video.codecName == "h264")
        #expect(recorded.video.width == 320 && recorded.video.height == 180)
        #expect(copy.reports.count >= 2)
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
        #expect(try copy.paths.flatMap { try TestPatternReading.numbers(in: $0) } == Array(0..<100))
        let path = try #require(copy.paths.first)
        #expect(try fixtures.ffprobe("stream=pix_fmt,color_range,color_space", path) == "yuv420p\ntv\nsmpte170m")
    }

    @Test func soundIsCopied() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("sound.mkv", seconds: 3, video: Self.mjpeg, audio: ["-c:a", "aac"])
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(1))
        try copy.run(Self.source(clip, gop: .seconds(1), audio: true))
        #expect(copy.formats.first?.audio?.codecName == "aac")
        #expect(copy.reports.reduce(0) { $0 + $1.videoFrames } == 75)
        #expect(copy.reports.allSatisfy { $0.audioPackets > 0 })
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
    }

    @Test func anAskedForKeyFrameComesNext() throws {
        let fixtures = try MediaFixtures()
        let source = Self.source(try fixtures.clip("clip.avi", seconds: 2, video: Self.mjpeg), gop: .seconds(100))
        defer { source.close() }
        _ = try source.open()
        var keys: [Int] = []
        for index in 0..<50 {
            if [7, 8, 33].contains(index) { source.requestKeyFrame() }
            guard case .packet(let packet) = try source.next() else { continue }
            if packet.isKey { keys.append(index) }
        }
        #expect(keys == [0, 7, 8, 33])
    }

    @Test func timestampsAndArrivalsAreTheCameras() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.mkv", seconds: 2, video: Self.mjpeg)
        let plain = MediaSources.undecoded(.init(path: clip, atFullSpeed: true), clock: SnapshotTests.Counter().next)
        let source = MediaSources.make(
            .file(.init(path: clip, atFullSpeed: true)), encoder: EncoderSettings(), audio: false,
            openTimeout: .seconds(20), stallTimeout: .seconds(20), clock: SnapshotTests.Counter().next)
        defer {
            plain.close()
            source.close()
        }
        #expect(try plain.open().video.timeBase == source.open().video.timeBase)
        for _ in 0..<50 {
            guard case .packet(let coded) = try plain.next(), case .packet(let encoded) = try source.next() else {
                Issue.record("a picture is missing")
                return
            }
            #expect(coded.pts == encoded.pts && coded.dts == encoded.dts && coded.duration == encoded.duration)
            #expect(coded.arrival == encoded.arrival)
        }
        guard case .end = try source.next(), case .end = try source.next() else {
            Issue.record("the end is missing")
            return
        }
    }

    @Test func aChangeOfSizeBeginsAFormat() throws {
        let fixtures = try MediaFixtures()
        let small = try fixtures.clip("small.mjpeg", seconds: 1, video: Self.mjpeg)
        let large = try fixtures.clip("large.mjpeg", seconds: 1, size: "320x180", video: Self.mjpeg)
        var whole = try Data(contentsOf: URL(fileURLWithPath: small))
        whole += try Data(contentsOf: URL(fileURLWithPath: large))
        try whole.write(to: URL(fileURLWithPath: fixtures.path("both.mjpeg")))
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(10))
        try copy.run(Self.source(fixtures.path("both.mjpeg")))
        #expect(copy.formats.map(\.video.width) == [192, 320])
        #expect(copy.reports.map(\.videoFrames) == [25, 25])
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
    }

    /// The taker stands for an encoder that is too slow: the source keeps time, so pictures are lost, and counted.
    @Test func whatTheEncoderCannotTakeIsDroppedAndCounted() async throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.avi", seconds: 2, rate: 50, video: Self.mjpeg)
        let source = Self.source(clip, atFullSpeed: false)
        defer { source.close() }
        _ = try source.open()
        var frames = 1
        guard case .packet(let first) = try source.next() else { throw CodedError(.internal, "no picture") }
        #expect(first.isKey)
        try await eventually("pictures are dropped") { !source.notes.isEmpty }
        var skipped = 0
        var mustBeKey = false
        reading: while true {
            switch try source.next() {
            case .packet(let packet):
                frames += 1
                if mustBeKey { #expect(packet.isKey, "a recording goes on with the next picture") }
                mustBeKey = false
            case .skipped(let count):
                #expect(count > 0)
                skipped += count
                mustBeKey = true
            case .formatChanged: Issue.record("the format does not change")
            case .end: break reading
            }
        }
        let note = try #require(source.notes.first)
        let dropped = try #require(note.split(separator: " ").first.flatMap { Int($0) })
        #expect(dropped > 0 && frames + dropped == 100)
        #expect(skipped == dropped, "what is lost is told in its place")
    }

    @Test func damagedPicturesAreDroppedAndCounted() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.mjpeg", seconds: 2, video: Self.mjpeg)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip)))
        // Every fourth picture loses the marker that says how large it is.
        var pictures = 0
        for index in bytes.indices.dropLast(3) where bytes[index] == 0xff && bytes[index + 1] == 0xc0 {
            pictures += 1
            if pictures.isMultiple(of: 4) { bytes[index + 1] = 0xfe }
        }
        try Data(bytes).write(to: URL(fileURLWithPath: fixtures.path("damaged.mjpeg")))
        let source = Self.source(fixtures.path("damaged.mjpeg"))
        defer { source.close() }
        _ = try source.open()
        var (frames, skipped) = (0, 0)
        reading: while true {
            switch try source.next() {
            case .packet: frames += 1
            case .skipped(let lost): skipped += lost
            case .formatChanged: break
            case .end: break reading
            }
        }
        // Every picture is either there or told to be missing.
        #expect(frames > 0 && skipped > 0 && frames + skipped == 50, "\(frames) and \(skipped)")
    }

    @Test(arguments: [true, false]) func anInterruptEndsAWait(atFullSpeed: Bool) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.avi", seconds: 100, size: "64x64", rate: 1, video: Self.mjpeg)
        let source = Self.source(clip, atFullSpeed: atFullSpeed)
        _ = try source.open()
        _ = try source.next()
        source.interrupt()
        #expect(throws: CodedError(.sourceUnavailable, "the source was interrupted")) {
            while true { _ = try source.next() }
        }
        source.close()
        source.close()
    }

    @Test func aCameraIsRecorded() throws {
        let fixtures = try MediaFixtures()
        let camera = try RTSPCamera(
            pipeline:
                "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=184,framerate=25/1 ! jpegenc ! "
                + "rtpjpegpay name=pay0 pt=26")
        let source = MediaSources.make(
            .rtsp(url: camera.url), encoder: EncoderSettings(gop: .milliseconds(500)), audio: false,
            openTimeout: .seconds(20), stallTimeout: .seconds(5))
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .milliseconds(900))
        copy.framesMax = 60
        try copy.run(source)
        #expect(source.notes == [])
        #expect(copy.formats.first?.video.codecName == "h264")
        #expect(copy.formats.first?.video.width == 320 && copy.formats.first?.video.height == 184)
        #expect(copy.reports.count >= 2)
        #expect(copy.reports.reduce(0) { $0 + $1.videoFrames } == 60)
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
    }

    @Test func aCameraThatDiesEndsTheRead() throws {
        let camera = try RTSPCamera(
            pipeline:
                "videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=184,framerate=25/1 ! jpegenc ! "
                + "rtpjpegpay name=pay0 pt=26")
        let source = MediaSources.make(
            .rtsp(url: camera.url), encoder: EncoderSettings(), audio: false, openTimeout: .seconds(20),
            stallTimeout: .seconds(5))
        defer { source.close() }
        _ = try source.open()
        _ = try source.next()
        camera.kill()
        #expect(throws: CodedError.self) { while true { _ = try source.next() } }
    }

    @Test func aCoverPictureIsNoVideo() throws {
        let fixtures = try MediaFixtures()
        let cover = fixtures.path("cover.jpg")
        try fixtures.ffmpeg(["-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1", cover])
        let song = fixtures.path("song.mp3")
        try fixtures.ffmpeg([
            "-f", "lavfi", "-i", "sine=duration=1", "-i", cover, "-map", "0", "-map", "1", "-c:v", "copy",
            "-disposition:v", "attached_pic", song,
        ])
        #expect { try Self.source(song).open() } throws: { ($0 as? CodedError)?.code == .sourceUnavailable }
    }
}
