import CaptureWorkerCore
import Domain
import Testing

@testable import CaptureWorkerShell

/// What is told of a session whose last frames could not be written after it had ended.
@Suite("The end of a session")
struct SessionEndingTests {
    private let session = SessionID(high: 1, low: 2)
    private func time(_ seconds: Int64) -> MonotonicTime { MonotonicTime(nanoseconds: seconds * 1_000_000_000) }

    private func ending(_ gap: SegmentCutter.EndedGap? = nil) -> SessionEnding {
        SessionEnding(session: session, reason: .stop, gap: gap, at: time(20), nextFrame: 100)
    }

    private func loss(from number: UInt64, session: SessionID? = nil) -> SegmentRecorder.Loss {
        SegmentRecorder.Loss(
            session: session ?? self.session, firstLost: number, keptUntil: time(10),
            error: CodedError(.storageFull, "no space left"))
    }

    @Test("Frames that did not reach the disk are a gap up to the end")
    func lostTail() {
        #expect(
            ending().gap(after: loss(from: 90))
                == SegmentCutter.EndedGap(from: time(10), to: time(20), cause: .storageFull, framesLost: 10))
    }

    @Test("Nothing is told when every frame is on disk, or the loss is another session's")
    func nothingLost() {
        #expect(ending().gap(after: nil) == nil)
        #expect(ending().gap(after: loss(from: 100)) == nil)
        #expect(ending().gap(after: loss(from: 90, session: SessionID(high: 3, low: 4))) == nil)
    }

    @Test("A gap that was open already is joined; its frames nobody could count")
    func joined() {
        let open = SegmentCutter.EndedGap(from: time(15), to: time(20), cause: .sourceLost, framesLost: nil)
        #expect(
            ending(open).gap(after: loss(from: 90))
                == SegmentCutter.EndedGap(from: time(10), to: time(20), cause: .storageFull, framesLost: nil))
    }
}
