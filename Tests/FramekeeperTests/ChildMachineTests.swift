import Domain
import FramekeeperCore
import Testing

@Suite("When a child process starts, starts again and stops")
struct ChildMachineTests {
    private let start = MonotonicTime(nanoseconds: 1_000_000_000)

    /// Waits without jitter, so that transcripts show whole numbers.
    private func machine() -> ChildMachine {
        var policy = ChildMachine.Policy()
        policy.backoff = Backoff(first: .seconds(1), most: .seconds(8), jitter: 0)
        return ChildMachine(policy: policy)
    }

    private func running(at time: MonotonicTime) -> ChildMachine {
        var machine = machine()
        #expect(machine.handle(.woke, at: time) == [.spawn])
        #expect(machine.handle(.started, at: time) == [])
        return machine
    }

    @Test("It runs, is asked to stop, ends: nothing is left")
    func ordinaryLife() {
        var machine = running(at: start)
        #expect(machine.state == .running(since: start))
        #expect(machine.handle(.stopAsked, at: start) == [.terminate, .wake(at: start + .seconds(10))])
        #expect(machine.handle(.stopAsked, at: start + .seconds(1)) == [])
        #expect(machine.handle(.exited(.code(0)), at: start + .seconds(1)) == [.finished])
        #expect(machine.state == .stopped)
        #expect(machine.handle(.woke, at: start + .seconds(10)) == [])
    }

    @Test("With new settings it ends in order and starts again at once, failures forgotten")
    func renewed() {
        var machine = running(at: start)
        #expect(machine.handle(.renewAsked, at: start) == [.terminate, .wake(at: start + .seconds(10))])
        #expect(machine.state == .renewing(deadline: start + .seconds(10)))
        #expect(machine.handle(.renewAsked, at: start) == [], "it starts with the newest settings anyhow")
        #expect(machine.handle(.exited(.code(0)), at: start + .seconds(1)) == [.spawn])
        #expect(machine.handle(.started, at: start + .seconds(1)) == [])
        #expect(machine.state == .running(since: start + .seconds(1)) && machine.failures == 0)
        #expect(machine.handle(.woke, at: start + .seconds(10)) == [], "the deadline of the one before")
    }

    @Test("What does not end for its new settings is killed; asked to stop meanwhile, it stays down")
    func renewedSlowly() {
        var machine = running(at: start)
        _ = machine.handle(.renewAsked, at: start)
        #expect(machine.handle(.woke, at: start + .seconds(10)) == [.kill])
        #expect(machine.handle(.stopAsked, at: start + .seconds(10)) == [])
        #expect(machine.handle(.exited(.signal(9)), at: start + .seconds(11)) == [.finished])
        #expect(machine.handle(.renewAsked, at: start + .seconds(12)) == [], "once stopped it never starts again")
    }

    @Test("New settings are a new chance for what was parked or waited")
    func renewedParked() {
        for exit in [ChildExit.code(ChildExit.configuration), .signal(11)] {
            var machine = running(at: start)
            _ = machine.handle(.exited(exit), at: start)
            #expect(machine.handle(.renewAsked, at: start) == [.spawn])
            #expect(machine.handle(.started, at: start) == [] && machine.failures == 0)
            #expect(machine.handle(.woke, at: start + .seconds(1)) == [], "the wait of before")
        }
    }

    @Test("A killed child starts again after a wait that doubles up to its cap")
    func backoff() {
        var machine = running(at: start)
        var now = start
        for (failure, seconds) in [1, 2, 4, 8, 8, 8].enumerated() {
            let wait = Duration.seconds(seconds)
            var expected = [
                ChildMachine.Effect.reportEnd(.signal(11), again: wait, failures: failure + 1), .wake(at: now + wait),
            ]
            if failure == 4 { expected.insert(.reportCrashLoop(failures: 5), at: 1) }
            #expect(machine.handle(.exited(.signal(11)), at: now) == expected)
            #expect(machine.handle(.woke, at: now + wait - .nanoseconds(1)) == [], "a wake that is too early")
            now = now + wait
            #expect(machine.handle(.woke, at: now) == [.spawn])
            #expect(machine.handle(.started, at: now) == [])
        }
    }

    @Test("The first wait is short enough to record again within 2 s")
    func firstWait() {
        for chance in [0.0, 0.5, 0.999] {
            var machine = ChildMachine()
            _ = machine.handle(.woke, at: start)
            _ = machine.handle(.started, at: start)
            _ = machine.handle(.exited(.signal(9)), at: start, chance: chance)
            #expect(machine.handle(.woke, at: start + .milliseconds(500)) == [.spawn])
        }
    }

