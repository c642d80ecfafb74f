import CaptureWorkerCore
import Domain
import Foundation
import Media
import Synchronization
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

        let (sent, got) = try await pictures(of: clip, at: relay, fixtures)
        #expect(got == Array(sent[keys[3]...]), "\(got.count) of \(sent.count)")
    }

    /// Hands frames over as fast as a thread may; false if that is held. It does not suspend: whoever has frozen a
    /// server thaws it right after, before anybody loses patience with it.
    private static func offer(_ frames: [CapturePipeline.Kept], to publisher: StreamPublisher) -> Bool {
        let isThrough = DispatchSemaphore(value: 0)
        Thread.detachNewThread {
            for frame in frames { publisher.offer(frame) }
            isThrough.signal()
        }
        return isThrough.wait(timeout: .now() + 20) == .success
    }

    private final class Reports: Sendable {
        let events = Mutex<[WorkerEvent]>([])
        func contain(where isWanted: (WorkerEvent) -> Bool) -> Bool { events.withLock { $0.contains(where: isWanted) } }
    }

    /// A server that is not there yet, and a stream that fills the queue meanwhile.
    @Test func aFullQueueIsEmptiedAndGoesOnWithAKeyFrame() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let clip = try fixtures.clip("clip.mp4", seconds: 2, size: "640x360", video: ["-qp", "1"])
        let kept = try Self.kept(clip)
        let second = try #require(kept.indices.last { kept[$0].frame?.isKey == true })
        let relay = try await RTSPRelay(user: "camera", password: "sesame", digest: false, folder: folder)
        let address = try RTSPAddress(
            "rtsp://127.0.0.1:\(relay.port)/camera", username: "camera", password: "sesame")
        let publisher = StreamPublisher(camera: Self.camera, address: address) { _ in }
        relay.freeze()
        publisher.open(run: 1, beginning: [kept[0]])
        defer { publisher.close() }
        // Twice what the queue holds, and not one more key frame to go on with.
        let count = 2 * StreamPublisher.bytesMax / kept[1].packet.byteCount
        #expect(Self.offer(Array(repeating: kept[1], count: count), to: publisher), "the source is held up")
        let dropped = Int(publisher.dropped)
        #expect(dropped == count || dropped == count + 1, "\(dropped) of \(count), with the first one or without it")
        relay.thaw()
        for frame in kept[second...] { publisher.offer(frame) }

        let (sent, got) = try await pictures(of: clip, at: relay, fixtures)
        #expect(got == Array(sent[second...]), "\(got.count) of \(sent.count)")
        #expect(Int(publisher.dropped) == dropped, "what a server takes in time is not lost")
    }

    /// The buffers on the way to it fill up, then the queue.
    @Test func aServerThatStopsReadingHoldsNobodyUp() async throws {
        let (fixtures, folder) = (try MediaFixtures(), try TestFolder())
        let kept = try Self.kept(try fixtures.clip("clip.mp4", seconds: 4, size: "640x360", video: ["-qp", "1"]))
        let relay = try await RTSPRelay(user: "camera", password: "sesame", digest: false, folder: folder)
        let address = try RTSPAddress(
            "rtsp://127.0.0.1:\(relay.port)/camera", username: "camera", password: "sesame")
        let reports = Reports()
        let publisher = StreamPublisher(camera: Self.camera, address: address) { event in
            reports.events.withLock { $0.append(event) }
        }
        publisher.open(run: 1, beginning: kept)
        defer { publisher.close() }
        try await eventually("the server takes pictures") {
            try FileManager.default.fileExists(atPath: relay.path) && folder.bytes("relayed.h264").count > 0
        }
        relay.freeze()
        let bytes = kept.reduce(0) { $0 + $1.packet.byteCount }
        let rounds = (StreamPublisher.bytesMax + Self.buffersMax) / bytes + 1
        let many = Array(repeating: kept, count: rounds).flatMap(\.self)
        #expect(Self.offer(many, to: publisher), "the source is held up")
        #expect(publisher.dropped > 0)
        try await eventually("it is given up") {
            // What the queue held may have been the last that the buffers had room for.
            for frame in kept { publisher.offer(frame) }
            return reports.contain {
                guard case .publisherFailed(let error, run: 1) = $0 else { return false }
                return error.code == .timeout
            }
        }
    }

    /// More than the system holds of a connection between two of its own.
    private static let buffersMax = 64 * 1024 * 1024

    /// All pictures of the clip, and those that the server has once the last one is there.
    private func pictures(
        of clip: String, at relay: RTSPRelay, _ fixtures: MediaFixtures
    ) async throws -> (sent: [[UInt8]], got: [[UInt8]]) {
        let sent = try fixtures.codedSlices(
            fixtures.elementaryStream(of: [clip], codec: "h264", into: "sent.h264"), codec: .h264)
        let got = try await eventually("the server has the last picture") { () -> [[UInt8]]? in
            guard FileManager.default.fileExists(atPath: relay.path) else { return nil }
            let got = try fixtures.codedSlices(relay.path, codec: .h264)
            return got.last == sent.last ? got : nil
        }
        return (sent, got)
    }
}
