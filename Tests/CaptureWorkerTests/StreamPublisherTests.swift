import CaptureWorkerCore
import Domain
import Foundation
import Media
import TestSupport
import Testing

@testable import CaptureWorkerShell

/// Against an RTSP server that is not ours, and takes its time.
@Suite struct StreamPublisherTests {
    static let camera = CameraID(unchecked: "front")

    /// What a clip holds, as the pipeline keeps it.
    static func kept(_ clip: String) throws -> [CapturePipeline.Kept] {
        let source = MediaSources.make(
            .file(.init(path: clip, atFullSpeed: true)), encoder: EncoderSettings(), audio: false,
            openTimeout: .seconds(10), stallTimeout: .seconds(5))
        defer { source.close() }
        let format = try source.open()
        var kept: [CapturePipeline.Kept] = []
        while case .packet(let packet) = try source.next() {
            let frame = SegmentCutter.Frame(isKey: packet.isKey, time: packet.arrival, media: .zero)
            kept.append(CapturePipeline.Kept(packet: packet, format: format, frame: frame))
        }
        return kept
    }

    /// Whoever is sent what has come meanwhile sees the camera late for as long as he watches.
    @Test func aServerThatAnswersLateGetsTheNewestGroupOnly() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let clip = try fixtures.clip("clip.mp4", seconds: 4)
        let kept = try Self.kept(clip)
        let keys = kept.indices.filter { kept[$0].frame?.isKey == true }
        #expect(keys.count == 4)
        let relay = try await RTSPRelay(user: "camera", password: "sesame", digest: false, folder: folder)
        let address = try RTSPAddress(
            "rtsp://127.0.0.1:\(relay.port)/camera", username: "camera", password: "sesame")
        let publisher = StreamPublisher(camera: Self.camera, address: address) { _ in }
        relay.freeze()
        publisher.open(run: 1, beginning: Array(kept[..<keys[1]]))
        defer { publisher.close() }
        for frame in kept[keys[1]...] { publisher.offer(frame) }
        relay.thaw()

        let sent = try fixtures.codedSlices(
            fixtures.elementaryStream(of: [clip], codec: "h264", into: "sent.h264"), codec: .h264)
        let got = try await eventually("the server has the last picture") { () -> [[UInt8]]? in
            guard FileManager.default.fileExists(atPath: relay.path) else { return nil }
            let got = try fixtures.codedSlices(relay.path, codec: .h264)
            return got.last == sent.last ? got : nil
        }
        #expect(got == Array(sent[keys[3]...]), "\(got.count) of \(sent.count)")
    }
}
