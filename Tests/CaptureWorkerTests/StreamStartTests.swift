import BusContract
import CaptureWorkerCore
import Domain
import Testing

/// What a start of the source owes to each of those who wait for it.
@Suite struct StreamStartTests {
    @Test func aRecordingThatJoinsASnapshotsStartHasItsOwnTime() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (picture, _) = bench.command(.snapshot(SnapshotCommand()))
        bench.now = bench.now + .seconds(1)
        let (start, begun) = bench.start()
        let session = try #require(begun.begun?.session)
        let due = bench.step(.woke, after: .seconds(4))
        #expect(due.refusal(of: picture) == .sourceUnavailable, "each waits for as long as its own policy says")
        #expect(!due.contains(.closeSource))
        _ = bench.step(.keyFrameCame(run: 1), after: .seconds(3))
        _ = bench.step(bench.opened(session, index: 0, firstFrame: 0))
        let done = bench.step(.firstPartWritten(session, index: 0), after: .milliseconds(50))
        guard case .success(.recording(let result))? = done.answer(to: start) else {
            Issue.record("no reply in \(done)")
            return
        }
        #expect(result.state == .recording && result.startedInSeconds == 7.05)
    }

    private static let demands: [CameraCommand] = [
        .recording(.start(holder: .manual, duration: nil, preroll: nil)),
        .viewing(.start(holder: .manual, duration: .seconds(600))), .snapshot(SnapshotCommand()),
    ]

    /// The wish is the same before and after: only the command tells that somebody wants it.
    @Test(arguments: demands) func aSourceThatIsNotRestartedIsTriedAgainForWhoeverAsks(demand: CameraCommand) {
        var bench = CoreBench { settings in
            settings.publishing = .onDemand
            let policy = UseCasePolicy(closeAfter: .zero, restart: false, startTimeout: .seconds(10))
            (settings.policies.recording, settings.policies.viewing) = (policy, policy)
            settings.policies.snapshot = policy
        }
        _ = bench.step(.started(nil, tail: nil))
        let (first, _) = bench.view()
        let error = CodedError(.sourceUnavailable, "unplugged")
        let failed = bench.step(.sourceFailed(error, run: 1), after: .seconds(1))
        #expect(failed.stream?.state == .failed && failed.stream?.retryAt == nil)
        let refused = bench.step(.woke, after: .seconds(9))
        guard case .failure(let reason)? = refused.answer(to: first) else {
            Issue.record("no refusal in \(refused)")
            return
        }
        #expect(reason.description.contains("the next command tries the source again"), "\(reason)")
        for run in 2...3 {
            let (token, effects) = bench.command(demand, after: .seconds(60))
            #expect(effects.contains(.openSource(run: run, via: .camera)))
            #expect(effects.stream?.state == .starting && effects.answer(to: token) == nil)
            let again = bench.step(.sourceFailed(error, run: run), after: .seconds(1))
            #expect(again.contains(.closeSource) && bench.core.isLeased(.viewing))
        }
        let effects = bench.command(demand, after: .seconds(60)).effects
        #expect(effects.contains(.openSource(run: 4, via: .camera)))
        #expect(bench.step(.keyFrameCame(run: 4), after: .seconds(1)).stream?.state == .active)
    }
}
