import BusContract
import CaptureWorkerCore
import CaptureWorkerShell
import ClusterConfig
import Domain
import Logging
import Testing

/// Live view in a worker's Core, event by event.
@Suite struct ViewingTests {
    private func bench(
        _ publishing: WorkerSettings.Publishing = .onDemand, closeAfter: Duration = .seconds(300)
    ) -> CoreBench {
        var bench = CoreBench { settings in
            settings.publishing = publishing
            settings.viewURL = "rtsp://10.0.0.2:8554/front"
            settings.policies.viewing.closeAfter = closeAfter
        }
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    @Test func aViewerOfAnIdleCameraGetsItsStreamPublished() {
        var bench = bench()
        let (token, effects) = bench.view(.mediaServer)
        #expect(effects.contains(.openSource(run: 1, via: .camera)))
        #expect(effects.viewing?.state == .starting)
        let active = bench.step(.keyFrameCame(run: 1), after: .milliseconds(200))
        #expect(active.contains(.openPublisher(run: 1)))
        #expect(active.answer(to: token) == nil)
        let published = bench.step(.publisherConnected(run: 1), after: .milliseconds(50))
        #expect(published.viewing?.state == .active)
        guard case .success(.viewing(let result))? = published.answer(to: token) else {
            Issue.record("no answer: \(published)")
            return
        }
        #expect(result.state == .active && result.urls == ["rtsp://10.0.0.2:8554/front"])
        #expect(result.startedInSeconds == 0.25)
    }

    @Test func theStreamClosesAfterTheLastViewerAndTheLastLook() {
        var bench = bench()
        _ = bench.view(.mediaServer)
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.step(.publisherConnected(run: 1))
        let left = bench.command(.viewing(.stop(holder: .mediaServer)), after: .seconds(5)).effects
        #expect(left.viewing?.state == .closing && left.viewing?.closesAt == bench.now.wall + .seconds(300))
        #expect(!left.contains(.closeSource) && !left.contains(.closePublisher))
        let due = bench.step(.woke, after: .seconds(300))
        #expect(due.contains(.lookAtReaders))
        #expect(!due.contains(.closePublisher) && !due.contains(.closeSource))
        let over = bench.step(.readersCounted(0), after: .milliseconds(10))
        #expect(over.contains(.closePublisher) && over.contains(.closeSource))
        #expect(over.viewing?.state == .off && over.stream?.state == .idle)
    }

    @Test func whoCameInSinceIsFoundByTheLastLook() {
        var bench = bench()
        _ = bench.view(.mediaServer)
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.step(.publisherConnected(run: 1))
        _ = bench.command(.viewing(.stop(holder: .mediaServer)))
        _ = bench.step(.woke, after: .seconds(300))
        let found = bench.step(.readersCounted(1))
        #expect(found.contains(.requestKeyFrame), "the count that is published next is no rise any more")
        #expect(!found.contains(.closePublisher) && !found.contains(.closeSource))
        let again = bench.view(.mediaServer, after: .seconds(1)).effects
        #expect(again.viewing?.state == .active)
        #expect(bench.step(.woke, after: .seconds(60)).contains(.lookAtReaders) == false)
    }

    @Test func aLookThatNobodyAnswersKeepsNothingOpen() {
        var bench = bench()
        _ = bench.view(.mediaServer)
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.command(.viewing(.stop(holder: nil)))
        #expect(bench.step(.woke, after: .seconds(300)).contains(.lookAtReaders))
        let over = bench.step(.woke, after: WorkerCore.lookTimeout)
        #expect(over.contains(.closePublisher) && over.contains(.closeSource))
        #expect(bench.step(.readersCounted(2)).isEmpty, "too late")
    }

    /// The lease has ended, and its close-after with it, though somebody watched when that was told last.
    private func benchAtTheLastLook(readers: Int) -> (CoreBench, [WorkerEffect]) {
        var bench = bench()
        _ = bench.view(.mediaServer)
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.step(.publisherConnected(run: 1))
        _ = bench.step(.readersReported(readers))
        _ = bench.command(.viewing(.stop(holder: .mediaServer)))
        let effects = bench.step(.woke, after: .seconds(300))
        return (bench, effects)
    }

    /// Broker or config-writer are away: the lease could not be renewed, and the viewers are still there.
    @Test(arguments: [true, false]) func whoWatchesIsNotCutOffBecauseNobodyCanCount(_ isRefused: Bool) {
        var (bench, effects) = benchAtTheLastLook(readers: 2)
        var looks = 0
        let begin = bench.now.monotonic
        while !effects.contains(.closePublisher), bench.now.monotonic - begin < .seconds(7200) {
            looks += effects.contains(.lookAtReaders) ? 1 : 0
            if effects.contains(.lookAtReaders), isRefused {
                effects = bench.step(.readersCounted(nil), after: .milliseconds(10))
            } else {
                effects = bench.step(.woke, after: .seconds(1))
            }
        }
        let kept = bench.now.monotonic - begin
        #expect(kept >= WorkerCore.unansweredMax && kept < WorkerCore.unansweredMax + .seconds(60), "\(kept)")
        #expect(looks > 100 && looks < 300)
        #expect(effects.contains(.closeSource))
    }

    @Test func whenSomebodyCanCountAgainTheEmptyStreamCloses() {
        var (bench, effects) = benchAtTheLastLook(readers: 1)
        #expect(effects.contains(.lookAtReaders))
        #expect(!bench.step(.readersCounted(nil)).contains(.closePublisher))
        #expect(bench.step(.woke, after: WorkerCore.unansweredPause).contains(.lookAtReaders))
        #expect(bench.step(.readersCounted(0), after: .milliseconds(10)).contains(.closePublisher))
    }

    /// The media server tells of its last reader's leaving after 2 s; whoever comes before that is held in silence.
    @Test func aStreamOnDemandOutlivesTheServersOwnCloseAfter() {
        var bench = bench(closeAfter: .zero)
        _ = bench.view(.mediaServer)
        _ = bench.step(.keyFrameCame(run: 1))
        #expect(!bench.command(.viewing(.stop(holder: nil))).effects.contains(.closeSource))
        #expect(bench.step(.woke, after: .seconds(3)).isEmpty)
        #expect(bench.step(.woke, after: .seconds(1)).contains(.lookAtReaders))
    }

    @Test func withoutAMediaServerALeaseOnlyKeepsTheStreamOpen() {
        var bench = bench(.never, closeAfter: .zero)
        let (token, _) = bench.view()
        let active = bench.step(.keyFrameCame(run: 1))
        #expect(active.viewing?.state == .active)
        #expect(active.viewing?.urls == [], "nothing is published where that leads")
        guard case .success(.viewing(let result))? = active.answer(to: token) else {
            Issue.record("no answer: \(active)")
            return
        }
        #expect(result.state == .active && result.urls == [])
        #expect(bench.command(.viewing(.stop(holder: nil))).effects.contains(.closeSource))
    }

    /// It publishes nothing itself, and the player finds the camera there all the same.
    @Test func whatTheMediaServerReadsItselfHasItsAddress() {
        var bench = CoreBench { settings in
            settings.readsFromMediaServer = true
            settings.viewURL = "rtsp://10.0.0.2:8554/front"
        }
        _ = bench.step(.started(nil, tail: nil))
        _ = bench.view()
        #expect(bench.step(.keyFrameCame(run: 1)).viewing?.urls == ["rtsp://10.0.0.2:8554/front"])
    }

    @Test func whatIsAlwaysPublishedFollowsTheStream() throws {
        var bench = bench(.always)
        let started = bench.start().effects
        #expect(!started.contains(.openPublisher(run: 1)))
        #expect(bench.step(.keyFrameCame(run: 1)).contains(.openPublisher(run: 1)))
        let lost = bench.step(.sourceFailed(CodedError(.timeout, "x"), run: 1))
        #expect(lost.contains(.closePublisher))
        _ = bench.step(.woke, after: .seconds(1))
        #expect(bench.step(.keyFrameCame(run: 2)).contains(.openPublisher(run: 2)))
    }

    @Test func aLostMediaServerIsTriedAgainAndCostsTheRecordingNothing() throws {
        var bench = bench()
        _ = bench.view()
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.step(.publisherConnected(run: 1))
        let error = CodedError(.mediaServerUnavailable, "gone")
        let lost = bench.step(.publisherFailed(error, run: 1), after: .seconds(60))
        #expect(lost.contains(.closePublisher) && lost.viewing?.state == .failed)
        #expect(!lost.contains(.closeSource) && lost.recording == nil)
        var waits: [Duration] = []
        for run in 2...12 {
            let wake = try #require(bench.core.nextWake)
            waits.append(wake - bench.now.monotonic)
            #expect(bench.step(.woke, after: wake - bench.now.monotonic).contains(.openPublisher(run: run)))
            _ = bench.step(.publisherFailed(error, run: run))
        }
        #expect(waits.allSatisfy { $0 <= .milliseconds(2400) }, "a server that is back has its streams soon")
        #expect(waits[0] <= .milliseconds(120), "the first attempt is at once")
        #expect(bench.step(.publisherFailed(error, run: 3)).isEmpty, "an older connection has nothing to say")
    }

    /// Whoever asks for the picture, or the server that is back, does not wait for the end of a pause; nor does
    /// anybody's insisting bring the attempts closer than the shortest one.
    @Test func aDemandOrTheServersReturnEndsThePause() throws {
        var bench = CoreBench { settings in
            settings.publishing = .onDemand
            // So that no answer is due in between.
            settings.policies.viewing.startTimeout = .seconds(300)
        }
        _ = bench.step(.started(nil, tail: nil))
        _ = bench.view()
        _ = bench.step(.keyFrameCame(run: 1))
        let error = CodedError(.mediaServerUnavailable, "gone")
        func fail(_ bench: inout CoreBench) throws -> Duration {
            _ = bench.step(.publisherFailed(error, run: bench.core.publisherRun))
            return try #require(bench.core.nextWake) - bench.now.monotonic
        }
        for _ in 0..<8 {
            _ = bench.step(.woke, after: try fail(&bench))
        }
        #expect(try fail(&bench) > .seconds(1))
        for _ in 0..<3 { _ = bench.view(.mediaServer, after: .milliseconds(30)) }
        let next = bench.core.publisherRun + 1
        #expect(bench.step(.woke, after: .milliseconds(39)).contains(.openPublisher(run: next)) == false)
        #expect(bench.step(.woke, after: .milliseconds(1)).contains(.openPublisher(run: next)))
        #expect(try fail(&bench) > .seconds(1))
        _ = bench.step(.readersReported(nil))
        #expect(try #require(bench.core.nextWake) - bench.now.monotonic > .seconds(1))
        _ = bench.step(.readersReported(0))
        #expect(bench.step(.woke, after: .milliseconds(100)).contains(.openPublisher(run: next + 1)))
    }

    @Test func aViewThatDoesNotBeginIsRefusedWithItsReason() {
        var bench = bench()
        let (token, _) = bench.view()
        _ = bench.step(.keyFrameCame(run: 1))
        _ = bench.step(.publisherFailed(CodedError(.mediaServerUnavailable, "refused"), run: 1), after: .seconds(9))
        let late = bench.step(.woke, after: .seconds(1))
        #expect(late.refusal(of: token) == .mediaServerUnavailable)
        #expect(bench.core.isLeased(.viewing), "the lease is kept")
    }

    @Test func newReadersGetAKeyFrame() {
        var bench = bench()
        _ = bench.view()
        _ = bench.step(.keyFrameCame(run: 1))
        #expect(bench.step(.readersReported(1)).contains(.requestKeyFrame))
        #expect(!bench.step(.readersReported(1)).contains(.requestKeyFrame))
        #expect(bench.step(.readersReported(2)).contains(.requestKeyFrame))
        #expect(!bench.step(.readersReported(1)).contains(.requestKeyFrame))
        #expect(!bench.step(.readersReported(nil)).contains(.requestKeyFrame))
        // One took another's place, or began after it was counted.
        _ = bench.step(.readersReported(1, total: 7))
        #expect(!bench.step(.readersReported(1, total: 7)).contains(.requestKeyFrame))
        #expect(bench.step(.readersReported(1, total: 8)).contains(.requestKeyFrame))
        #expect(!bench.step(.readersReported(0, total: 8)).contains(.requestKeyFrame))
        #expect(bench.step(.readersReported(1, total: 1)).contains(.requestKeyFrame), "the config-writer is another")
        #expect(!bench.step(.readersReported(0, total: 2)).contains(.requestKeyFrame), "nobody is there any more")
    }

    /// A worker that reads from the media server is one of its readers and watches nothing.
    @Test func theWorkerItselfIsNoViewer() {
        var bench = CoreBench { $0.readsFromMediaServer = true }
        _ = bench.step(.started(nil, tail: nil))
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1))
        let alone = bench.step(.readersReported(1, total: 1))
        #expect(alone.viewing?.viewers == 0 && !alone.contains(.requestKeyFrame))
        #expect(bench.step(.readersReported(3)).viewing?.viewers == 2)
        _ = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "gone"), run: 1))
        _ = bench.step(.woke, after: .seconds(1))
        _ = bench.step(.keyFrameCame(run: 2))
        #expect(bench.step(.readersReported(1)).viewing?.viewers == 1, "it reads from the camera")
    }

    @Test(arguments: [Duration.zero, .seconds(20)])
    func whatIsAlwaysPublishedLooksAtTheReadersBeforeItCloses(closeAfter: Duration) {
        var bench = CoreBench { settings in
            settings.publishing = .always
            settings.policies.recording.closeAfter = closeAfter
        }
        _ = bench.step(.started(nil, tail: nil))
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1))
        #expect(!bench.command(.recording(.stop(holder: nil))).effects.contains(.closePublisher))
        let due = bench.step(.woke, after: max(closeAfter, .milliseconds(1)))
        #expect(due.contains(.lookAtReaders) && !due.contains(.closePublisher))
        #expect(!bench.step(.readersCounted(1)).contains(.closePublisher))
        #expect(bench.step(.woke, after: WorkerCore.readersGrace).contains(.lookAtReaders))
        #expect(bench.step(.readersCounted(0)).contains(.closePublisher))
        #expect(bench.core.streamState == .idle)
    }

    /// It costs the live view, not the recording.
    @Test func aLoginThatNoAddressCanCarryIsNoMediaServer() {
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        func reachable(_ user: String?, _ password: String = "hush") -> Bool {
            let settings = MediaServerSettings(username: user, password: user.map { _ in Secret(password) })
            return CaptureWorker.reachable(settings, for: CoreBench.camera, logger: logger) == settings
        }
        #expect(reachable(nil) && reachable("a"))
        #expect(!reachable("a:b") && !reachable("") && !reachable("a", String(repeating: "b", count: 126)))
        #expect(CaptureWorker.reachable(nil, for: CoreBench.camera, logger: logger) == nil)
    }

    @Test func viewingLeasesOutliveTheWorker() throws {
        var bench = bench()
        let memory = try #require(bench.view(.mediaServer, duration: .seconds(300)).effects.remembered)
        var next = CoreBench { $0.publishing = .onDemand }
        next.now = bench.now + .seconds(1)
        let effects = next.step(.started(memory, tail: nil))
        #expect(effects.contains(.openSource(run: 1, via: .camera)))
        #expect(effects.viewing?.leases.map(\.holder) == [.mediaServer])
    }
}
