import Domain
import FoundationEssentials
import TestSupport
import Testing

@Suite struct IdentifierTests {
    private static let hostile = [
        "", "-a", "_a", "A", "aB", "a.b", "a b", " a", "a ", "a/b", "../a", "..", ".", "a+b", "+", "#", "a#", "$sys",
        "a\u{0}", "\u{0}", "a\n", "ä", "а", "a\u{301}", "１", "a%2e", String(repeating: "a", count: 64), "😀",
    ]

    @Test(arguments: ["a", "0", "front", "front-door_2", String(repeating: "z", count: 63)])
    func namesThatAreTaken(text: String) {
        #expect(CameraID(rawValue: text)?.rawValue == text)
        #expect(NodeID(rawValue: text)?.description == text)
    }

    @Test(arguments: hostile) func namesThatAreRefused(text: String) {
        #expect(CameraID(rawValue: text) == nil)
        #expect(NodeID(rawValue: text) == nil)
        #expect(GroupID(rawValue: text) == nil)
        #expect(ServiceName(rawValue: text) == nil)
        #expect(InstanceID(rawValue: text) == nil)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode([CameraID].self, from: JSONEncoder().encode([text]))
        }
    }

    @Test func sessionsAreThirtyTwoDigits() throws {
        let session = SessionID(high: 1, low: 0xABC)
        #expect(session.rawValue == "00000000000000010000000000000abc")
        #expect(session.short == "00000000")
        #expect(SessionID(rawValue: session.rawValue) == session)
        #expect(SessionID(high: .max, low: .max).rawValue == String(repeating: "f", count: 32))
        for text in [
            "", "00", session.rawValue.uppercased(), session.rawValue + "0", String(repeating: "g", count: 32),
        ] {
            #expect(SessionID(rawValue: text) == nil)
        }
        let data = try JSONEncoder().encode([session])
        #expect(try JSONDecoder().decode([SessionID].self, from: data) == [session])
    }

    @Test func holders() {
        for text in ["manual", "motion:hall", "schedule:night.2", "A-Z_9", String(repeating: "x", count: 64)] {
            #expect(Holder(rawValue: text)?.rawValue == text)
        }
        for text in ["", "a b", "a/b", "a\n", "ä", "a\"", "{}", String(repeating: "x", count: 65), "a\u{0}"] {
            #expect(Holder(rawValue: text) == nil)
        }
    }
}

@Suite struct SegmentPathTests {
    @Test func printsAsTheContractSays() throws {
        let camera = try #require(CameraID(rawValue: "front"))
        let start = try #require(WallTime(rfc3339: "2026-03-01T12:30:00.250Z"))
        let path = SegmentPath(
            camera: camera, startedAt: start, session: SessionID(high: 0x0123_4567_89AB_CDEF, low: 0), index: 7,
            isPartial: true)
        #expect(path.relativePath == "front/2026-03-01/12-30-00.250Z_01234567_7.partial.mp4")
        #expect(path.completed.relativePath == "front/2026-03-01/12-30-00.250Z_01234567_7.mp4")
        #expect(path.folder == "front/2026-03-01")
    }

    @Test(arguments: 0..<20 as Range<UInt64>) func whatItPrintsItReads(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        for _ in 0..<200 {
            let camera = try #require(CameraID(rawValue: random.pick(["a", "front", "x-1", "a_b", "0"])))
            let path = SegmentPath(
                camera: camera, startedAt: WallTime(nanoseconds: Int64(random.int(in: 0...9_000_000_000_000_000_000))),
                session: SessionID(high: random.next(), low: random.next()),
                index: random.int(in: 0...1_000_000), isPartial: random.chance(0.5))
            try #require(SegmentPath(relativePath: path.relativePath) == path, "seed \(seed): \(path)")
        }
    }

    @Test(arguments: [
        "", "/", "a", "a/b/c", "../2026-03-01/12-30-00.250Z_01234567_7.mp4",
        "/front/2026-03-01/12-30-00.250Z_01234567_7.mp4", "front/../12-30-00.250Z_01234567_7.mp4",
        "front/2026-03-01/../12-30-00.250Z_01234567_7.mp4", "front/2026-03-01/12-30-00.250Z_01234567_7.mp4/x",
        "Front/2026-03-01/12-30-00.250Z_01234567_7.mp4", "front/2026-02-30/12-30-00.250Z_01234567_7.mp4",
        "front/2026-03-01/24-30-00.250Z_01234567_7.mp4", "front/2026-03-01/12-30-00.25Z_01234567_7.mp4",
        "front/2026-03-01/12-30-00Z_01234567_7.mp4", "front/2026-03-01/12:30:00.250Z_01234567_7.mp4",
        "front/2026-03-01/12-30-00.250Z_0123456G_7.mp4", "front/2026-03-01/12-30-00.250Z_01234567_-7.mp4",
        "front/2026-03-01/12-30-00.250Z_01234567_+7.mp4", "front/2026-03-01/12-30-00.250Z_01234567_07.mp4",
        "front/2026-03-01/12-30-00.250Z_01234567_7.mp4.mp4", "front/2026-03-01/12-30-00.250Z_01234567_7.MP4",
        "front/2026-03-01/12-30-00.250Z_01234567_99999999999999999999.mp4", "front/2026-03-01/.mp4",
        "front/2026-03-01/12-30-00.250Z_01234567_7\u{0}.mp4", "front/2026-03-01/12--30-00.250Z_01234567_7.mp4",
        "front/2026-03-01/snapshots/x.jpg", "front\u{0}/2026-03-01/12-30-00.250Z_01234567_7.mp4",
    ])
    func pathsThatAreRefused(text: String) {
        #expect(SegmentPath(relativePath: text) == nil)
    }

