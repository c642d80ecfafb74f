import Domain
import Foundation
import Media
import TestSupport
import Testing

/// Against RTSP servers that are not ours.
@Suite(.serialized) struct PublisherTests {
    struct Input: Sendable, CustomTestStringConvertible {
        var name: String
        var codec = "h264"
        var video: [String] = []
        var audio: [String]?
        var testDescription: String { "\(name) \(video.joined(separator: " "))" }
    }

    static let inputs = [
        Input(name: "avcc.mp4"), Input(name: "annex-b.ts"),
        Input(name: "b-frames.mp4", video: ["-preset", "veryfast", "-bf", "3"]),
        Input(
            name: "h265.mp4", codec: "hevc",
            video: SegmentCopyTests.x265 + ["-x265-params", "log-level=error:bframes=3"]),
        Input(name: "h265.ts", codec: "hevc", video: SegmentCopyTests.x265 + ["-x265-params", "log-level=error"]),
        Input(name: "aac.mp4", audio: ["-c:a", "aac", "-shortest"]),
        Input(name: "opus.mkv", audio: ["-c:a", "libopus"]),
        Input(name: "g711.mkv", audio: ["-c:a", "pcm_alaw", "-ar", "8000"]),
    ]

    static func publisher(
        _ url: String, _ format: StreamFormat, username: String = "", password: String = "",
        openTimeout: Duration = .seconds(20), writeTimeout: Duration = .seconds(20)
    ) throws -> RTSPPublisher {
        RTSPPublisher(
            .init(
                address: try RTSPAddress(url, username: username, password: password), format: format,
                openTimeout: openTimeout, writeTimeout: writeTimeout))
    }

    /// Tries until the server listens.
    private static func connected(
        _ url: String, _ format: StreamFormat, writeTimeout: Duration = .seconds(20)
    ) async throws -> RTSPPublisher {
        try await eventually("the server takes the stream") {
            let publisher = try Self.publisher(url, format, writeTimeout: writeTimeout)
            do throws(CodedError) { try publisher.connect() } catch {
                guard error.code == .mediaServerUnavailable else { throw error }
                return nil
            }
            return publisher
        }
    }

    /// Reads a clip to its end.
    static func packets(_ path: String, audio: Bool = false) throws -> (format: StreamFormat, packets: [Packet]) {
        let source = SegmentCopyTests.source(path, audio: audio)
        defer { source.close() }
        let format = try source.open()
        var packets: [Packet] = []
        while case .packet(let packet) = try source.next() { packets.append(packet) }
        return (format, packets)
    }

    @Test(arguments: inputs) func everyPictureArrives(_ input: Input) async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let clip = try fixtures.clip(input.name, seconds: 4, video: input.video, audio: input.audio)
        let (format, packets) = try Self.packets(clip, audio: input.audio != nil)
        // Matroska wants decode times, which RTP does not have, and so cannot take B-frames.
        let name = input.audio == nil ? "received.\(input.codec)" : "received.mkv"
        let receiver = try RTSPReceiver(into: name, of: folder)
        let publisher = try await Self.connected(receiver.url, format)
        for packet in packets { try publisher.write(packet) }
        publisher.close()
        try await eventually("the receiver has the whole stream") { receiver.hasEnded }

