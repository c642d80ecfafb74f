import CaptureWorkerCore
import Domain
import TestSupport
import Testing

private let session = SessionID(high: 1, low: 2)

private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

private func frame(_ seconds: Double, key: Bool = false, newFormat: Bool = false) -> SegmentCutter.Frame {
    SegmentCutter.Frame(
        isKey: key, time: at(seconds), media: .nanoseconds(Int64(seconds * 1e9)), beginsFormat: newFormat)
}

private func begun(next: Double = 100, interval: Duration = .seconds(10)) -> SegmentCutter {
    var cutter = SegmentCutter()
    cutter.begin(
        SegmentCutter.Place(session: session, startedAt: at(0)),
        schedule: SegmentCutter.Schedule(next: at(next), interval: interval))
    return cutter
}

extension SegmentCutter.Decision {
    fileprivate var opening: SegmentCutter.Opening? {
        switch self {
        case .open(let opening), .cut(let opening): opening
        case .skip, .append: nil
        }
    }
}

@Suite struct SegmentCutterTests {
    @Test func nothingIsTakenWithoutASession() {
        var cutter = SegmentCutter()
        let result1 = cutter.accept(frame(1, key: true))
        #expect(result1 == .skip)
    }

    @Test func aSessionBeginsWithItsFirstKeyFrameAsNumberZero() {
        var cutter = begun()
        let result2 = cutter.accept(frame(1))
        #expect(result2 == .skip)
        let opening = cutter.accept(frame(2, key: true)).opening
        #expect(opening?.index == 0)
        #expect(opening?.firstFrame == 0)
        #expect(opening?.sessionOffset == .zero)
        #expect(opening?.wish == nil)
        let result3 = cutter.accept(frame(3))
        #expect(result3 == .append)
        #expect(cutter.nextFrame == 2)
    }

    @Test func aBoundaryIsCutAtTheFirstKeyFrameAtOrAfterIt() {
        var cutter = begun(next: 5)
        _ = cutter.accept(frame(1, key: true))
        let result4 = cutter.accept(frame(4.9, key: true))
        #expect(result4 == .append)
        let result5 = cutter.accept(frame(5.1))
        #expect(result5 == .append)
        guard case .cut(let opening) = cutter.accept(frame(5.5, key: true)) else {
            Issue.record("expected a cut")
            return
        }
        #expect(opening.index == 1)
        #expect(opening.firstFrame == 3)
        #expect(opening.wish == at(5))
        #expect(opening.offset == .milliseconds(500))
        #expect(opening.sessionOffset == .milliseconds(4500))
        #expect(cutter.nextWish == at(15))
    }

    @Test func oneCutUsesUpAllBoundariesThatHaveCome() {
        var cutter = begun(next: 5, interval: .seconds(2))
        _ = cutter.accept(frame(1, key: true))
        let askedTwice = cutter.rotate(at: at(6)) && cutter.rotate(at: at(6.5))
        #expect(askedTwice)
        let result6 = cutter.accept(frame(12, key: true))
        #expect(result6.opening?.wish == at(5))
        let result7 = cutter.accept(frame(12.5, key: true))
        #expect(result7 == .append)
        #expect(cutter.nextWish == at(13))
    }

