import Domain
import Foundation
import Media
import TestSupport
import Testing

@Suite struct SourceFaultTests {
    static func camera(_ peer: SilentPeer, openTimeout: Duration) -> any MediaSource {
        MediaSources.make(
            .rtsp(url: "rtsp://user:sesame@127.0.0.1:\(peer.port)/live"), encoder: EncoderSettings(), audio: true,
            openTimeout: openTimeout, stallTimeout: .seconds(2))
    }

    /// What a thread of its own met in `open()`; read after `done` was signalled.
    final class Opening: @unchecked Sendable {
        let done = DispatchSemaphore(value: 0)
        var error: CodedError?
        var returned = MonotonicTime.zero
    }

    @Test func aStalledCameraCanBeInterrupted() throws {
        let peer = try SilentPeer()
        let source = Self.camera(peer, openTimeout: .seconds(60))
        let opening = Opening()
        Thread.detachNewThread {
            do throws(CodedError) { _ = try source.open() } catch { opening.error = error }
            opening.returned = SystemClock.now()
            opening.done.signal()
        }
        peer.waitForFirstBytes()
        let interrupted = SystemClock.now()
        source.interrupt()
        opening.done.wait()
        #expect(opening.error == CodedError(.sourceUnavailable, "the source was interrupted"))
        #expect(opening.returned - interrupted < .seconds(1))
        source.close()
    }

    @Test func anOpenDeadlineEndsAStalledCamera() throws {
        let peer = try SilentPeer()
        let source = Self.camera(peer, openTimeout: .milliseconds(300))
        _ = withExtendedLifetime(peer) {
            #expect(throws: CodedError(.timeout, "the source sent nothing in time")) { try source.open() }
        }
    }

    @Test func aRefusedConnectionNamesNoSecret() throws {
        let address = SourceAddress.rtsp(url: "rtsp://user:sesame@127.0.0.1:1/live?token=sesame")
        let source = MediaSources.make(
            address, encoder: EncoderSettings(), audio: false, openTimeout: .seconds(5), stallTimeout: .seconds(1))
        #expect { try source.open() } throws: { error in
            (error as? CodedError)?.code == .sourceUnavailable && !"\(error)".contains("sesame")
        }
    }

    @Test(arguments: ["missing.mp4", "empty.mp4", "noise.mp4", "sound.wav", "text.m3u8", "mpeg4.mp4"])
    func aFileWithoutVideoIsRefused(_ name: String) throws {
        let fixtures = try MediaFixtures()
        let path = fixtures.path(name)
        switch name {
        case "empty.mp4": try Data().write(to: URL(fileURLWithPath: path))
        case "noise.mp4": try Data(repeating: 0x5a, count: 100_000).write(to: URL(fileURLWithPath: path))
        case "sound.wav": try fixtures.ffmpeg(["-f", "lavfi", "-i", "sine=duration=1", path])
        case "text.m3u8":
            try Data("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n".utf8).write(to: URL(fileURLWithPath: path))
        case "mpeg4.mp4": _ = try fixtures.clip(name, seconds: 1, video: ["-c:v", "mpeg4"])
        default: break
        }
        #expect { try SegmentCopyTests.source(path).open() } throws: {
            ($0 as? CodedError)?.code == .sourceUnavailable
        }
    }

    @Test(arguments: ["loop.mp4", "loop.mkv", "loop.h264", "loop.ts"])
    func aLoopingFileGoesOnWithoutAJump(_ name: String) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(name, seconds: 2, video: ["-preset", "veryfast", "-bf", "2"])
        let source = SegmentCopyTests.source(clip, loops: true)
        defer { source.close() }
        let timeBase = try source.open().video.timeBase
        var last: Int64?
        var frames = 0
        while frames < 170 {
            guard case .packet(let packet) = try source.next() else { continue }
            let dts = try #require(packet.dts)
            // One frame of 40 ms each time, across the seams too.
            if let last { #expect(timeBase.duration(ticks: dts - last) == .milliseconds(40)) }
            last = dts
            frames += 1
        }
    }

    @Test func aFilePlaysInRealTime() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("paced.mp4", seconds: 1)
        let source = MediaSources.make(
            .file(.init(path: clip)), encoder: EncoderSettings(), audio: false, openTimeout: .seconds(10),
            stallTimeout: .seconds(5))
        defer { source.close() }
        _ = try source.open()
        #expect(source.paces)
        let began = SystemClock.now()
        var packets = 0
        while case .packet = try source.next() { packets += 1 }
        #expect(packets == 25)
        // The last of 25 frames is due 960 ms after the first; a slow machine may only be later.
        #expect(SystemClock.now() - began >= .milliseconds(959))
    }
}