        let codec = try #require(ParameterSets.Codec(name: input.codec))
        let sent = try fixtures.codedSlices(
            fixtures.elementaryStream(of: [clip], codec: input.codec, into: "sent"), codec: codec)
        let arrived = try fixtures.elementaryStream(
            of: [receiver.path], codec: input.codec, into: "arrived.\(input.codec)")
        let got = try fixtures.codedSlices(arrived, codec: codec)
        #expect(got.count == sent.count)
        #expect(got == sent)
        #expect(try fixtures.ffmpeg(["-i", arrived, "-f", "null", "-"]) == "")
        guard input.audio != nil else { return }
        #expect(format.audio != nil)
        let heard = try fixtures.ffprobe("stream=codec_name", receiver.path).split(separator: "\n")
        #expect(heard.count == 2 && heard.last.map(String.init) == format.audio?.codecName)
        let audio = packets.filter { $0.track == .audio }
        let bytes = try fixtures.ffprobe("packet=stream_index,size", receiver.path).split(separator: "\n").compactMap {
            Int($0)
        }
        let received = stride(from: 0, to: bytes.count - 1, by: 2).reduce(0) {
            $0 + (bytes[$1] == 1 ? bytes[$1 + 1] : 0)
        }
        // What came before the first key frame is not sent.
        #expect(received > audio.reduce(0) { $0 + $1.byteCount } * 9 / 10)
    }

    @Test(arguments: [inputs[0], inputs[1], inputs[3]])
    func aLateReaderFindsTheParameterSets(_ input: Input) async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let clip = try fixtures.clip(input.name, seconds: 4, video: input.video)
        let (format, packets) = try Self.packets(clip)
        let receiver = try RTSPReceiver(into: "received.\(input.codec)", of: folder)
        let publisher = try await Self.connected(receiver.url, format)
        // The stream begins in the middle of a group: what cannot be decoded is not sent.
        let keys = packets.indices.filter { packets[$0].isKey }
        let second = try #require(keys.dropFirst().first)
        for packet in packets[(second - 5)...] { try publisher.write(packet) }
        publisher.close()
        try await eventually("the receiver has the whole stream") { receiver.hasEnded }
        let codec = try #require(ParameterSets.Codec(name: input.codec))
        let data = try Data(contentsOf: URL(fileURLWithPath: receiver.path))
        var (slices, sets) = (0, 0)
        data.withUnsafeBytes { bytes in
            ParameterSets.forEachUnit(in: bytes, lengthSize: nil) { unit in
                let first = unit[unit.startIndex]
                if codec.isVCL(first) { slices += 1 }
                if input.codec == "h264" ? first & 0x1f == 7 : first >> 1 & 0x3f == 33 { sets += 1 }
            }
        }
        #expect(slices == packets.count - second)
        #expect(sets >= keys.count - 1)
    }

    @Test(arguments: [false, true]) func aLoginIsGiven(digest: Bool) async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let (format, packets) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 2))
        let relay = try await RTSPRelay(user: "cam era", password: "s:e@s/a?m#e%", digest: digest, folder: folder)
        let url = "rtsp://127.0.0.1:\(relay.port)/camera"
        for (username, password) in [("cam era", "hush-hush"), ("hush-hush", "s:e@s/a?m#e%"), ("", "")] {
            let stranger = try Self.publisher(url, format, username: username, password: password)
            #expect {
                try stranger.connect()
            } throws: { error in
                let text = "\(error)"
                return (error as? CodedError)?.code == .unauthorized && !text.contains("hush") && !text.contains("s:e")
                    && !text.contains("s%3A")
            }
        }
        let publisher = try Self.publisher(url, format, username: "cam era", password: "s:e@s/a?m#e%")
        try publisher.connect()
        for packet in packets { try publisher.write(packet) }
        let sent = packets.count
        try await eventually("the server has all pictures") {
            guard FileManager.default.fileExists(atPath: relay.path) else { return false }
            return try fixtures.codedSlices(relay.path, codec: .h264).count == sent
        }
        publisher.close()
    }

    @Test func anUnknownPathIsRefused() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let (format, _) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        let relay = try await RTSPRelay(user: "camera", password: "sesame", digest: false, folder: folder)
        let publisher = try Self.publisher(
            "rtsp://127.0.0.1:\(relay.port)/nowhere", format, username: "camera", password: "sesame")
        #expect {
            try publisher.connect()
        } throws: { error in
            (error as? CodedError)?.code == .mediaServerUnavailable && !"\(error)".contains("sesame")
        }
    }

    @Test func aServerThatIsNotThereIsNotWaitedFor() throws {
        let fixtures = try MediaFixtures()
        let (format, packets) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        let publisher = try Self.publisher("rtsp://127.0.0.1:1/camera", format)
        #expect { try publisher.connect() } throws: { ($0 as? CodedError)?.code == .mediaServerUnavailable }
        #expect(throws: CodedError.self) { try publisher.write(packets[0]) }
        publisher.close()
    }

    @Test func aServerThatNeverAnswersIsGivenUp() throws {
        let fixtures = try MediaFixtures()
        let (format, _) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        let peer = try SilentPeer()
        let publisher = try Self.publisher(
            "rtsp://127.0.0.1:\(peer.port)/camera", format, username: "camera", password: "sesame",
            openTimeout: .milliseconds(300))
        _ = withExtendedLifetime(peer) {
            #expect { try publisher.connect() } throws: { error in
                (error as? CodedError)?.code == .timeout && !"\(error)".contains("sesame")
            }
        }
    }

    @Test func aConnectThatHangsCanBeInterrupted() throws {
        let fixtures = try MediaFixtures()
        let (format, _) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        let peer = try SilentPeer()
        let publisher = try Self.publisher(
            "rtsp://127.0.0.1:\(peer.port)/camera", format, openTimeout: .seconds(600))
        Thread.detachNewThread {
            peer.waitForFirstBytes()
            publisher.interrupt()
        }
        #expect(throws: CodedError(.mediaServerUnavailable, "publishing was interrupted")) { try publisher.connect() }
    }

    /// The buffers on the way fill up; the write that finds no room ends by its deadline.
    @Test func aServerThatStopsReadingIsGivenUp() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let clip = try fixtures.clip("clip.mp4", seconds: 4, size: "1280x720", video: ["-b:v", "20M", "-qp", "5"])
        let (format, packets) = try Self.packets(clip)
        let receiver = try RTSPReceiver(into: "received.mkv", of: folder)
        let limit = Duration.milliseconds(500)
        let publisher = try await Self.connected(receiver.url, format, writeTimeout: limit)
        try publisher.write(packets[0])
        receiver.freeze()
        var (began, longest) = (SystemClock.now(), Duration.zero)
        #expect {
            // Far more than all buffers hold.
            for _ in 0..<100 {
                for packet in packets {
                    began = SystemClock.now()
                    defer { longest = max(longest, SystemClock.now() - began) }
                    try publisher.write(packet)
                }
            }
        } throws: { ($0 as? CodedError)?.code == .timeout }
        #expect(longest >= limit && longest < .seconds(10))
        let closing = SystemClock.now()
        publisher.close()
        #expect(SystemClock.now() - closing < .seconds(5))
        #expect(throws: CodedError.self) { try publisher.write(packets[0]) }
    }

    @Test func aServerThatDiesIsNoticedWithoutAWrite() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let (format, packets) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 2))
        let receiver = try RTSPReceiver(into: "received.mkv", of: folder)
        let publisher = try await Self.connected(receiver.url, format)
        for packet in packets.prefix(30) { try publisher.write(packet) }
        for _ in 0..<20 { try publisher.checkConnection() }
        receiver.kill()
        #expect { try publisher.checkConnection() } throws: { ($0 as? CodedError)?.code == .mediaServerUnavailable }
        #expect(throws: CodedError.self) { try publisher.write(packets[30]) }
        publisher.close()
    }

    @Test func addressesAreChecked() throws {
        #expect(
            "\(try RTSPAddress("rtsp://host:8554/front", username: "a", password: "b"))" == "rtsp://host:8554/front")
        for (location, username, password) in [
            ("http://host/front", "", ""), ("rtsp://", "", ""), ("rtsp://a:b@host/front", "", ""),
            ("rtsp://host:0/front", "", ""), ("rtsp://host:x/front", "", ""), ("rtsp://host/front", "a:b", ""),
            ("rtsp://host/front", "", "sesame"),
            ("rtsp://host/front", "a", String(repeating: "é", count: 21)),
            ("rtsp://host/front", String(repeating: "a", count: 127), ""),
        ] {
            #expect { try RTSPAddress(location, username: username, password: password) } throws: {
                ($0 as? CodedError)?.code == .invalidArgument && !"\($0)".contains("sesame")
            }
        }
        _ = try RTSPAddress("rtsp://[::1]:8554/front", username: "a", password: String(repeating: "b", count: 125))
    }
}
