import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Rules that a recording's promise rests on: when it is over, and who may say so.
@Suite("Whose recording a change would interrupt")
struct RecordingBookTests {
    private let front = ConfigBench.front

    /// Revision 2 waits for front.
    private func waiting() -> ConfigBench {
        var bench = ConfigBench.running("f1 y1")
        bench.record(front, true)
        bench.file("f2 y1")
        #expect(bench.active.isEmpty)
        return bench
    }

    /// The bus is lost and there again, with these words retained.
    private func reconnect(_ bench: inout ConfigBench, retained: (inout ConfigBench) -> Void = { _ in }) {
        bench.step(.busLost)
        bench.step(.busConnected)
        retained(&bench)
        bench.step(.statesKnown)
    }

    @Test("A broker that comes back without a memory, before the workers do: the recording is still known")
    func amnesia() {
        var bench = waiting()
        reconnect(&bench)
        #expect(bench.active.isEmpty && bench.state?.pending?.waitsFor == [front])
        bench.wait(.seconds(2))
        bench.record(front, true)
        bench.wait(.seconds(3600))
        #expect(bench.active.isEmpty)
        bench.record(front, false)
        #expect(bench.active == ["f2 y1"])
    }

    @Test("A camera that nobody has spoken for may record; within a minute its worker says so")
    func stranger() {
        var bench = ConfigBench.running("f1 y1")
        reconnect(&bench)
        bench.file("f2 y1")
        #expect(bench.state?.pending?.reason.contains("does not say whether front records") == true)
        bench.record(front, true)
        bench.wait(.seconds(120))
        #expect(bench.active.isEmpty)
        reconnect(&bench) { $0.record(front, false) }
        #expect(bench.active == ["f2 y1"])
    }

    @Test("A stale `off` that a broker kept is older than what is known: the worker has the last word")
    func stale() {
        var bench = ConfigBench.running("f1 y1")
        let old = bench.number
        bench.record(front, true)
        bench.file("f2 y1")
        reconnect(&bench) { $0.say(front, .over, number: old) }
        #expect(bench.active.isEmpty)
        bench.wait(.seconds(2))
        bench.record(front, true)
        bench.wait(.seconds(120))
        #expect(bench.active.isEmpty, "its worker has said that it records")
        reconnect(&bench) { $0.say(front, .over, number: old) }
        bench.wait(.seconds(50))
        #expect(bench.active.isEmpty)
        bench.wait(.seconds(11))
        #expect(bench.active == ["f2 y1"], "nobody contradicts")
    }

    @Test("An `off` of while we were away is younger than what is known, and all that will ever come")
    func endedMeanwhile() {
        var bench = waiting()
        reconnect(&bench) { $0.record(front, false) }
        #expect(bench.active == ["f2 y1"])
    }

    @Test("A worker that does not come back holds a change up for a minute")
    func gone() {
        var bench = waiting()
        reconnect(&bench)
        bench.wait(.seconds(59))
        #expect(bench.active.isEmpty)
        bench.wait(.seconds(2))
        #expect(bench.active == ["f2 y1"] && bench.wakeAt == nil)
    }

    @Test("So does one whose last will has come; one that is back in time records on")
    func lastWill() {
        var bench = waiting()
        bench.step(.workerReported(front, isOnline: false))
        bench.wait(.seconds(30))
        bench.step(.workerReported(front, isOnline: true))
        bench.wait(.seconds(120))
        #expect(bench.active.isEmpty, "a late will was overruled")
        bench.step(.workerReported(front, isOnline: false))
        bench.record(front, true)
        bench.wait(.seconds(120))
        #expect(bench.active.isEmpty, "who speaks is there")
        bench.step(.workerReported(front, isOnline: false))
        bench.wait(.seconds(61))
        #expect(bench.active == ["f2 y1"])
    }

    @Test("A dead worker's states as the broker keeps them, in either order")
    func keptOfTheDead() {
        for isWillFirst in [true, false] {
            var bench = waiting()
            reconnect(&bench) {
                if isWillFirst { $0.step(.workerReported(front, isOnline: false)) }
                $0.record(front, true)
                if !isWillFirst { $0.step(.workerReported(front, isOnline: false)) }
            }
            bench.wait(.seconds(59))
            #expect(bench.active.isEmpty)
            bench.wait(.seconds(2))
            #expect(bench.active == ["f2 y1"])
        }
    }

    @Test("A time without the bus is none in which a worker was silent")
    func longOutage() {
        var bench = waiting()
        bench.step(.workerReported(front, isOnline: false))
        bench.step(.busLost)
        bench.wait(.seconds(600))
        reconnect(&bench)
        #expect(bench.active.isEmpty)
        bench.record(front, true)
        bench.wait(.seconds(120))
        #expect(bench.active.isEmpty)
    }

    @Test("A camera that blinks has not ended its recording; one without frames for long has nothing to interrupt")
    func blink() {
        var bench = waiting()
        bench.say(front, .frameless)
        bench.wait(.seconds(14))
        bench.record(front, true)
        bench.wait(.seconds(14))
        #expect(bench.active.isEmpty)
        for _ in 0..<7 {
            bench.say(front, .frameless)
            bench.wait(.seconds(2))
        }
        #expect(bench.active.isEmpty)
        bench.wait(.seconds(2))
        #expect(bench.active == ["f2 y1"], "attempts in between begin no new time")
        bench.file("f3 y1")
        #expect(bench.inForce == "f3 y1")
    }

    @Test("What a recording state means: with a session or a lease it is not over")
    func words() {
        let session = SessionID(high: 1, low: 2)
        let lease = RecordingState.Lease(holder: .manual, since: WallTime(milliseconds: 1), until: nil)
        for (phase, bare, wanted) in [
            (RecordingState.Phase.off, RecordingWord.over, RecordingWord.frameless),
            (.starting, .frameless, .frameless),
            (.recording, .recording, .recording), (.stopping, .recording, .recording), (.failed, .over, .frameless),
        ] {
            #expect(RecordingWord(RecordingState(state: phase)) == bare, "\(phase)")
            #expect(RecordingWord(RecordingState(state: phase, session: session)) == wanted, "\(phase)")
            #expect(RecordingWord(RecordingState(state: phase, leases: [lease])) == wanted, "\(phase)")
        }
    }
}