    @Test("A child that is killed again and again is back within a second")
    func killedAgainAndAgain() {
        var machine = ChildMachine()
        _ = machine.handle(.woke, at: start)
        for failure in 1...20 {
            _ = machine.handle(.started, at: start)
            let effects = machine.handle(.exited(.signal(9)), at: start)
            let wait = min(Duration.milliseconds(250 * (1 << min(failure - 1, 4))), .milliseconds(500))
            #expect(effects.first == .reportEnd(.signal(9), again: wait, failures: failure))
            _ = machine.handle(.woke, at: start + wait)
        }
    }

    @Test("A minute without a fault is a fresh start")
    func stableAgain() {
        var machine = running(at: start)
        _ = machine.handle(.exited(.code(1)), at: start)
        _ = machine.handle(.woke, at: start + .seconds(1))
        _ = machine.handle(.started, at: start + .seconds(1))
        #expect(machine.failures == 1)
        let effects = machine.handle(.exited(.code(1)), at: start + .seconds(61))
        #expect(effects.first == .reportEnd(.code(1), again: .seconds(1), failures: 1))
    }

    @Test("A fenced child waits 30 s, so as not to disturb the one that has its camera")
    func fenced() {
        var machine = running(at: start)
        #expect(
            machine.handle(.exited(.code(75)), at: start)
                == [.reportEnd(.code(75), again: .seconds(30), failures: 1), .wake(at: start + .seconds(30))])
    }

    @Test("A child whose configuration is refused stays down until it is asked to stop")
    func refusedConfiguration() {
        var machine = running(at: start)
        #expect(
            machine.handle(.exited(.code(78)), at: start) == [.reportEnd(.code(78), again: nil, failures: 1)])
        #expect(machine.state == .parked)
        #expect(machine.handle(.woke, at: start + .seconds(100)) == [])
        #expect(machine.handle(.stopAsked, at: start) == [.finished])
    }

    @Test("A child that ends by itself without having been asked is started again")
    func endedByItself() {
        var machine = running(at: start)
        #expect(
            machine.handle(.exited(.code(0)), at: start)
                == [.reportEnd(.code(0), again: .seconds(1), failures: 1), .wake(at: start + .seconds(1))])
    }

    @Test("A child that does not end within its time is killed, once, and late wakes change nothing")
    func stubborn() {
        var machine = running(at: start)
        _ = machine.handle(.stopAsked, at: start)
        #expect(machine.handle(.woke, at: start + .seconds(9)) == [])
        #expect(machine.handle(.woke, at: start + .seconds(10)) == [.kill])
        #expect(machine.handle(.exited(.signal(9)), at: start + .seconds(10)) == [.finished])
    }

    @Test("Asked to stop while it waits: it never starts again")
    func stoppedWhileWaiting() {
        var machine = running(at: start)
        _ = machine.handle(.exited(.signal(9)), at: start)
        #expect(machine.handle(.stopAsked, at: start) == [.finished])
        #expect(machine.handle(.woke, at: start + .seconds(1)) == [])
    }

    @Test("Killed at once")
    func killed() {
        var machine = running(at: start)
        #expect(machine.handle(.killAsked, at: start) == [.kill])
        #expect(machine.handle(.exited(.signal(9)), at: start) == [.finished])
        #expect(machine.handle(.killAsked, at: start) == [])
    }

    @Test("A program that cannot be started is tried again like one that failed")
    func notStarted() {
        var machine = machine()
        #expect(machine.handle(.woke, at: start) == [.spawn])
        #expect(
            machine.handle(.spawnFailed("no such file"), at: start)
                == [
                    .reportEnd(.notStarted("no such file"), again: .seconds(1), failures: 1),
                    .wake(at: start + .seconds(1)),
                ])
    }

    @Test("Every history of six events keeps the promises: never spawned after a stop, finished at most once")
    func shortHistories() {
        let events: [ChildMachine.Event] = [
            .woke, .started, .exited(.code(1)), .exited(.code(78)), .stopAsked, .killAsked,
        ]
        var histories: [[ChildMachine.Event]] = [[]]
        for _ in 0..<6 { histories = histories.flatMap { history in events.map { history + [$0] } } }
        for history in histories {
            var machine = machine()
            var (now, asked, finished) = (start, false, 0)
            for event in history {
                now = now + .seconds(20)
                let effects = machine.handle(event, at: now)
                asked = asked || event == .stopAsked || event == .killAsked
                finished += effects.count { $0 == .finished }
                if asked, effects.contains(.spawn) { Issue.record("spawned after a stop: \(history)") }
            }
            if finished > 1 { Issue.record("finished twice: \(history)") }
        }
    }

    @Test("What hangs is asked, killed two seconds later and started again; it counts as a failure")
    func hung() {
        var machine = running(at: start)
        let asked = machine.handle(.fellSilent, at: start + .seconds(20))
        #expect(asked == [.reportSilence, .terminate, .wake(at: start + .seconds(22))])
        #expect(machine.handle(.fellSilent, at: start + .seconds(21)) == [], "once is enough")
        #expect(machine.handle(.woke, at: start + .seconds(21)) == [])
        #expect(machine.handle(.woke, at: start + .seconds(22)) == [.kill])
        let ended = machine.handle(.exited(.signal(9)), at: start + .seconds(22))
        #expect(
            ended == [.reportEnd(.hung, again: .seconds(1), failures: 1), .wake(at: start + .seconds(23))],
            "its own kill is no sign of health")
        #expect(machine.handle(.woke, at: start + .seconds(23)) == [.spawn])
        #expect(machine.handle(.fellSilent, at: start + .seconds(23)) == [], "it does not run")
    }

    @Test("A minute up before it hangs is a fresh start, too")
    func hungAfterAStableRun() {
        var machine = running(at: start)
        var now = start
        for (up, failures) in [(20, 1), (61, 1), (59, 2)] {
            now = now + .seconds(up)
            #expect(machine.handle(.fellSilent, at: now).first == .reportSilence)
            _ = machine.handle(.exited(.signal(9)), at: now)
            #expect(machine.failures == failures, "after \(up) s")
            now = now + .seconds(8)
            #expect(machine.handle(.woke, at: now) == [.spawn])
            _ = machine.handle(.started, at: now)
        }
    }

    @Test("However often it hangs, it waits five seconds at most")
    func hungAgainAndAgain() {
        var machine = running(at: start)
        var now = start
        var waits: [Duration?] = []
        for _ in 0..<12 {
            now = now + .seconds(15)
            _ = machine.handle(.fellSilent, at: now)
            let ended = machine.handle(.exited(.signal(9)), at: now)
            if case .reportEnd(_, let again, _)? = ended.first { waits.append(again) }
            now = now + machine.policy.hungWaitMax
            #expect(machine.handle(.woke, at: now) == [.spawn])
            _ = machine.handle(.started, at: now)
        }
        #expect(waits.count == 12 && waits.prefix(3) == [.seconds(1), .seconds(2), .seconds(4)])
        #expect(waits.dropFirst(3).allSatisfy { $0 == .seconds(5) }, "also beyond the limit of a crash loop")
    }

    @Test("Asked to stop while it hangs, it stays down; told at once, it is killed at once")
    func hungStopped() {
        var machine = running(at: start)
        _ = machine.handle(.fellSilent, at: start)
        #expect(machine.handle(.stopAsked, at: start) == [])
        #expect(machine.handle(.woke, at: start + .seconds(2)) == [.kill])
        #expect(machine.handle(.exited(.signal(9)), at: start + .seconds(2)) == [.finished])
        var other = running(at: start)
        _ = other.handle(.fellSilent, at: start)
        #expect(other.handle(.killAsked, at: start) == [.kill])
    }

    @Test("After ten failures in a row it is tried every five minutes, and a minute up is a new beginning")
    func crashLoopLimit() {
        var machine = running(at: start)
        var now = start
        var waits: [Duration] = []
        for _ in 0..<12 {
            for effect in machine.handle(.exited(.code(1)), at: now) {
                if case .reportEnd(_, let again?, _) = effect {
                    waits.append(again)
                    now = now + again
                }
            }
            #expect(machine.handle(.woke, at: now) == [.spawn])
            _ = machine.handle(.started, at: now)
        }
        #expect(waits == [1, 2, 4, 8, 8, 8, 8, 8, 8, 300, 300, 300].map { .seconds($0) })
        let ended = machine.handle(.exited(.code(1)), at: now + .seconds(60))
        #expect(ended.first == .reportEnd(.code(1), again: .seconds(1), failures: 1))
    }
}
