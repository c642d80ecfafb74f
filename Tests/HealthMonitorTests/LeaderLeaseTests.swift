import BusContract
import Domain
import HealthMonitorCore
import TestSupport
import Testing

/// Who speaks: one at a time, whatever broker and clocks do.
@Suite struct LeaderLeaseTests {
    static let attic = InstanceID(unchecked: "attic")
    static let barn = InstanceID(unchecked: "barn")

    /// The value under test behind a reference, since `#expect` cannot take a call that changes its subject.
    final class Bench {
        private(set) var lease: LeaderLease
        var now = MonotonicTime.zero
        init(_ own: InstanceID = attic) { lease = LeaderLease(own: own) }

        func step(_ event: LeaderLease.Event, after wait: Duration = .zero) -> [LeaderLease.Effect] {
            now = now + wait
            return lease.handle(event, at: now, chance: 0)
        }

        var leads: Bool { lease.leads(at: now) }
        var mayAct: Bool { lease.mayAct(at: now) }
        var wakeIn: Duration? { lease.wakeAt(at: now).map { $0 - now } }

        /// Claims and hears itself.
        func lead(term: UInt64 = 1) {
            _ = step(.connected)
            _ = step(.woke, after: LeaderLease.listenFor)
            _ = step(.heard(Self.word(LeaderLeaseTests.attic, term: term)), after: .milliseconds(1))
            now = now + LeaderLease.settleFor
        }

        static func word(_ instance: InstanceID, term: UInt64, renewal: UInt64 = 0) -> HealthLeader {
            HealthLeader(instance: instance, term: term, renewal: renewal, leaseSeconds: 10)
        }
    }

    private func word(_ instance: InstanceID, _ term: UInt64, _ renewal: UInt64 = 0) -> HealthLeader {
        Bench.word(instance, term: term, renewal: renewal)
    }

    @Test func aloneItLeadsAfterItHasListened() {
        let bench = Bench()
        #expect(bench.wakeIn == nil && bench.step(.connected) == [])
        #expect(bench.wakeIn == LeaderLease.listenFor)
        #expect(bench.step(.woke, after: LeaderLease.listenFor) == [.publish(word(Self.attic, 1))])
        #expect(!bench.leads, "nobody has heard it yet")
        #expect(bench.step(.heard(word(Self.attic, 1))) == [])
        #expect(!bench.leads, "another one may have claimed in the same moment")
        bench.now = bench.now + LeaderLease.settleFor
        #expect(bench.leads)
        #expect(bench.step(.woke, after: LeaderLease.renewEvery) == [.publish(word(Self.attic, 1, 1))])
        #expect(bench.step(.heard(word(Self.attic, 1, 1))) == [])
        #expect(!bench.mayAct, "a leader that was not heard may believe in its lease")
        bench.now = MonotonicTime.zero + LeaderLease.span
        #expect(bench.mayAct)
    }

    @Test func whoeverLeadsIsFollowedAndTakenOverWhenSilent() {
        let bench = Bench()
        _ = bench.step(.connected)
        #expect(bench.step(.heard(word(Self.barn, 4))) == [])
        for renewal in 1..<10 {
            #expect(bench.step(.heard(word(Self.barn, 4, UInt64(renewal))), after: .seconds(9)) == [])
            #expect(bench.step(.woke) == [])
        }
        #expect(bench.wakeIn == LeaderLease.span)
        #expect(bench.step(.woke, after: LeaderLease.span) == [.publish(word(Self.attic, 5))])
    }

    @Test func aWillBringsTheTakeoverForward() {
        let bench = Bench()
        _ = bench.step(.connected)
        _ = bench.step(.heard(word(Self.barn, 4)))
        #expect(bench.step(.wentOffline(InstanceID(unchecked: "cellar"))) == [] && bench.wakeIn == LeaderLease.span)
        #expect(bench.step(.wentOffline(Self.barn)) == [])
        #expect(bench.wakeIn == .zero)
        #expect(bench.step(.woke) == [.publish(word(Self.attic, 5))])
    }

