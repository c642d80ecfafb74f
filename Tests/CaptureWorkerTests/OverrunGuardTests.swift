import CaptureWorkerCore
import Domain
import Testing

@testable import CaptureWorkerShell

@Suite("A disk that does not keep up")
struct OverrunGuardTests {
    private let session = SessionID(high: 1, low: 2)
    private let queue = RecorderQueue()
    private var cutter = SegmentCutter()
    private var guardian = OverrunGuard()

    private func at(_ seconds: Int) -> MonotonicTime { .zero + .seconds(seconds) }

    init() {
        cutter.begin(
            SegmentCutter.Place(session: session, startedAt: at(0)),
            schedule: SegmentCutter.Schedule(next: at(1000), interval: .seconds(1000)))
        _ = cutter.accept(SegmentCutter.Frame(isKey: true, time: at(1), media: .zero))
    }

    private func fill() { while queue.hasRoom { queue.put(.close(.error)) } }

    private mutating func comes(_ seconds: Int, isKey: Bool = false) -> SessionID? {
        guardian.packetComes(at: at(seconds), isKey: isKey, queue: queue, cutter: &cutter)
    }

    /// It asks for every packet, sound as well: a stream of sound alone fills the memory too.
    @Test("A full queue ends the segment, and the next one begins with a key frame when the queue has drained")
    mutating func lossAndReturn() {
        #expect(comes(1) == nil && cutter.isOpen)
        fill()
        let depth = queue.depth
        #expect(comes(1) == session)
        #expect(!cutter.isOpen && guardian.isOn && queue.depth == depth + 1)
        let again = (comes(2), comes(3, isKey: true))
        #expect(again == (nil, nil) && queue.depth == depth + 1)
        while !queue.isLow { _ = queue.take(timeout: .zero) }
        #expect(comes(4) == nil && guardian.isOn)
        #expect(comes(5, isKey: true) == nil && !guardian.isOn)
        let opening = cutter.accept(SegmentCutter.Frame(isKey: true, time: at(5), media: .seconds(4)))
        guard case .open(let opened) = opening else {
            Issue.record("\(opening)")
            return
        }
        #expect(opened.gap?.cause == .overrun && opened.gap?.from == at(1))
    }

    @Test("A queue full of small packets is not low because they are small")
    func smallPackets() {
        fill()
        #expect(!queue.isLow)
        while queue.depth > RecorderQueue.jobsLow { _ = queue.take(timeout: .zero) }
        #expect(queue.isLow)
    }

    @Test("Without a session nothing is lost")
    func noSession() {
        fill()
        var (idle, cutter) = (OverrunGuard(), SegmentCutter())
        #expect(idle.packetComes(at: at(1), isKey: true, queue: queue, cutter: &cutter) == nil && !idle.isOn)
    }
}