    @Test func aManifestKeepsEverything() throws {
        let camera = try #require(CameraID(rawValue: "front"))
        let node = try #require(NodeID(rawValue: "attic"))
        let start = WallTime(milliseconds: 1_709_251_199_999)
        let manifest = SegmentManifest(
            session: SessionID(high: 5, low: 6), camera: camera, node: node, index: 3, firstFrame: .max - 1,
            startedAt: start, sessionStartedAt: start - .seconds(90), sessionOffsetNanoseconds: 90_000_000_000,
            offsetSeconds: 0.125,
            gap: .init(from: start - .seconds(2), to: start, cause: .workerDied, framesLost: nil))
        let data = try JSONEncoder().encode(manifest)
        #expect(try JSONDecoder().decode(SegmentManifest.self, from: data) == manifest)
        #expect(manifest.path.isPartial && manifest.path.index == 3)
    }
}

@Suite struct SourceAddressTests {
    @Test func readsEveryKind() throws {
        #expect(try SourceAddress("rtsp://cam/live") == .rtsp(url: "rtsp://cam/live"))
        #expect(try SourceAddress("RTSPS://cam:322/") == .rtsp(url: "RTSPS://cam:322/"))
        #expect(
            try SourceAddress("file:///a/b.mp4?loop=1&rate=max")
                == .file(.init(path: "/a/b.mp4", loops: true, atFullSpeed: true)))
        #expect(try SourceAddress("test://pattern") == .testPattern(.init()))
        #expect(
            try SourceAddress("test://pattern?size=320x240&fps=5")
                == .testPattern(.init(width: 320, height: 240, fps: 5)))
        #expect(
            try SourceAddress("v4l2:///dev/video0?size=1280x720&fps=30").publicText == "v4l2:///dev/video0")
        #expect(
            try SourceAddress("v4l2:///dev/v4l/by-id/usb-A..B_1-video-index0?format=mjpeg&size=640x480")
                == .v4l2(
                    .init(
                        path: "/dev/v4l/by-id/usb-A..B_1-video-index0", width: 640, height: 480, kind: .mjpeg)))
    }

    @Test(arguments: [
        "", "rtsp", "rtsp:", "rtsp://", "rtsp:///path", "rtsp://a b", "rtsp://a\u{0}b", "rtsp://a\nb", "http://cam/",
        "file://", "file://relative", "file:///a\u{0}", "file:///a?loop=2", "file:///a?rate=9", "file:///a?x=1",
        "file:///a?loop=1&loop=1", "test://other", "test://pattern?size=3x3", "test://pattern?size=641x360",
        "test://pattern?size=1e3x2", "test://pattern?fps=0", "test://pattern?fps=241", "test://pattern?fps=-5",
        "test://pattern?size=64x64x64", "test://pattern?size=99999999999999999999x2", "v4l2:///etc/passwd",
        "v4l2:///dev/../etc/passwd", "v4l2:///dev/video0?size=0x0", "v4l2:///dev/", "v4l2:///dev/video0?format=avi",
        "v4l2:///dev/video0\u{0}", "concat:a|b", "pipe:0", "://", "exec://rm",
    ])
    func refuses(text: String) {
        #expect(throws: CodedError.self) { try SourceAddress(text) }
    }

    @Test(arguments: [
        "rtsp://user:s3cret@cam/live", "rtsp://user:s3cret@cam:554/live?token=s3cret", "rtsp://user:s3cret@cam",
        "rtsp://user:a@s3cret@cam/x", "rtsp://s3cret@cam/", "rtsp://user:s3cret@cam?auth=s3cret",
        "rtsp://cam?auth=s3cret", "rtsp://cam/live#s3cret", "rtsp://cam:554/live/user=a&password=s3cret&x=0.sdp",
        "rtsp://cam/a@b?x=s3cret",
    ])
    func credentialsNeverShow(text: String) throws {
        let address = try SourceAddress(text)
        #expect(!address.publicText.contains("s3cret"), "\(address.publicText)")
        #expect(address.publicText.contains("cam"), "\(address.publicText)")
    }

    /// Passwords that should have been percent-encoded and were not.
    @Test(arguments: [
        "rtsps://user:s3cret/@cam/live", "rtsp://user:x/s3cret@cam/live", "rtsp://user:x?s3cret@cam/live",
        "rtsp://user:x#s3cret@cam/live", "rtsp://user:s3cret/1@cam", "rtsp://user:a@s3cret/b@cam/live",
        "rtsp://cam:554/live?x=a@s3cret",
    ])
    func whatMayBeAPasswordIsHidden(text: String) throws {
        let shown = try SourceAddress(text).publicText
        #expect(shown == "rtsp://(hidden)" || shown == "rtsps://(hidden)")
    }

    @Test func whatIsPublicStillNamesThePlace() throws {
        #expect(try SourceAddress("rtsp://user:pw@cam:554/live/1?x=2").publicText == "rtsp://cam:554/live/1")
        #expect(try SourceAddress("rtsp://cam").publicText == "rtsp://cam")
        #expect(try SourceAddress("rtsp://cam/live@1").publicText == "rtsp://cam/live@1")
    }
}
