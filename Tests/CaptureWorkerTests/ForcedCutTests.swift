import CaptureWorkerCore
import Domain
import Media
import TestSupport
import Testing

/// A source that encodes and the cutter together: a boundary is cut within one frame of its moment.
@Suite(.serialized) struct ForcedCutTests {
    /// The second camera delivers a quarter of the rate that it states, as in the dark.
    @Test(arguments: [30, 7]) func sixtyBoundariesAreCutOneFrameLateAtMost(_ fps: Int) throws {
        var random = SeededRandom(seed: 61)
        var wishes: [MonotonicTime] = []
        for _ in 0..<60 {
            let step = random.duration(in: .milliseconds(300) ... .seconds(1))
            wishes.append((wishes.last ?? ListedCamera.start + .milliseconds(100)) + step)
        }
        let last = try #require(wishes.last)
        let pictures = Int((last - ListedCamera.start).seconds * Double(fps)) + 2 * fps
        let camera = ListedCamera(
            ListedCamera.format(.raw(.yuyv422), width: 64, height: 36), ListedCamera.grey(pictures, fps: fps),
            buffers: 2)
        let source = camera.source(EncoderSettings(kind: .software, gop: .seconds(1000)))
        defer { source.close() }
        _ = try source.open()
        var cutter = SegmentCutter()
        cutter.begin(
            SegmentCutter.Place(session: SessionID(high: 1, low: 2), startedAt: ListedCamera.start), schedule: nil)
        var left = wishes[...]
        var cuts: [SegmentCutter.Opening] = []
        for _ in 0..<pictures {
            guard case .packet(let packet) = try source.next() else { throw CodedError(.internal, "no picture") }
            let frame = SegmentCutter.Frame(
                isKey: packet.isKey, time: packet.arrival, media: packet.arrival - ListedCamera.start)
            if case .cut(let opening) = cutter.accept(frame) { cuts.append(opening) }
            // As the worker does: the next wish is known before its moment.
            if cutter.nextWish == nil, let wish = left.popFirst() {
                let isTaken = cutter.rotate(at: wish)
                #expect(isTaken)
            }
            if let wish = cutter.nextWish { source.requestKeyFrame(from: wish) }
        }
        #expect(cuts.map(\.wish) == wishes)
        let offsets = cuts.compactMap(\.offset)
        #expect(offsets.allSatisfy { $0 >= .zero && $0 <= .seconds(1) / fps }, "\(offsets)")
    }
}
