import BusContract
import Domain
import RotationServiceCore
import TestSupport
import Testing

/// When segments turn over: transcripts of one camera's plan.
@Suite struct RotationPlanTests {
    private static let session = SessionID(high: 1, low: 1)

    private static func time(_ text: String) -> WallTime {
        WallTime(rfc3339: text) ?? WallTime(milliseconds: 0)
    }

    private static func now(_ text: String, monotonic seconds: Int64 = 1000) -> Now {
        Now(monotonic: MonotonicTime(nanoseconds: seconds * 1_000_000_000), wall: time(text))
    }

    private static func recording(since: String, preroll: Double? = nil) -> RecordingState {
        RecordingState(state: .recording, session: session, since: time(since), prerollSeconds: preroll)
    }

    private static func plan(
        _ interval: Duration, _ align: RotationAlignment = .clock, shift: Duration = .zero
    ) -> PlanUnderTest {
        PlanUnderTest(RotationPlan(RotationSettings(interval: interval, align: align), shift: shift))
    }

    private static func next(_ steps: [RotationPlan.Step]) -> WallTime? {
        for case .publish(let state) in steps.reversed() { return state.nextAt }
        return nil
    }

    private static func commands(_ steps: [RotationPlan.Step]) -> [WallTime] {
        steps.compactMap { if case .command(let at, _) = $0 { at } else { nil } }
    }

