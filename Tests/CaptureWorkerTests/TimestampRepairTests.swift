import CaptureWorkerCore
import Domain
import Testing

/// A camera at 25 fps in ticks of 90 kHz, with sound in ticks of 48 kHz, whose packets arrive when they are due.
private struct Stream {
    static let frame: Int64 = 3600
    var repair: TimestampRepair
    var arrival = MonotonicTime(nanoseconds: 5_000_000_000)

    init(wrapBits: Int? = nil, reorderFrames: Int = 0, keepsTime: Bool = true) {
        repair = TimestampRepair(
            video: .mpeg, audio: TimeBase(1, 48_000), wrapBits: wrapBits, reorderFrames: reorderFrames,
            keepsTime: keepsTime)
    }

    mutating func video(
        pts: Int64?, dts: Int64?, isKey: Bool = false, after wait: Duration = .milliseconds(40)
    ) -> TimestampRepair.Output {
        arrival = arrival + wait
        return repair.repair(.init(track: .video, pts: pts, dts: dts, isKey: isKey, arrival: arrival))
    }

    mutating func video(_ dts: Int64, after wait: Duration = .milliseconds(40)) -> TimestampRepair.Output {
        video(pts: dts, dts: dts, after: wait)
    }

    mutating func audio(_ dts: Int64, after wait: Duration = .zero) -> TimestampRepair.Output {
        arrival = arrival + wait
        return repair.repair(
            .init(track: .audio, pts: dts, dts: dts, duration: 1024, isKey: true, arrival: arrival))
    }
}

@Suite struct TimestampRepairTests {
    private let frame = Stream.frame

