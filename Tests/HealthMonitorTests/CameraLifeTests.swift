import BusContract
import Domain
import HealthMonitorCore
import Testing

/// Lives of workers, of the connection and of cameras: what belongs to an earlier one is no trouble of the present one.
@Suite struct CameraLifeTests {
    private func codes(_ health: CameraHealth?) -> [HealthReason.Code]? { health?.reasons.map(\.code) }

    @Test func aWorkerThatIsBackIsNotJudgedByItsEarlierLife() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.step(.recordingReported(HealthBench.front, RecordingState(state: .starting)))
        bench.step(.availabilityReported(HealthBench.front, .offline))
        bench.pass(.seconds(120))
        _ = bench.take()
        bench.step(.availabilityReported(HealthBench.front, .online))
        bench.pass(.milliseconds(200))
        bench.step(.streamReported(HealthBench.front, bench.stream(.starting)))
        bench.pass(.seconds(2))
        bench.record()
        bench.play(.seconds(60))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [])
        #expect(bench.restarts() == [])
    }

    /// What a failed worker has said of its source does not stand for the next one.
    @Test func aFailureOfAnEarlierWorkerIsNotToldOfTheNextOne() {
        let bench = HealthBench()
        bench.record()
        let refused = CodedError(.sourceUnavailable, "connection refused")
        bench.step(.streamReported(HealthBench.front, bench.stream(.failed, error: refused)))
        bench.step(.availabilityReported(HealthBench.front, .offline))
        bench.pass(.seconds(2))
        bench.step(.availabilityReported(HealthBench.front, .online))
        #expect(bench.verdict()?.status == .ok && codes(bench.verdict()) == [])
    }

    /// A will that comes late is overruled by the worker with its presence alone: its states are not said again.
    @Test func aLateWillCostsNothingThatIsKnown() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.step(.availabilityReported(HealthBench.front, .offline))
        bench.pass(.milliseconds(300))
        bench.step(.availabilityReported(HealthBench.front, .online))
        bench.play(.seconds(30))
        #expect(bench.verdict()?.status == .ok)
        bench.play(.seconds(70), fps: 0, growsFiles: false)
        #expect(codes(bench.verdict()) == [.stalled])
    }

    @Test(arguments: [9, 60, 600]) func anOutageOfTheBrokerIsNoTroubleOfACamera(seconds: Int) {
        let bench = HealthBench()
        bench.record()
        bench.step(.viewingReported(HealthBench.front, ViewingState(state: .active)))
        bench.mediaServer(path: MediaServerState.Path(ready: true, viewers: 1, bytes: 1000))
        bench.play(.seconds(20))
        bench.step(.busLost)
        bench.pass(.seconds(seconds))
        _ = bench.take()
        bench.step(.busConnected)
        // Retained and as before, but for statistics, which come when they come.
        bench.record()
        bench.pass(.seconds(4))
        bench.play(.seconds(10))
        #expect(bench.core.leads(at: bench.now.monotonic))
        #expect(bench.verdict()?.status == .ok && bench.complaints() == [], "\(bench.complaints())")
        #expect(bench.restarts() == [])
    }

    @Test func aWorkerThatStaysSilentAfterAnOutageIsTold() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(20))
        bench.step(.busLost)
        bench.pass(.seconds(60))
        _ = bench.take()
        bench.step(.busConnected)
        bench.pass(.seconds(6))
        #expect(bench.verdict() == nil, "nothing was heard of it yet")
        bench.online()
        bench.pass(.seconds(4))
        #expect(codes(bench.verdict()) == [.workerSilent])
        bench.pass(.seconds(120))
        #expect(!bench.take().contains(.clearCamera(HealthBench.front)), "it is there")
    }

    /// What was taken back meanwhile is not told of by a reconnect.
    @Test func aCameraThatIsRemovedDuringAnOutageLeavesNoVerdict() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.play(.seconds(4), fps: 0, growsFiles: false)
        #expect(bench.restarts().count == 1)
        bench.step(.busLost)
        bench.pass(.seconds(30))
        _ = bench.take()
        bench.step(.busConnected)
        bench.pass(.seconds(70))
        #expect(bench.core.leads(at: bench.now.monotonic))
        #expect(bench.verdict() == nil && bench.serviceVerdict() == nil && bench.restarts() == [])
        let taken = bench.take().filter { effect in
            effect == .clearCamera(HealthBench.front) || effect == .clearService(HealthBench.worker)
        }
        #expect(taken == [.clearCamera(HealthBench.front), .clearService(HealthBench.worker)], "once each")
        bench.pass(.seconds(4000))
        #expect(bench.verdict() == nil && !bench.take().contains(.clearCamera(HealthBench.front)))
        bench.record()
        bench.play(.seconds(20))
        #expect(bench.verdict()?.status == .ok, "it may come back")
    }

    /// A verdict of an earlier health-monitor on a camera that is no more is all that there is of it.
    @Test func aVerdictOnNobodyIsTakenBack() {
        let bench = HealthBench(leading: false)
        bench.step(.busConnected)
        bench.step(.verdictReported(HealthBench.front, CameraHealth(status: .failing)))
        bench.pass(.seconds(70))
        #expect(bench.verdict() == nil)
        #expect(bench.take().filter { $0 == .clearCamera(HealthBench.front) }.count == 1)
    }

    @Test func aCameraThatIsNoMoreLeavesNoVerdict() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(20))
        bench.step(.availabilityReported(HealthBench.front, .offline))
        _ = bench.take()
        bench.step(.cameraRetired(HealthBench.front))
        bench.step(.serviceRetired(HealthBench.worker))
        #expect(bench.take() == [.clearCamera(HealthBench.front), .clearService(HealthBench.worker)])
        bench.step(.restartAnswered(HealthBench.front, .unanswered))
        bench.step(.cameraRetired(HealthBench.front))
        bench.pass(.seconds(4000))
        #expect(bench.verdict() == nil && bench.serviceVerdict() == nil, "nothing is said of it again")
        #expect(!bench.take().contains(.clearCamera(HealthBench.front)), "once is enough")
        bench.record()
        bench.play(.seconds(20))
        #expect(bench.verdict()?.status == .ok, "it may come back")
    }

    @Test func whoDoesNotLeadTakesNoVerdictBack() {
        let bench = HealthBench(leading: false)
        bench.step(.busConnected)
        bench.record()
        _ = bench.take()
        bench.step(.cameraRetired(HealthBench.front))
        #expect(bench.take() == [])
    }

    @Test(arguments: [ErrorCode.internal, .conflict])
    func aRecordingThatFailedBesideARunningStreamIsNotWell(code: ErrorCode) {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(20))
        let failed = RecordingState(state: .failed, error: PublishedError(CodedError(code, "no more names")))
        bench.step(.recordingReported(HealthBench.front, failed))
        #expect(bench.verdict()?.status == .failing && codes(bench.verdict()) == [.notRecording])
        #expect(bench.verdict()?.reasons.first?.message == "no more names")
        bench.play(.seconds(60))
        #expect(bench.restarts() == [], "no restart of the source helps")
    }

    /// A source that fails again after each restart must not look like one that the restart has helped.
    @Test func aBreakerDoesNotCloseWhileTheCameraFails() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        bench.play(.seconds(200), fps: 0, growsFiles: false)
        #expect(bench.verdict()?.breaker == .open)
        let refused = CodedError(.sourceUnavailable, "connection refused")
        bench.step(.streamReported(HealthBench.front, bench.stream(.failed, error: refused)))
        bench.pass(.seconds(120))
        bench.step(.streamReported(HealthBench.front, bench.stream(.starting)))
        bench.pass(.seconds(120))
        bench.step(.availabilityReported(HealthBench.front, .offline))
        bench.pass(.seconds(120))
        #expect(bench.verdict()?.breaker == .open)
        bench.record()
        bench.play(.seconds(90))
        #expect(bench.verdict()?.breaker == .closed)
    }

    /// Until anything is known of a source it is given a minute: that is no minute in which it was well.
    @Test func aSourceThatSendsNothingAfterEachRestartIsLeftAlone() {
        let bench = HealthBench()
        bench.record()
        bench.play(.seconds(60))
        var restarts = 0
        for _ in 0..<300 where bench.verdict()?.breaker != .open {
            bench.play(.seconds(2), fps: 0, growsFiles: false)
            guard bench.restarts().count > restarts else { continue }
            restarts = bench.restarts().count
            bench.step(.streamReported(HealthBench.front, bench.stream(.starting, restarts: restarts)))
            bench.step(.streamReported(HealthBench.front, bench.stream(.active, restarts: restarts)))
        }
        #expect(restarts == RestartPlan.attemptsMax && bench.verdict()?.breaker == .open)
    }
}
