import BusContract
import Domain
import RotationServiceCore

/// The values under test behind references, since `#expect` cannot take a call that changes its subject.
final class CoreUnderTest {
    private var core: RotationCore
    init(_ settings: NodeSettings) { core = RotationCore(settings) }
    func handle(_ event: RotationEvent, at now: Now) -> [RotationEffect] { core.handle(event, at: now) }
}

final class TrustUnderTest {
    private var trust = ClockTrust()
    func isTrusted(newestAt: WallTime?, at now: Now) -> Bool { trust.isTrusted(newestAt: newestAt, at: now) }
}

final class PlanUnderTest {
    private(set) var plan: RotationPlan
    init(_ plan: RotationPlan) { self.plan = plan }
    var wakeAt: MonotonicTime? { plan.wakeAt }
    func started() -> [RotationPlan.Step] { plan.started() }
    func recordingReported(_ state: RecordingState, at now: Now) -> [RotationPlan.Step] {
        plan.recordingReported(state, at: now)
    }
    func segmentOpened(_ event: SegmentEvent) -> [RotationPlan.Step] { plan.segmentOpened(event) }
    func advance(at now: Now) -> [RotationPlan.Step] { plan.advance(at: now) }
}
