import BusContract
import Domain
import HealthMonitorCore
import TestSupport
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

    /// A day of honest jitter, of a fast camera and of those with a frame in 4 s and in 15 s: no alarm, no restart.
    @Test(arguments: [(25.0, 1.4), (0.25, 4.8), (1.0 / 15, 16.0)])
    func aDayOfJitterIsNoTrouble(fps: Double, longest: Double) {
        let bench = HealthBench()
        bench.record()
        var random = SeededRandom(seed: 4)
        var owed = 0.0
        for _ in 0..<43_200 {
            owed += fps * 2
            let frames = owed.rounded(.down)
            owed -= frames
            bench.play(.seconds(2), fps: frames / 2, interval: longest * (0.3 + 0.7 * random.unit()))
        }
        #expect(bench.restarts() == [])
        #expect(bench.take().filter { if case .tell(_, .ok, _) = $0 { false } else { $0.isVerdict } } == [])
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

    @Test func aStreamThatTheMediaServerGetsNothingOfIsWorrying() {
        let bench = HealthBench()
        bench.record()
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .active)))
        var bytes: UInt64 = 0
        func tell(grows: Bool) {
            bytes += grows ? 100_000 : 0
            let path = MediaServerState.Path(ready: true, viewers: 1, bytes: bytes)
            bench.step(
                .mediaServerReported(
                    HealthBench.attic,
                    MediaServerState(reachable: true, breaker: .closed, mode: .api, paths: ["front": path])))
        }
        for _ in 0..<6 {
            bench.play(.seconds(10))
            tell(grows: true)
        }
        #expect(bench.verdict()?.status == .ok)
        bench.play(.seconds(40))
        #expect(codes(bench.verdict()) == [.publishingStalled] && bench.verdict()?.status == .degraded)
        tell(grows: true)
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

extension HealthEffect {
    fileprivate var isVerdict: Bool { if case .tell = self { true } else { false } }
}