    @Test func aChangeOfParameterSetsBeginsASegmentWithoutAWish() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        let opening = cutter.accept(frame(2, key: true, newFormat: true)).opening
        #expect(opening?.index == 1)
        #expect(opening?.wish == nil)
    }

    @Test func anUncountedGapSkipsOneNumber() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        _ = cutter.accept(frame(2))
        cutter.lose(.sourceLost, at: at(4))
        let result8 = cutter.accept(frame(9))
        #expect(result8 == .skip)
        let opening = cutter.accept(frame(10, key: true)).opening
        #expect(opening?.firstFrame == 3)
        #expect(
            opening?.gap
                == SegmentCutter.EndedGap(from: at(2), to: at(10), cause: .sourceLost, framesLost: nil))
        #expect(opening?.sessionOffset == .seconds(9))
    }

    @Test func aCountedGapSkipsExactlyTheFramesThatWereLost() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        for second in 2..<6 { _ = cutter.accept(frame(Double(second))) }
        // Numbers 0 to 4 are given; the disk has the first two.
        cutter.lose(.storageFull, at: at(5), firstLost: 2, mayOpen: false)
        let result9 = cutter.accept(frame(6, key: true))
        #expect(result9 == .skip)
        let result10 = cutter.accept(frame(7))
        #expect(result10 == .skip)
        cutter.allowOpening()
        let opening = cutter.accept(frame(8, key: true)).opening
        #expect(opening?.firstFrame == 7)
        #expect(opening?.gap?.framesLost == 5)
    }

    /// The source that breaks off while the disk does not keep up must not fill the memory once it is back.
    @Test func aDiskThatIsWaitedForIsWaitedForWhateverElseIsLost() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        cutter.lose(.overrun, at: at(2), mayOpen: false)
        cutter.lose(.sourceLost, at: at(3))
        cutter.leaveOut(2, at: at(4))
        let decision = cutter.accept(frame(5, key: true))
        #expect(decision == .skip)
        cutter.allowOpening()
        let opening = cutter.accept(frame(6, key: true)).opening
        #expect(opening?.gap?.from == at(1) && opening?.gap?.cause == .overrun)
    }

    @Test func aGapThatNobodyEndsIsToldAtTheEndOfTheSession() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        cutter.lose(.sourceStalled, at: at(3))
        #expect(
            cutter.end(at: at(20))
                == SegmentCutter.EndedGap(from: at(1), to: at(20), cause: .sourceStalled, framesLost: nil))
        #expect(cutter.session == nil)
    }

    @Test func aGapThatTookNoTimeEndsWithTheFrameAfterIt() {
        var cutter = SegmentCutter()
        let gap = SegmentCutter.PendingGap(from: at(5.04), cause: .workerDied, firstLost: 9, isCounted: false)
        cutter.begin(
            SegmentCutter.Place(session: session, startedAt: at(0), nextIndex: 1, nextFrame: 9, gap: gap),
            schedule: nil)
        let opening = cutter.accept(frame(5.02, key: true)).opening
        #expect(opening?.firstFrame == 10)
        #expect(
            opening?.gap
                == SegmentCutter.EndedGap(from: at(5.02), to: at(5.02), cause: .workerDied, framesLost: nil))
    }

    @Test func whatTheSourceLeftOutIsACountedGap() {
        var cutter = begun()
        cutter.leaveOut(9, at: at(0.5))
        let first = cutter.accept(frame(1, key: true)).opening
        #expect(first?.firstFrame == 0 && first?.gap == nil, "what came before a session's first frame is not of it")
        _ = cutter.accept(frame(2))
        cutter.leaveOut(5, at: at(7))
        #expect(!cutter.isOpen)
        cutter.leaveOut(2, at: at(8))
        _ = cutter.accept(frame(9))
        let opening = cutter.accept(frame(10, key: true)).opening
        #expect(opening?.firstFrame == 10)
        #expect(
            opening?.gap == SegmentCutter.EndedGap(from: at(2), to: at(10), cause: .overrun, framesLost: 8))
    }

    @Test func whatIsLeftOutWhileTheDiskFailsDoesNotOpenAFile() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        cutter.lose(.storageFull, at: at(1), firstLost: 0, mayOpen: false)
        cutter.leaveOut(5, at: at(2))
        let refused = cutter.accept(frame(3, key: true))
        #expect(refused == .skip)
        cutter.allowOpening()
        #expect(cutter.accept(frame(4, key: true)).opening?.gap?.framesLost == 7)
    }

    @Test func wishesAreBounded() {
        var cutter = begun()
        for _ in 0..<SegmentCutter.wishesMax {
            let isTaken = cutter.rotate(at: at(50))
            #expect(isTaken)
        }
        let isTaken = cutter.rotate(at: at(50))
        #expect(!isTaken)
    }

    /// Promise 1 and the rule of numbers, over random streams: every frame of a session from its first key frame on is
    /// in exactly one segment, in order, unless it lies in a gap; numbers have holes exactly at gaps.
    @Test(arguments: 0..<200) func everyFrameIsInExactlyOneSegment(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var cutter = begun(next: Double.random(in: 1...5, using: &random), interval: .seconds(3))
        var time = 0.0
        var expectedNumber: UInt64 = 0
        var isOpen = false
        var isLost = false
        for _ in 0..<400 {
            time += Double.random(in: 0.01...0.5, using: &random)
            switch Int.random(in: 0..<40, using: &random) {
            case 0: _ = cutter.rotate(at: at(time + Double.random(in: -1...2, using: &random)))
            case 1 where isOpen:
                cutter.lose(.sourceLost, at: at(time))
                (isOpen, isLost) = (false, true)
            default: break
            }
            let isKey = Int.random(in: 0..<8, using: &random) == 0
            switch cutter.accept(frame(time, key: isKey)) {
            case .skip: #expect(!isOpen && !isKey)
            case .append:
                #expect(isOpen)
                expectedNumber += 1
            case .open(let opening):
                #expect(isKey && !isOpen)
                #expect((opening.gap != nil) == isLost)
                #expect(opening.firstFrame == expectedNumber + (isLost ? 1 : 0))
                expectedNumber = opening.firstFrame + 1
                (isOpen, isLost) = (true, false)
            case .cut(let opening):
                #expect(isKey && isOpen && opening.gap == nil)
                #expect(opening.firstFrame == expectedNumber)
                if let offset = opening.offset { #expect(offset >= .zero) }
                expectedNumber += 1
            }
        }
    }

    @Test func aGapGoesOnWhenTheSegmentThatWouldEndItCannotBeWritten() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        _ = cutter.accept(frame(2))
        cutter.lose(.storageFull, at: at(1.5), firstLost: 1, mayOpen: false)
        _ = cutter.accept(frame(3, key: true))
        cutter.allowOpening()
        let refused = cutter.accept(frame(4, key: true)).opening
        #expect(refused?.gap?.from == at(1.5))
        // The disk refuses that segment too, and the one after it is the first that exists.
        cutter.lose(.storageFull, at: at(4), firstLost: refused?.firstFrame, mayOpen: false)
        _ = cutter.accept(frame(5))
        cutter.allowOpening()
        let opening = cutter.accept(frame(6, key: true)).opening
        #expect(opening?.firstFrame == 5)
        #expect(
            opening?.gap
                == SegmentCutter.EndedGap(from: at(1.5), to: at(6), cause: .storageFull, framesLost: 4))
    }

    @Test func aGapThatWasToldIsNotToldAgain() {
        var cutter = begun()
        _ = cutter.accept(frame(1, key: true))
        cutter.lose(.sourceLost, at: at(2))
        let opening = cutter.accept(frame(5, key: true)).opening
        #expect(opening?.gap?.from == at(1))
        _ = cutter.accept(frame(6))
        cutter.lose(.storageFailed, at: at(6), firstLost: (opening?.firstFrame ?? 0) + 1, mayOpen: true)
        #expect(cutter.accept(frame(7, key: true)).opening?.gap?.from == at(6))
    }
}
