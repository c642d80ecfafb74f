import Domain
import TestSupport
import Testing

/// What a camera is allowed to be silent for: found fast where frames come fast, never wrong where they come slowly.
@Suite struct StallTimeoutTests {
    /// Feeds intervals until `span` has passed; returns how many of them were longer than what was allowed.
    private func feed(
        _ silence: inout StallTimeout, for span: Duration, from start: MonotonicTime = .zero,
        _ interval: (MonotonicTime) -> Duration
    ) -> Int {
        var now = start
        var alarms = 0
        while now - start < span {
            let next = interval(now)
            now = now + next
            if next > silence.allowed { alarms += 1 }
            silence.pictureCame(after: next, at: now)
        }
        return alarms
    }

    @Test(arguments: [15.0, 20, 25, 30, 60]) func aFastCameraIsGivenLessThanTwoSeconds(fps: Double) {
        var silence = StallTimeout()
        #expect(silence.allowed == StallTimeout.unknown && !silence.isKnown)
        #expect(feed(&silence, for: .seconds(1)) { _ in .seconds(1 / fps) } == 0)
        #expect(silence.isKnown)
        #expect(silence.allowed == StallTimeout.least)
        #expect(silence.allowed < .seconds(2))
    }

    /// A camera of a picture in 0.5 to 20 s is served, whatever is allowed at first, and its stall is found in its own
    /// time.
    @Test(arguments: [0.5, 2, 3, 5, 9, 15]) func aSlowCameraRaisesNoAlarm(seconds: Double) {
        var random = SeededRandom(seed: 5)
        var silence = StallTimeout(initial: .seconds(40))
        let alarms = feed(&silence, for: .seconds(3600)) { _ in
            .seconds(seconds * (0.8 + 0.4 * random.unit()))
        }
        #expect(alarms == 0)
        #expect(silence.allowed > .seconds(seconds * 1.2))
        #expect(silence.allowed <= .seconds(max(1.8, seconds * 1.2 * 3)))
    }

    /// Regular frames with a key frame every 10 s: what is coded how is none of its business.
    @Test func aLongGroupOfPicturesIsNoSilence() {
        var silence = StallTimeout()
        var frame = 0
        let alarms = feed(&silence, for: .seconds(600)) { _ in
            frame += 1
            // A key frame is large and takes its time on the wire; the frames behind it catch up.
            return frame % 150 == 0 ? .milliseconds(400) : frame % 150 < 6 ? .milliseconds(10) : .milliseconds(66)
        }
        #expect(alarms == 0)
        #expect(silence.allowed == StallTimeout.least)
    }

    /// A day of a camera behind a busy wireless network: every interval jitters, and now and then frames come late in a
    /// bunch, by up to 1.5 s.
    @Test(arguments: [15.0, 30.0]) func aDayOfHonestJitterRaisesNoAlarm(fps: Double) {
        var random = SeededRandom(seed: 20)
        var silence = StallTimeout()
        var behind = Duration.zero
        var hiccups = 0
        let alarms = feed(&silence, for: .seconds(86_400)) { _ in
            let nominal = Duration.seconds(1 / fps)
            if behind > .zero {
                behind = max(.zero, behind - nominal)
                return .milliseconds(2)
            }
            guard random.chance(1 / (fps * 120)) else { return nominal * (0.5 + random.unit()) }
            hiccups += 1
            behind = .seconds(0.2 + 1.3 * random.unit() * random.unit())
            return behind
        }
        #expect(hiccups > 500, "\(hiccups)")
        #expect(alarms == 0)
    }

    /// Of a camera with fewer pictures, whose pauses are longer than the least that any camera is allowed.
    @Test(arguments: [(1.0, 1.5, 4.2), (2, 1.2, 3.2), (5, 0.9, 2.3)])
    func aDayOfASlowCamerasPausesRaisesNoAlarm(fps: Double, hiccup: Double, pause: Double) {
        var camera = JitteringCamera(fps: fps, hiccup: hiccup, pause: pause)
        var silence = StallTimeout()
        var late = 0
        let alarms = feed(&silence, for: .seconds(86_400)) { _ in
            let next = Duration.seconds(camera.interval())
            if next > StallTimeout.least { late += 1 }
            return next
        }
        #expect(camera.pauses > 50 && late == camera.pauses, "\(late) of \(camera.pauses)")
        #expect(alarms == 0)
    }

    /// Night comes, the shutter slows down: one alarm, a new run, and the camera is learnt anew.
    @Test func aCameraThatSlowsDownIsLearntByItsNextRun() {
        var silence = StallTimeout()
        _ = feed(&silence, for: .seconds(60)) { _ in .milliseconds(40) }
        #expect(.seconds(3) > silence.allowed)
        silence = StallTimeout()
        #expect(feed(&silence, for: .seconds(600)) { _ in .seconds(3) } == 0)
        #expect(silence.allowed == .seconds(9))
    }

    @Test func whatIsLearntIsForgottenAndBounded() {
        var silence = StallTimeout()
        _ = feed(&silence, for: .seconds(60)) { _ in .seconds(2) }
        #expect(silence.allowed == .seconds(6))
        _ = feed(&silence, for: StallTimeout.window * 2 + .seconds(1), from: MonotonicTime(nanoseconds: 60_000_000_000))
        {
            _ in .milliseconds(40)
        }
        #expect(silence.allowed == StallTimeout.least, "what was long ago does not count")
        silence.pictureCame(after: .seconds(30), at: MonotonicTime(nanoseconds: 700_000_000_000))
        #expect(silence.allowed == StallTimeout.least, "a stall teaches nothing")
        var slow = StallTimeout(initial: .seconds(500))
        _ = feed(&slow, for: .seconds(1000)) { _ in .seconds(50) }
        #expect(slow.allowed == StallTimeout.most)
    }
}