    @Test func aGoodStreamPassesUnchangedButForOneConstant() {
        var stream = Stream()
        for number in 0..<10_000 as Range<Int64> {
            let out = stream.video(pts: 777_000 + (number + 2) * frame, dts: 777_000 + number * frame)
            #expect(out.dts == number * frame)
            #expect(out.pts == (number + 2) * frame)
            #expect(out.fault == nil)
            let sound = stream.audio(414_400 + number * 1920)
            #expect(sound.dts == number * 1920)
            #expect(sound.duration == 1024)
        }
        for fault in TimestampRepair.Fault.allCases { #expect(stream.repair.count(of: fault) == 0) }
    }

    @Test func lateBurstsAndUnevenFramesAreLeftAlone() {
        var stream = Stream()
        var dts: Int64 = 1000
        _ = stream.video(dts)
        // The network holds everything back for eight seconds, then delivers it at once.
        for number in 1...200 as ClosedRange<Int64> {
            dts += number.isMultiple(of: 3) ? 1 : 5400
            let out = stream.video(dts, after: number == 1 ? .seconds(8) : .zero)
            #expect(out.dts == dts - 1000)
            #expect(out.fault == nil)
        }
    }

    @Test func aRebootInsideTheConnectionGoesOnWithTheNextFrame() {
        var stream = Stream()
        for number in 0..<100 as Range<Int64> { _ = stream.video(9_000_000 + number * frame) }
        let first = stream.video(500)
        #expect(first.dts == 100 * frame)
        #expect(first.fault == .backwardJump)
        for number in 1..<100 as Range<Int64> {
            let out = stream.video(500 + number * frame)
            #expect(out.dts == (100 + number) * frame)
            #expect(out.fault == nil)
        }
        #expect(stream.repair.count(of: .backwardJump) == 1)
    }

    @Test func aRebootThatTookAMinuteLeavesAMinute() {
        var stream = Stream()
        for number in 0..<100 as Range<Int64> { _ = stream.video(9_000_000 + number * frame) }
        #expect(stream.video(0, after: .seconds(60)).dts == 99 * frame + 60 * 90_000)
        #expect(stream.video(frame).dts == 100 * frame + 60 * 90_000)
    }

    @Test func soundAndPictureJumpByTheSameSpan() {
        for soundFirst in [false, true] {
            var stream = Stream()
            for number in 0..<100 as Range<Int64> {
                _ = stream.video(9_000_000 + number * frame)
                _ = stream.audio(4_800_000 + number * 1920)
            }
            var pictures: [Int64] = []
            var sounds: [Int64] = []
            for number in 0..<50 as Range<Int64> {
                if soundFirst { sounds.append(stream.audio(number * 1920).dts) }
                pictures.append(stream.video(number * frame).dts)
                if !soundFirst { sounds.append(stream.audio(number * 1920).dts) }
            }
            // After the first packet of each, both clocks agree to the tick that they can express.
            for (picture, sound) in zip(pictures, sounds).dropFirst(2) {
                #expect(abs(picture * 8 - sound * 15) <= 15)
            }
        }
    }

    @Test func packetsFromBeforeTheOtherTracksJumpStayWhereTheyBelong() {
        var stream = Stream()
        for number in 0..<100 as Range<Int64> { _ = stream.video(9_000_000 + number * frame) }
        for number in 0..<97 as Range<Int64> { _ = stream.audio(4_800_000 + number * 1920) }
        _ = stream.video(0)
        #expect(stream.audio(4_800_000 + 97 * 1920).dts == 97 * 1920)
        _ = stream.video(frame)
        let late = stream.audio(4_800_000 + 98 * 1920)
        #expect(late.dts == 98 * 1920)
        #expect(late.fault == nil)
        #expect(stream.video(2 * frame).dts == 102 * frame)
        #expect(stream.audio(2 * 1920).dts == 102 * 1920)
    }

    @Test func aRepeatedStampMovesOneTickAndShiftsNothing() {
        var stream = Stream()
        _ = stream.video(0)
        _ = stream.video(frame)
        let out = stream.video(frame)
        #expect(out.dts == frame + 1)
        #expect(out.fault == .repeated)
        #expect(stream.video(2 * frame).dts == 2 * frame)
    }

    @Test(arguments: [26 * 3600 * 90_000, -26 * 3600 * 90_000, .max, .min + 1, .min] as [Int64])
    func oneAbsurdStampShiftsNothing(spike: Int64) {
        var stream = Stream()
        for number in 0..<10 as Range<Int64> { _ = stream.video(1_000_000 + number * frame) }
        let out = stream.video(spike)
        #expect(out.dts == 10 * frame)
        #expect(out.fault != nil)
        for number in 11..<20 as Range<Int64> {
            let next = stream.video(1_000_000 + number * frame)
            #expect(next.dts == number * frame)
            #expect(next.fault == nil)
        }
    }

    @Test func anAbsurdFirstStampIsForgotten() {
        var stream = Stream()
        #expect(stream.video(26 * 3600 * 90_000).dts == 0)
        #expect(stream.video(0).dts == frame)
        #expect(stream.video(frame).dts == 2 * frame)
        #expect(stream.video(2 * frame).dts == 3 * frame)
    }

    @Test func aSilentCamerasTimeFollowsTheArrivals() {
        var stream = Stream()
        _ = stream.video(0)
        // Two hours of nothing, by the camera's clock and by ours.
        let out = stream.video(7200 * 90_000, after: .seconds(7200))
        #expect(out.dts == 7200 * 90_000)
        #expect(out.fault == nil)
    }

    @Test func aForwardJumpThatNoTimeExplainsIsTakenBack() {
        var stream = Stream()
        for number in 0..<10 as Range<Int64> { _ = stream.video(number * frame) }
        for number in 10..<20 as Range<Int64> {
            let out = stream.video(3600 * 90_000 + number * frame)
            #expect(out.dts == number * frame)
            #expect(out.fault == (number == 10 ? .forwardJump : nil))
        }
    }

    @Test func aClockThatStoodStillCatchesUpWithTheArrivals() {
        var stream = Stream()
        _ = stream.video(0)
        let out = stream.video(frame, after: .seconds(600))
        #expect(out.fault == .behind)
        #expect(out.dts >= 599 * 90_000)
        #expect(stream.video(2 * frame).dts == out.dts + frame)
    }

    @Test(arguments: [32, 33]) func aCounterThatWrapsGoesOn(bits: Int) {
        var stream = Stream(wrapBits: bits)
        let period = Int64(1) << Int64(bits)
        let start = period - 5 * frame
        for number in 0..<50 as Range<Int64> {
            // The pts wraps two frames before its dts.
            let out = stream.video(
                pts: (start + (number + 2) * frame) % period, dts: (start + number * frame) % period)
            #expect(out.dts == number * frame)
            #expect(out.pts == (number + 2) * frame)
        }
        #expect(stream.repair.count(of: .wrapped) == 1)
        #expect(stream.repair.count(of: .backwardJump) == 0)
    }

    @Test func eachTrackWrapsAtItsOwnTime() {
        var stream = Stream(wrapBits: 32)
        let period = Int64(1) << 32
        for number in 0..<50 as Range<Int64> {
            #expect(stream.video((period - 5 * frame + number * frame) % period).dts == number * frame)
            let sound = stream.audio((period - 20 * 1920 + number * 1920) % period)
            if number > 0 { #expect(sound.duration == 1024) }
        }
        #expect(stream.repair.count(of: .wrapped) == 2)
    }

    @Test func aFirstKeyFrameWithoutStampsComesBeforeTheSecond() {
        var stream = Stream()
        let first = stream.video(pts: nil, dts: nil, isKey: true)
        #expect(first.dts == 0)
        #expect(first.pts == 0)
        #expect(first.fault == .missing)
        #expect(stream.video(123_456_789).dts == frame)
        #expect(stream.video(123_456_789 + frame).dts == 2 * frame)
    }

    @Test func aStreamWithoutAnyStampsRunsAtTheNominalRate() {
        for keepsTime in [false, true] {
            var stream = Stream(keepsTime: keepsTime)
            for number in 0..<1000 as Range<Int64> {
                let out = stream.video(pts: nil, dts: nil, after: keepsTime ? .milliseconds(40) : .zero)
                #expect(out.dts == number * frame)
                #expect(out.pts == number * frame)
            }
            #expect(stream.repair.count(of: .missing) == 1000)
        }
    }

    /// I0 P3 B1 B2 P6 B4 B5 …, as a camera with two B-frames sends them.
    private static func displayOrder(_ number: Int64) -> Int64 {
        if number == 0 { return 0 }
        let (group, place) = (number - 1).quotientAndRemainder(dividingBy: 3)
        return place == 0 ? 3 * group + 3 : 3 * group + place
    }

    @Test func missingDecodingTimesComeFromThePresentationTimes() {
        var stream = Stream(reorderFrames: 1)
        for number in 0..<100 as Range<Int64> {
            let pts = Self.displayOrder(number) * frame
            let out = stream.video(pts: 5000 + pts, dts: nil, isKey: number == 0)
            #expect(out.pts == pts)
            #expect(out.dts == (number - 1) * frame)
        }
    }

    @Test func unannouncedReorderingIsLearnedFromTheFirstGroup() {
        var stream = Stream()
        var last = Int64.min
        for number in 0..<100 as Range<Int64> {
            let pts = Self.displayOrder(number) * frame
            let out = stream.video(pts: 5000 + pts, dts: nil, isKey: number == 0)
            #expect(out.dts > last)
            #expect(out.pts >= out.dts)
            if number > 3 { #expect(out.pts == pts) }
            last = out.dts
        }
        #expect(stream.repair.count(of: .backwardJump) == 0)
    }

    @Test func presentationBeforeDecodingIsMended() {
        var stream = Stream()
        _ = stream.video(pts: 2 * frame, dts: 0)
        let early = stream.video(pts: 0, dts: frame)
        #expect(early.pts == early.dts)
        #expect(early.fault == .presentation)
        let absurd = stream.video(pts: 1 << 60, dts: 2 * frame)
        #expect(absurd.pts - absurd.dts <= 2 * frame)
        #expect(stream.video(pts: 5 * frame, dts: 3 * frame).pts == 5 * frame)
    }

    @Test func aLoopingFileStaysInStepHoweverOftenItLoops() {
        var stream = Stream(keepsTime: false)
        var worst: Int64 = 0
        for _ in 0..<200 {
            // Ten seconds of picture, and sound that is a little longer.
            var sound: Int64 = 0
            for number in 0..<250 as Range<Int64> {
                let picture = stream.video(number * frame, after: .zero).dts
                while sound * 15 <= number * frame * 8 {
                    let heard = stream.audio(sound).dts
                    if number > 2 { worst = max(worst, abs((heard - sound) * 15 - (picture - number * frame) * 8)) }
                    sound += 1024
                }
            }
        }
        // In units of 1/720000 s: never further apart than one frame.
        #expect(worst <= 28_800)
    }
}
