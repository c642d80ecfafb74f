import BusContract
import Domain
import HealthMonitorCore
import Testing

/// The verdicts, as transcripts: what is heard, how time passes, what is said and done.
@Suite struct HealthCoreTests {
    private func codes(_ health: CameraHealth?) -> [HealthReason.Code]? { health?.reasons.map(\.code) }

    @Test func aCameraThatRecordsIsWellAndNothingIsSaidTwice() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(600))
        #expect(bench.verdict()?.status == .ok && codes(bench.verdict()) == [])
        let verdicts = bench.take().filter { if case .publishCamera = $0 { true } else { false } }
        #expect(verdicts.count == 1, "\(verdicts)")
    }

    @Test func aStallThatTheWorkerHasNotNoticedIsEndedByARestart() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        #expect(bench.restarts() == [])
        bench.play(.seconds(4), fps: 0, growsFiles: false)
        #expect(codes(bench.verdict()) == [.stalled] && bench.verdict()?.status == .failing)
        #expect(bench.restarts() == [RestartCommand(reason: "no frame for more than 1.8 s", ifRestarts: 0)])
        bench.step(.restartAnswered(HealthBench.front, .done))
        #expect(bench.verdict()?.lastRestart?.outcome == .done)
        bench.step(.streamReported(HealthBench.front, bench.stream(.starting, restarts: 1)))
        bench.step(.streamReported(HealthBench.front, bench.stream(.active, restarts: 1)))
        bench.play(.seconds(70))
        #expect(bench.restarts().count == 1)
        #expect(bench.verdict()?.status == .ok && bench.verdict()?.restarts1h == 1)
        #expect(bench.verdict()?.breaker == .closed && bench.verdict()?.backoffUntil == nil)
    }

    @Test func restartsThatDoNotHelpEndWithAnOpenBreaker() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.play(.seconds(200), fps: 0, growsFiles: false)
        #expect(bench.restarts().count == RestartPlan.attemptsMax)
        #expect(bench.verdict()?.breaker == .open && bench.verdict()?.backoffUntil != nil)
        bench.play(.seconds(600), fps: 0, growsFiles: false)
        #expect(bench.restarts().count == RestartPlan.attemptsMax + 1, "one probe")
    }

    @Test func restartsAreNotItsBusinessWhereTheyAreSwitchedOff() {
        let bench = HealthBench(HealthSettings(restart: false))
        bench.record()
        bench.play(.seconds(60))
        bench.play(.seconds(60), fps: 0, growsFiles: false)
        #expect(codes(bench.verdict()) == [.stalled])
        #expect(bench.restarts() == [])
    }

    @Test func filesThatDoNotGrowAreToldAndCostNoRestart() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.play(.seconds(12), growsFiles: false)
        #expect(codes(bench.verdict()) == [.filesNotGrowing] && bench.verdict()?.status == .failing)
        #expect(bench.restarts() == [])
        bench.play(.seconds(4))
        #expect(bench.verdict()?.status == .ok)
    }

    @Test func aSilentWorkerIsToldAndLeftToItsSupervisor() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.pass(.seconds(9))
        #expect(codes(bench.verdict()) == [.workerSilent])
        bench.pass(.seconds(60))
        #expect(bench.restarts() == [])
        bench.play(.seconds(4))
        #expect(bench.verdict()?.status == .ok)
    }

    @Test func anIdleCameraIsWellAndAnAbsentWorkerIsNot() {
        let bench = HealthBench()
        #expect(bench.verdict() == nil)
        bench.online()
        bench.step(.streamReported(HealthBench.front, bench.stream(.idle)))
        bench.pass(.seconds(3600))
        #expect(bench.verdict()?.status == .ok)
        bench.step(.availabilityReported(HealthBench.front, .offline))
        #expect(bench.verdict()?.status == .offline && codes(bench.verdict()) == [.workerOffline])
        bench.pass(.seconds(3600))
        #expect(bench.restarts() == [])
    }

    @Test func whatTheWorkerSaysItselfIsPartOfTheVerdict() {
        let bench = HealthBench()
        bench.record()
        let refused = CodedError(.sourceUnavailable, "connection refused")
        bench.step(.streamReported(HealthBench.front, bench.stream(.failed, error: refused)))
        let full = RecordingState(state: .failed, error: PublishedError(CodedError(.storageFull, "no space")))
        bench.step(.recordingReported(HealthBench.front, full))
        #expect(codes(bench.verdict()) == [.sourceFailed, .storageFull])
        #expect(bench.verdict()?.reasons.first?.message == "connection refused")
        bench.pass(.seconds(600))
        #expect(bench.restarts() == [], "the worker tries by itself")
    }

    @Test func aSourceThatNeverGetsGoingIsRestarted() {
        let bench = HealthBench()
        bench.online()
        bench.step(.streamReported(HealthBench.front, bench.stream(.starting)))
        // A worker may be told to wait for 300 s.
        bench.pass(.seconds(314))
        #expect(bench.restarts() == [] && bench.verdict()?.status == .ok)
        bench.pass(.seconds(2))
        #expect(codes(bench.verdict()) == [.startingTooLong] && bench.restarts().count == 1)
        // It is still starting, but anew.
        for restart in 1..<RestartPlan.attemptsMax {
            bench.step(.streamReported(HealthBench.front, bench.stream(.starting, restarts: restart)))
            #expect(bench.verdict()?.status == .ok)
            bench.pass(.seconds(314))
            #expect(bench.restarts().count == restart && bench.verdict()?.status == .ok)
            bench.pass(.seconds(2))
            #expect(codes(bench.verdict()) == [.startingTooLong] && bench.restarts().count == restart + 1)
        }
    }

    @Test func aSlowDiskAndDroppedFramesAreWorrying() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(10))
        bench.play(.seconds(10), dropped: 12, partWrite: 3)
        #expect(bench.verdict()?.status == .degraded && codes(bench.verdict()) == [.storageSlow, .droppingFrames])
        bench.play(.seconds(10))
        #expect(bench.verdict()?.status == .ok)
    }

    @Test func aProcessThatBeginsAgainAndAgainIsDegraded() {
        let bench = HealthBench()
        for start in 0..<4 {
            bench.online(1_800_000_000_000 + Int64(start) * 1000, session: "\(start)")
            bench.pass(.seconds(20))
        }
        #expect(bench.serviceVerdict()?.status == .degraded && bench.serviceVerdict()?.restarts1h == 3)
        #expect(bench.serviceVerdict()?.reasons.map(\.code) == [.rebootLoop])
        bench.pass(RebootLoop.window)
        #expect(bench.serviceVerdict()?.status == .ok)
        let late = HealthBench.service(.offline, started: 1_800_000_001_000, session: "1")
        bench.step(.serviceReported(HealthBench.worker, late, sentAt: nil))
        #expect(bench.serviceVerdict()?.status == .ok, "a late will of an older session")
        let gone = HealthBench.service(.offline, started: 1_800_000_003_000, session: "3")
        bench.step(.serviceReported(HealthBench.worker, gone, sentAt: nil))
        #expect(bench.serviceVerdict()?.status == .offline)
    }

    /// An operator's restarts and changes of the settings are no loop; deaths at the same pace are one.
    @Test(arguments: [true, false]) func onlyAnEndInOrderIsForgiven(isOrderly: Bool) {
        let bench = HealthBench()
        for start in 0..<Int64(4) {
            let (started, session) = (1_800_000_000_000 + start * 20_000, "\(start)")
            bench.online(started, session: session)
            bench.pass(.seconds(10))
            let will = HealthBench.service(.offline, started: started, session: session)
            if isOrderly {
                let farewell = HealthBench.service(.offline, started: started, session: session, orderly: true)
                bench.step(.serviceReported(HealthBench.worker, farewell, sentAt: nil))
            }
            // A broker may send the will behind the farewell.
            bench.step(.serviceReported(HealthBench.worker, will, sentAt: nil))
            #expect(bench.serviceVerdict()?.reasons.map(\.code).first == .serviceOffline)
            bench.pass(.seconds(10))
        }
        bench.online(1_800_000_100_000, session: "last")
        #expect(bench.serviceVerdict()?.status == (isOrderly ? .ok : .degraded))
        #expect(bench.serviceVerdict()?.reasons.map(\.code) == (isOrderly ? [] : [.rebootLoop]))
        #expect(bench.serviceVerdict()?.restarts1h == (isOrderly ? 0 : 4))
    }

    @Test func whoDoesNotLeadSaysAndDoesNothing() {
        let bench = HealthBench(leading: false)
        bench.step(.busConnected)
        let other = HealthLeader(instance: InstanceID(unchecked: "barn"), term: 3, renewal: 1, leaseSeconds: 10)
        bench.step(.leaderReported(other))
        bench.record()
        bench.play(.seconds(6))
        bench.play(.seconds(2), fps: 0, growsFiles: false)
        #expect(bench.take().filter { if case .wake = $0 { false } else { true } } == [])
        // Its will: this one takes over and tells everything it knows.
        let barn = ServiceAddress(.healthMonitor, InstanceID(unchecked: "barn"))
        let gone = HealthBench.service(.offline, started: 1, session: "b")
        bench.step(.serviceReported(barn, gone, sentAt: nil))
        bench.pass(.seconds(2))
        #expect(bench.core.leads(at: bench.now.monotonic))
        #expect(bench.verdict() != nil && bench.serviceVerdict() != nil && bench.nodeVerdict() != nil)
    }

    /// What a leader before has found out about a camera is not found out again at the camera's cost.
    @Test func aTakeoverKeepsTheBreaker() {
        let bench = HealthBench(leading: false)
        bench.step(.busConnected)
        let until = bench.now.wall + .seconds(300)
        bench.step(
            .verdictReported(HealthBench.front, CameraHealth(status: .failing, backoffUntil: until, breaker: .open)))
        bench.pass(.seconds(6))
        bench.record()
        bench.play(.seconds(20))
        bench.play(.seconds(60), fps: 0, growsFiles: false)
        #expect(codes(bench.verdict()) == [.stalled] && bench.verdict()?.breaker == .open)
        #expect(bench.restarts() == [])
    }

    @Test func aFleetOfManyIsBounded() {
        let bench = HealthBench()
        for index in 0..<(HealthCore.camerasMax + 50) {
            bench.step(.availabilityReported(CameraID(unchecked: "c\(index)"), .online))
        }
        let told = bench.take().filter { if case .publishCamera = $0 { true } else { false } }
        #expect(told.count == HealthCore.camerasMax)
    }
}