    @Test func ofTwoThatClaimAtOnceOneStays() {
        let (attic, barn) = (Bench(Self.attic), Bench(Self.barn))
        // The broker has one order for both.
        var said: [HealthLeader] = []
        func note(_ effects: [LeaderLease.Effect]) {
            for case .publish(let word) in effects { said.append(word) }
        }
        for bench in [barn, attic] {
            note(bench.step(.connected))
            note(bench.step(.woke, after: LeaderLease.listenFor))
        }
        #expect(said == [word(Self.barn, 1), word(Self.attic, 1)])
        while !said.isEmpty {
            let next = said.removeFirst()
            note(attic.step(.heard(next)))
            note(barn.step(.heard(next)))
        }
        for bench in [attic, barn] { bench.now = bench.now + LeaderLease.settleFor }
        #expect(attic.leads && !barn.leads)
        #expect(barn.lease.role == .following(Self.attic, until: barn.now - LeaderLease.settleFor + LeaderLease.span))
    }

    /// Held for as long as you like, it does not act when it goes on.
    @Test func aLeaderThatWasHeldDoesNotAct() {
        let bench = Bench()
        bench.lead()
        #expect(bench.leads)
        bench.now = bench.now + LeaderLease.span
        #expect(!bench.leads)
        #expect(bench.step(.woke) == [.stepDown])
        #expect(bench.step(.heard(word(Self.barn, 2))) == [])
        #expect(bench.lease.role == .following(Self.barn, until: bench.now + LeaderLease.span))
    }

    /// Its lease counts from its own word, the others' from when they heard it: no moment belongs to both.
    @Test func aLeaderWhoseWordIsSlowStopsBeforeOthersBegin() {
        let bench = Bench()
        bench.lead()
        _ = bench.step(.woke, after: LeaderLease.renewEvery)
        let said = bench.now
        _ = bench.step(.heard(word(Self.attic, 1, 1)), after: .seconds(5))
        bench.now = said + LeaderLease.span - .milliseconds(1)
        #expect(bench.leads)
        bench.now = said + LeaderLease.span
        #expect(!bench.leads)
    }

    @Test func aWeakerWordIsAnsweredAndAStrongerOneObeyed() {
        let bench = Bench()
        bench.lead()
        // One that comes back after an outage says again what it said last.
        #expect(bench.step(.heard(word(Self.barn, 0, 9))) == [.publish(word(Self.attic, 1, 1))])
        #expect(bench.step(.heard(word(Self.barn, 1))) == [.publish(word(Self.attic, 1, 2))], "attic comes before barn")
        #expect(bench.leads)
        #expect(bench.step(.heard(word(Self.barn, 2))) == [.stepDown])
        #expect(!bench.leads)
    }

    @Test func aBrokenConnectionEndsTheLeadAndItsOwnWordBringsItBack() {
        let bench = Bench()
        bench.lead()
        #expect(bench.step(.disconnected) == [.stepDown])
        #expect(!bench.leads && bench.wakeIn == nil)
        // What is retained may come before the word that there is a connection.
        #expect(bench.step(.heard(word(Self.attic, 1)), after: .seconds(1)) == [])
        #expect(bench.step(.connected) == [.publish(word(Self.attic, 2))])
    }

    @Test func afterAnOutageInWhichAnotherTookOverItFollows() {
        let bench = Bench()
        bench.lead()
        _ = bench.step(.disconnected)
        #expect(bench.step(.heard(word(Self.barn, 2)), after: .seconds(20)) == [])
        #expect(bench.step(.connected) == [])
        #expect(bench.step(.heard(word(Self.barn, 2, 1)), after: .seconds(3)) == [])
        #expect(bench.wakeIn == LeaderLease.span)
    }

    @Test func aRestartedLeaderGoesOnAtOnce() {
        let bench = Bench()
        _ = bench.step(.connected)
        #expect(bench.step(.heard(word(Self.attic, 7, 3))) == [.publish(word(Self.attic, 8))])
        _ = bench.step(.heard(word(Self.attic, 8)))
        bench.now = bench.now + LeaderLease.settleFor
        #expect(bench.mayAct, "its own word was retained: nobody has spoken since")
    }
}