    @Test func aQuietCameraHasAPlanWithoutAMoment() {
        let plan = Self.plan(.seconds(1800))
        #expect(
            plan.started() == [.publish(RotationState(intervalSeconds: 1800, align: .clock, nextAt: nil))])
        #expect(plan.started() == [], "nothing is said twice")
        #expect(plan.wakeAt == nil)
    }

    @Test(arguments: [
        ("2026-03-29T00:59:30Z", 1800, "2026-03-29T01:00:00Z"),
        // Where summer time begins and ends in Europe: UTC has neither.
        ("2026-03-29T01:10:00Z", 3600, "2026-03-29T02:00:00Z"),
        ("2026-10-25T00:59:59.999Z", 3600, "2026-10-25T01:00:00Z"),
        ("2026-12-31T23:59:59Z", 86_400, "2027-01-01T00:00:00Z"),
        ("2026-03-01T12:00:00Z", 10, "2026-03-01T12:00:10Z"),
        ("2028-02-28T23:45:00Z", 1800, "2028-02-29T00:00:00Z"),
    ])
    func boundariesLieOnTheClockInUTC(at: String, interval: Int, expected: String) {
        let plan = Self.plan(.seconds(interval))
        let steps = plan.recordingReported(Self.recording(since: at), at: Self.now(at))
        #expect(Self.next(steps) == Self.time(expected))
    }

    @Test func boundariesBySessionCountFromItsFirstFrame() {
        let plan = Self.plan(.seconds(60), .session)
        let steps = plan.recordingReported(
            Self.recording(since: "2026-03-01T12:00:07Z", preroll: 2), at: Self.now("2026-03-01T12:10:00Z"))
        #expect(Self.next(steps) == Self.time("2026-03-01T12:10:05Z"))
    }

    @Test func theCommandGoesOutOneSecondAheadAndOnce() {
        let plan = Self.plan(.seconds(10))
        let start = Self.now("2026-03-01T12:00:03Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:00:03Z"), at: start)
        #expect(plan.wakeAt == start.monotonic + .seconds(6))
        #expect(plan.advance(at: start + .seconds(5)) == [])
        let boundary = Self.time("2026-03-01T12:00:10Z")
        #expect(
            plan.advance(at: start + .seconds(6))
                == [.command(at: boundary, expiry: RotationPlan.leadMax + RotationPlan.commandExpiry)])
        #expect(plan.advance(at: start + .milliseconds(6500)) == [])
        #expect(plan.wakeAt == start.monotonic + .seconds(7))
        let steps = plan.advance(at: start + .seconds(7))
        #expect(Self.next(steps) == boundary + .seconds(10))
        #expect(Self.commands(steps) == [])
        #expect(plan.wakeAt == start.monotonic + .seconds(16))
    }

    @Test func aLateWakeSkipsWhatThePastHeld() {
        let plan = Self.plan(.seconds(10))
        let start = Self.now("2026-03-01T12:00:03Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:00:03Z"), at: start)
        let steps = plan.advance(at: start + .seconds(35))
        #expect(Self.commands(steps) == [])
        #expect(Self.next(steps) == Self.time("2026-03-01T12:00:40Z"))
        // Late, but still before the boundary: the command is worth sending.
        #expect(Self.commands(plan.advance(at: start + .milliseconds(36_700))) == [Self.time("2026-03-01T12:00:40Z")])
    }

    @Test func nothingIsCommandedWhileTheWorkerHasNoFile() {
        let plan = Self.plan(.seconds(10))
        let start = Self.now("2026-03-01T12:00:03Z")
        var state = Self.recording(since: "2026-03-01T12:00:03Z")
        state.state = .failed
        #expect(Self.next(plan.recordingReported(state, at: start)) != nil, "the plan stands all the same")
        #expect(Self.commands(plan.advance(at: start + .milliseconds(6100))) == [])
    }

    @Test func offEndsThePlanAndStoppingToo() {
        for phase in [RecordingState.Phase.off, .stopping] {
            let plan = Self.plan(.seconds(10))
            let start = Self.now("2026-03-01T12:00:03Z")
            _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:00:03Z"), at: start)
            let steps = plan.recordingReported(RecordingState(state: phase), at: start + .seconds(1))
            #expect(steps.count == 1)
            #expect(Self.next(steps) == nil)
            #expect(plan.wakeAt == nil)
        }
    }

    @Test func aRepeatedReportChangesNothing() {
        let plan = Self.plan(.seconds(10))
        let start = Self.now("2026-03-01T12:00:03Z")
        let state = Self.recording(since: "2026-03-01T12:00:03Z")
        _ = plan.recordingReported(state, at: start)
        let before = plan.plan
        #expect(plan.recordingReported(state, at: start + .seconds(1)) == [])
        #expect(plan.plan == before)
    }

    @Test func theLastCutIsTold() {
        let plan = Self.plan(.seconds(10))
        let start = Self.now("2026-03-01T12:00:03Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:00:03Z"), at: start)
        let at = Self.time("2026-03-01T12:00:10.040Z")
        var event = SegmentEvent(
            event: .opened, session: Self.session, index: 1, node: NodeID(unchecked: "attic"), file: "f",
            startedAt: at, firstFrame: 100, offsetSeconds: 0.04)
        let last = RotationState.Last(at: at, offsetSeconds: 0.04)
        guard case .publish(let state)? = plan.segmentOpened(event).first else {
            Issue.record("not told")
            return
        }
        #expect(state.last == last)
        event.startedAt = at - .seconds(10)
        #expect(plan.segmentOpened(event) == [], "an older one that comes late is not the last")
        event.startedAt = at + .seconds(5)
        event.offsetSeconds = nil
        #expect(plan.segmentOpened(event) == [], "after a gap there was no wish")
    }

    // MARK: Clock steps

    /// Now, `elapsed` after `start`, with the wall clock off by `step`.
    private static func stepped(_ start: Now, _ elapsed: Duration, _ step: Duration) -> Now {
        Now(monotonic: start.monotonic + elapsed, wall: start.wall + elapsed + step)
    }

    @Test func aStepForwardReplansAndCommandsNothingOfThePast() {
        let plan = Self.plan(.seconds(600))
        let start = Self.now("2026-03-01T12:01:00Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:01:00Z"), at: start)
        let later = Self.stepped(start, .seconds(5), .seconds(3600))
        let steps = plan.advance(at: later)
        #expect(Self.commands(steps) == [])
        #expect(Self.next(steps) == Self.time("2026-03-01T13:10:00Z"))
        #expect(plan.wakeAt == later.monotonic(at: Self.time("2026-03-01T13:10:00Z")) - .seconds(1))
    }

    @Test func aMinuteThatIsLivedThroughTwiceIsNotCutTwice() {
        let plan = Self.plan(.seconds(600))
        let start = Self.now("2026-03-01T12:09:50Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:00:00Z"), at: start)
        _ = plan.advance(at: start + .seconds(9))
        #expect(Self.next(plan.advance(at: start + .seconds(10))) == Self.time("2026-03-01T12:20:00Z"))
        let steps = plan.advance(at: Self.stepped(start, .seconds(15), .seconds(-30)))
        #expect(Self.next(steps) ?? Self.time("2026-03-01T12:20:00Z") == Self.time("2026-03-01T12:20:00Z"))
        #expect(Self.commands(plan.advance(at: Self.stepped(start, .seconds(39), .seconds(-30)))) == [])
    }

    @Test func aDriftIsNoStep() {
        let plan = Self.plan(.seconds(600))
        let start = Self.now("2026-03-01T12:01:00Z")
        _ = plan.recordingReported(Self.recording(since: "2026-03-01T12:01:00Z"), at: start)
        let wake = plan.wakeAt
        #expect(plan.advance(at: Self.stepped(start, .seconds(5), .milliseconds(150))) == [])
        #expect(plan.wakeAt == wake)
    }

    /// Whatever the clock does: a boundary ahead, not too far, never two within half an interval, no command twice
    /// for one moment, none for the past.
    @Test(arguments: 1...40) func thePromisesHoldUnderRandomSteps(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let interval = Duration.seconds(Int64(random.int(in: 5...600)))
        var plan = RotationPlan(
            RotationSettings(interval: interval, align: random.int(in: 0...1) == 0 ? .clock : .session),
            shift: interval * random.int(in: 0...9) / 10)
        var now = Self.now("2026-03-01T12:00:03Z")
        var commanded: [MonotonicTime] = []
        var next = Self.next(plan.recordingReported(Self.recording(since: "2026-03-01T12:00:03Z"), at: now))
        for _ in 0..<600 {
            let rest = (plan.wakeAt.map { $0 - now.monotonic } ?? .zero)
            now = now + max(.zero, min(rest, RotationPlan.clockCheckInterval))
            if random.int(in: 0...30) == 0 {
                let step = Duration.milliseconds(Int64(random.int(in: -7_200_000...7_200_000)))
                now.wall = now.wall + step
            }
            for step in plan.advance(at: now) {
                switch step {
                case .publish(let state): next = state.nextAt
                case .command(let at, _):
                    let moment = now.monotonic(at: at)
                    #expect(moment > now.monotonic)
                    if let last = commanded.last { #expect(moment - last >= interval / 2 - RotationPlan.stepMin) }
                    commanded.append(moment)
                }
            }
            guard let next else {
                Issue.record("no boundary")
                return
            }
            #expect(next > now.wall)
            #expect(next - now.wall <= interval + interval / 2 + .seconds(1))
        }
        #expect(!commanded.isEmpty)
    }

    @Test func camerasShareTheStagger() {
        let settings = RotationSettings(interval: .seconds(60), stagger: .seconds(30))
        let shifts = (0..<3).map { RotationPlan.shift(settings, index: $0, of: 3) }
        #expect(shifts == [.zero, .seconds(10), .seconds(20)])
        #expect(RotationPlan.shift(settings, index: 0, of: 1) == .zero)
        let wide = RotationSettings(interval: .seconds(10), stagger: .seconds(600))
        #expect(RotationPlan.shift(wide, index: 9, of: 10) < .seconds(10))
        let plan = Self.plan(.seconds(60), shift: .seconds(20))
        let steps = plan.recordingReported(
            Self.recording(since: "2026-03-01T12:00:00Z"), at: Self.now("2026-03-01T12:00:10Z"))
        #expect(Self.next(steps) == Self.time("2026-03-01T12:00:20Z"))
    }
}
