import Domain
import FramekeeperCore
import Testing

/// Who hangs, from the signs of life alone.
@Suite("Signs of life") struct BeatWatchTests {
    private func at(_ seconds: Double) -> MonotonicTime { MonotonicTime(nanoseconds: Int64(seconds * 1e9)) }

    final class Bench {
        private var watch = BeatWatch(startMax: .seconds(30))
        func look(_ signs: [String: BeatWatch.Signs], at now: MonotonicTime) -> [String] { watch.look(signs, at: now) }
    }

    @Test("Ten seconds without a beat are a hang; one that has just started has thirty")
    func silence() {
        let bench = Bench()
        let signs = [
            "beats": BeatWatch.Signs(startedAt: at(0), lastAt: at(0)),
            "starts": BeatWatch.Signs(startedAt: at(1), lastAt: nil),
        ]
        var found: [Double: [String]] = [:]
        for second in stride(from: 0.0, through: 34, by: 2) {
            var now = signs
            if second < 20 { now["beats"]?.lastAt = at(second) }
            if second >= 20 { now["beats"]?.lastAt = at(18) }
            let hung = bench.look(now, at: at(second))
            if !hung.isEmpty { found[second] = hung }
        }
        #expect(found == [28: ["beats"], 30: ["beats"], 32: ["beats", "starts"], 34: ["beats", "starts"]])
    }

    @Test("A supervisor that was held accuses nobody of its own absence")
    func held() {
        let bench = Bench()
        let signs = ["a": BeatWatch.Signs(startedAt: at(0), lastAt: at(1))]
        #expect(bench.look(signs, at: at(2)) == [])
        #expect(bench.look(signs, at: at(60)) == [])
        for second in stride(from: 62.0, to: 70, by: 2) { #expect(bench.look(signs, at: at(second)) == []) }
        #expect(bench.look(signs, at: at(70)) == ["a"], "now it had its time")
    }

    @Test("A broker hangs if it runs and the connection to it does not come back")
    func broker() {
        var watch = BrokerWatch()
        #expect(!watch.isHung(startedAt: at(0), at: at(100)))
        watch.lost(at: at(100))
        #expect(!watch.isHung(startedAt: at(0), at: at(102)))
        let isDown = watch.isHung(startedAt: nil, at: at(110))
        #expect(!isDown, "it is being started anew already")
        #expect(watch.isHung(startedAt: at(0), at: at(103)))
        #expect(!watch.isHung(startedAt: at(101), at: at(110)), "a new one is given its time")
        watch.connected()
        #expect(!watch.isHung(startedAt: at(0), at: at(200)))
    }

    @Test("A broker that gave the connection to another of the same name does not hang")
    func takenOver() {
        for isLostBefore in [false, true] {
            var watch = BrokerWatch()
            watch.connected()
            if isLostBefore { watch.lost(at: at(90)) }
            watch.takenOver()
            watch.lost(at: at(100))
            #expect(!watch.isHung(startedAt: at(0), at: at(200)))
        }
    }
}
