import BusContract
import Domain
import HealthMonitorCore
import TestSupport
import Testing

/// Several health-monitors on one broker that delays, is cut off and forgets, and tells of those that are killed, from
/// a seed: at no moment may two of them act, and when the trouble is over one may.
@Suite struct LeaderLeasePropertyTests {
    /// What is under way, in the order of its time.
    private enum Happening {
        case deliver(LeaderLease.Event, to: Int, connection: Int)
        case connected(Int, connection: Int)
        case wake(Int)
        case goOn(Int)
        case fault
    }

    private struct Monitor {
        var lease: LeaderLease
        /// Counts connections; what an older one still had to say is lost.
        var connection = 0
        var isConnected = false
        /// Held by SIGSTOP until then; what comes waits for it.
        var heldUntil = MonotonicTime.zero
        /// Its messages arrive in the order of the broker.
        var newestArrival = MonotonicTime.zero
    }

    private final class World {
        var now = MonotonicTime.zero
        var random: SeededRandom
        var monitors: [Monitor]
        var agenda: [(at: MonotonicTime, order: Int, what: Happening)] = []
        var order = 0
        var retained: HealthLeader?
        var violations: [String] = []
        var changes = 0
        var leadersKilled = 0
        private var leader: Int?

        init(seed: UInt64, monitors count: Int) {
            random = SeededRandom(seed: seed)
            monitors = (0..<count).map { Monitor(lease: LeaderLease(own: InstanceID(unchecked: "m\($0)"))) }
            for index in 0..<count { connect(index) }
            for index in 0..<count { add(.wake(index), after: .milliseconds(100)) }
            add(.fault, after: .seconds(20))
        }

        func add(_ what: Happening, after wait: Duration) { add(what, at: now + wait) }
        func add(_ what: Happening, at time: MonotonicTime) {
            order += 1
            agenda.append((time, order, what))
        }

        func connect(_ index: Int) {
            monitors[index].connection += 1
            add(
                .connected(index, connection: monitors[index].connection),
                after: random.duration(in: .milliseconds(10) ... .seconds(3)))
        }

        func cut(_ index: Int) {
            monitors[index].isConnected = false
            monitors[index].connection += 1
            tell(index, .disconnected)
            connect(index)
        }

        /// The broker sends its will, and its successor knows nothing.
        func kill(_ index: Int) {
            if leaders == [index] { leadersKilled += 1 }
            let own = monitors[index].lease.own
            monitors[index].lease = LeaderLease(own: own)
            monitors[index].isConnected = false
            monitors[index].heldUntil = now
            for other in monitors.indices where monitors[other].isConnected { send(.wentOffline(own), to: other) }
            connect(index)
        }

        func send(_ event: LeaderLease.Event, to index: Int) {
            let most: Duration = random.chance(0.05) ? .seconds(4) : .milliseconds(50)
            let at = max(monitors[index].newestArrival, now + random.duration(in: .milliseconds(1)...most))
            monitors[index].newestArrival = at
            add(.deliver(event, to: index, connection: monitors[index].connection), at: at)
        }

        func tell(_ index: Int, _ event: LeaderLease.Event) {
            for effect in monitors[index].lease.handle(event, at: now, chance: random.unit()) {
                guard case .publish(let leader) = effect, monitors[index].isConnected else { continue }
                retained = leader
                for other in monitors.indices where monitors[other].isConnected { send(.heard(leader), to: other) }
            }
        }

        func run(until end: MonotonicTime, faultsUntil: MonotonicTime) {
            while let next = agenda.min(by: { ($0.at, $0.order) < ($1.at, $1.order) }), next.at <= end {
                agenda.removeAll { $0.order == next.order }
                now = next.at
                perform(next.what, faultsUntil: faultsUntil)
                check()
            }
            now = end
        }

        private func perform(_ what: Happening, faultsUntil: MonotonicTime) {
            switch what {
            case .deliver(let event, let index, let connection):
                guard monitors[index].connection == connection else { return }
                if monitors[index].heldUntil > now {
                    return add(what, at: monitors[index].heldUntil)
                }
                tell(index, event)
            case .connected(let index, let connection):
                guard monitors[index].connection == connection else { return }
                if monitors[index].heldUntil > now { return add(what, at: monitors[index].heldUntil) }
                monitors[index].isConnected = true
                if let retained { send(.heard(retained), to: index) }
                tell(index, .connected)
            case .wake(let index):
                add(.wake(index), after: .milliseconds(100))
                guard monitors[index].heldUntil <= now else { return }
                if let due = monitors[index].lease.wakeAt(at: now), due <= now { tell(index, .woke) }
            case .goOn: break
            case .fault:
                guard now < faultsUntil else { return }
                add(.fault, after: random.duration(in: .seconds(1) ... .seconds(40)))
                let index = random.int(in: 0...(monitors.count - 1))
                switch random.int(in: 0...4) {
                case 0: cut(index)
                case 1:
                    monitors[index].heldUntil = now + random.duration(in: .seconds(1) ... .seconds(30))
                    add(.goOn(index), at: monitors[index].heldUntil)
                case 2:
                    // The broker dies and comes back without its memory.
                    retained = nil
                    for index in monitors.indices { cut(index) }
                case 3: kill(index)
                default: retained = random.chance(0.5) ? nil : retained
                }
            }
        }

        var leaders: [Int] {
            monitors.indices.filter { monitors[$0].heldUntil <= now && monitors[$0].lease.mayAct(at: now) }
        }

        private func check() {
            let leaders = leaders
            if leaders.count > 1 { violations.append("\(leaders) lead at \(now)") }
            if let first = leaders.first, first != leader {
                leader = first
                changes += 1
            }
        }
    }

    @Test func neverTwoLeadersAndAlwaysOneAgain() {
        var (changes, killed) = (0, 0)
        for seed in UInt64(0)..<40 {
            let world = World(seed: seed, monitors: 3)
            let hour = MonotonicTime.zero + .seconds(3600)
            world.run(until: hour, faultsUntil: hour)
            world.run(until: hour + .seconds(90), faultsUntil: hour)
            #expect(world.violations.isEmpty, "seed \(seed): \(world.violations.prefix(3))")
            #expect(world.leaders.count == 1, "seed \(seed): \(world.leaders)")
            changes += world.changes
            killed += world.leadersKilled
        }
        #expect(changes > 400, "\(changes) takeovers")
        #expect(killed > 100, "\(killed) leaders killed")
    }
}
