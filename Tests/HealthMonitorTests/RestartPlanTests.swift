import BusContract
import Domain
import HealthMonitorCore
import Testing

/// When a restart is allowed: less and less often, then not at all, then once to see.
@Suite struct RestartPlanTests {
    final class Bench {
        private(set) var plan: RestartPlan
        var now = MonotonicTime.zero

        init(first: Duration = .seconds(10)) {
            plan = RestartPlan(backoff: Backoff(first: first, most: .seconds(600), jitter: 0))
        }

        func needed(after wait: Duration = .zero) -> Bool {
            now = now + wait
            return plan.needed(at: now, chance: 0.5)
        }

        func notNeeded(after wait: Duration) {
            now = now + wait
            plan.notNeeded(at: now)
        }

        func trouble(after wait: Duration) {
            now = now + wait
            plan.troubled()
        }

        /// This clock begins at 1000 s.
        func adopt(_ health: CameraHealth, after wait: Duration = .zero) {
            now = now + wait
            plan.adopt(health, at: Now(monotonic: now, wall: Self.wall(now)))
        }

        func adopt(
            _ status: HealthStatus, _ breaker: MediaServerState.Breaker, wait: Int? = nil, after: Duration = .zero
        ) {
            let until = wait.map { Self.wall(now + after + .seconds($0)) }
            adopt(CameraHealth(status: status, backoffUntil: until, breaker: breaker), after: after)
        }

        static func wall(_ time: MonotonicTime) -> WallTime { WallTime(milliseconds: 1_000_000) + (time - .zero) }

        /// Asks every second for `span`; returns when restarts were allowed.
        func insist(for span: Duration) -> [Duration] {
            let start = now
            var restarts: [Duration] = []
            while now - start < span {
                if needed(after: .seconds(1)) { restarts.append(now - start) }
            }
            return restarts
        }
    }

    @Test func aCameraThatNothingHelpsIsLeftAloneAndProbed() {
        let bench = Bench()
        let restarts = bench.insist(for: .seconds(3600))
        // Three, then open for 5 min, a probe, 10 min, a probe, 20 min, a probe; each is given 30 s to help.
        #expect(restarts == [1, 31, 61, 401, 1031, 2261].map { .seconds($0) }, "\(restarts)")
        #expect(bench.plan.breaker == .open)
    }

    @Test func waitsGrowWithTheConfiguredBackoff() {
        let bench = Bench(first: .seconds(60))
        #expect(bench.needed())
        #expect(bench.plan.allowedAt == .zero + .seconds(60))
        #expect(!bench.needed(after: .seconds(59)))
        #expect(bench.needed(after: .seconds(1)))
        #expect(bench.plan.allowedAt == .zero + .seconds(180))
    }

    @Test func aCameraThatStaysWellBeginsAnew() {
        let bench = Bench()
        #expect(bench.needed() && bench.needed(after: .seconds(40)))
        bench.notNeeded(after: .seconds(10))
        bench.notNeeded(after: .seconds(30))
        #expect(bench.plan.state == .closed(attempts: 2))
        #expect(bench.plan.wakeAt(isNeeded: false) == bench.now + .seconds(30))
        bench.notNeeded(after: .seconds(30))
        #expect(bench.plan.state == .closed(attempts: 0) && bench.plan.allowedAt == nil)
    }

    @Test func aProbeThatHelpsClosesTheBreaker() {
        let bench = Bench()
        _ = bench.insist(for: .seconds(401))
        #expect(bench.plan.breaker == .halfOpen)
        bench.notNeeded(after: .seconds(10))
        bench.notNeeded(after: .seconds(60))
        #expect(bench.plan.breaker == .closed)
        #expect(bench.needed(after: .seconds(1)))
    }

    @Test func anotherLeadersBreakerIsTakenOver() {
        let bench = Bench()
        bench.adopt(CameraHealth(status: .failing, backoffUntil: WallTime(milliseconds: 1_200_000), breaker: .open))
        #expect(bench.plan.breaker == .open)
        #expect(!bench.needed(after: .seconds(199)) && bench.needed(after: .seconds(1)))
        let other = Bench()
        other.adopt(CameraHealth(status: .failing, backoffUntil: WallTime(milliseconds: 1_020_000)))
        #expect(!other.needed(after: .seconds(19)) && other.needed(after: .seconds(1)))
        // Nobody's clock is believed for longer than a breaker may be open.
        let third = Bench()
        third.adopt(CameraHealth(status: .failing, backoffUntil: WallTime(milliseconds: 9_000_000_000), breaker: .open))
        #expect(third.needed(after: RestartPlan.openBackoff.most))
    }

    /// A follower goes along with all that the leader says, not only with the first of it.
    @Test func eachVerdictOfTheLeaderIsTakenOver() {
        let bench = Bench()
        bench.adopt(.failing, .closed, wait: 30)
        #expect(bench.plan.state == .closed(attempts: 1) && bench.plan.allowedAt == .zero + .seconds(30))
        bench.adopt(.failing, .closed, after: .seconds(31))
        #expect(bench.plan.state == .closed(attempts: 1), "the wait is over, the trouble is not")
        bench.adopt(.failing, .open, wait: 300, after: .seconds(9))
        let until = MonotonicTime.zero + .seconds(340)
        #expect(bench.plan.state == .open(rounds: 1, until: until) && bench.plan.allowedAt == until)
        bench.adopt(.failing, .open, after: .seconds(301))
        #expect(bench.plan.state == .open(rounds: 1, until: until), "the probe is due")
        bench.adopt(.failing, .halfOpen, wait: 30)
        #expect(bench.plan.allowedAt == bench.now + .seconds(30))
        bench.adopt(.ok, .closed, after: .seconds(90))
        #expect(bench.plan.state == .closed(attempts: 0) && bench.plan.allowedAt == nil)
        #expect(bench.needed(), "a new trouble is helped at once")
    }

    @Test func aBreakerOfOnesOwnIsKeptWithItsRounds() {
        let bench = Bench()
        _ = bench.insist(for: .seconds(700))
        guard case .open(let rounds, _) = bench.plan.state else { return #expect(Bool(false), "not open") }
        #expect(rounds == 2)
        bench.adopt(.failing, .open, wait: 100)
        #expect(bench.plan.state == .open(rounds: 2, until: bench.now + .seconds(100)))
        bench.adopt(.degraded, .closed)
        #expect(bench.plan.state == .closed(attempts: 0) && bench.plan.allowedAt == nil)
    }

    @Test func troubleBetweenIsNoStableTime() {
        let bench = Bench()
        #expect(bench.needed())
        bench.notNeeded(after: .seconds(40))
        bench.trouble(after: .seconds(30))
        bench.notNeeded(after: .seconds(30))
        #expect(bench.plan.state == .closed(attempts: 1))
        bench.notNeeded(after: .seconds(60))
        #expect(bench.plan.state == .closed(attempts: 0))
    }
}
