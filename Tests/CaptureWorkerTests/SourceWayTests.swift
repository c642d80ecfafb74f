import BusContract
import Domain
import Testing

@testable import CaptureWorkerCore

/// Which way a worker takes to a camera that the media server reads, event by event.
@Suite struct SourceWayTests {
    private static let refusal = CodedError(.sourceUnavailable, "refused")

    private func bench(_ change: (inout WorkerSettings) -> Void = { _ in }) -> CoreBench {
        var bench = CoreBench { settings in
            settings.readsFromMediaServer = true
            change(&settings)
        }
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    @Test func aCameraOfTheMediaServerIsReadThereAndFromTheCameraWhileItIsAway() {
        var bench = bench()
        _ = bench.step(.readersReported(nil))
        #expect(bench.start().effects.contains(.openSource(run: 1, via: .mediaServer)))
        _ = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "refused"), run: 1))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 2, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 2))
        _ = bench.step(.sourceFailed(CodedError(.timeout, "silent"), run: 2), after: .seconds(60))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 3, via: .mediaServer)))
        _ = bench.step(.sourceFailed(CodedError(.timeout, "silent"), run: 3))
        #expect(
            bench.command(.restart(RestartCommand())).effects.contains(.openSource(run: 4, via: .mediaServer)))
    }

    /// One that has failed is no reason to do without the media server for good.
    @Test func theNextStartFromIdleTakesTheMediaServerAgain() {
        var bench = bench()
        _ = bench.step(.readersReported(nil))
        _ = bench.start()
        _ = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "refused"), run: 1))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 2, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 2))
        #expect(bench.command(.recording(.stop(holder: nil))).effects.stream?.state != .active)
        _ = bench.step(.woke, after: .seconds(60))
        #expect(bench.core.streamState == .idle)
        #expect(bench.start().effects.contains(.openSource(run: 3, via: .mediaServer)))
    }

    /// The media server may be starting like this node, and then has the camera soon.
    @Test func whileNobodyKnowsTheMediaServerItIsTriedAFewTimes() {
        var bench = bench { $0.recordsAlways = true }
        for run in 1..<SourceWay.triesMax {
            _ = bench.step(.sourceFailed(Self.refusal, run: run), after: .milliseconds(20))
            #expect(
                bench.step(.woke, after: .seconds(2)).contains(.openSource(run: run + 1, via: .mediaServer)))
        }
        _ = bench.step(.sourceFailed(Self.refusal, run: 4), after: .milliseconds(20))
        #expect(bench.step(.woke, after: .seconds(4)).contains(.openSource(run: 5, via: .camera)))
    }

    @Test func aStartIsTriedTwiceBeforeTheCameraIsTaken() {
        var bench = bench { $0.recordsAlways = true }
        _ = bench.step(.readersReported(0))
        #expect(bench.core.run == 1)
        _ = bench.step(.sourceFailed(Self.refusal, run: 1), after: .milliseconds(20))
        #expect(bench.step(.woke, after: .milliseconds(500)).contains(.openSource(run: 2, via: .mediaServer)))
        _ = bench.step(.sourceFailed(Self.refusal, run: 2), after: .milliseconds(20))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 3, via: .camera)))
    }

    @Test func aStartThatTookLongIsNotTriedTwice() {
        var bench = bench()
        _ = bench.start()
        _ = bench.step(.sourceFailed(Self.refusal, run: 1), after: .milliseconds(2600))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 2, via: .camera)))
    }

    /// A recording that had its pictures waits for nothing.
    @Test func whatFailsWhileItRunsIsLeftAtOnce() throws {
        var bench = bench()
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1), after: .milliseconds(100))
        _ = bench.step(.sourceFailed(Self.refusal, run: 1), after: .milliseconds(100))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 2, via: .camera)))
    }

    /// Up to a stream that runs from the camera, the media server being away.
    private func takeCamera(_ bench: inout CoreBench, run: Int = 1) {
        _ = bench.step(.readersReported(nil))
        _ = bench.step(.sourceFailed(Self.refusal, run: run))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: run + 1, via: .camera)))
        _ = bench.step(.keyFrameCame(run: run + 1))
    }

    @Test func aViewerIsTakenBackToTheMediaServerAtOnce() {
        var bench = bench()
        _ = bench.view()
        takeCamera(&bench)
        let back = bench.step(.readersReported(0), after: .seconds(60))
        #expect(back.contains(.closeSource) && back.contains(.openSource(run: 3, via: .mediaServer)))
        _ = bench.step(.keyFrameCame(run: 3), after: .seconds(1))
        let more = bench.step(.readersReported(1)) + bench.step(.woke, after: .seconds(60))
        #expect(!more.contains(.closeSource), "once")
    }

    @Test func preRollIsTakenBackAtOnceAndARecordingAtItsEnd() {
        var bench = bench { $0.preroll = .seconds(5) }
        takeCamera(&bench)
        _ = bench.start()
        let during = bench.step(.readersReported(0), after: .seconds(60)) + bench.step(.woke, after: .seconds(600))
        #expect(!during.contains(.closeSource), "a recording loses nothing for it")
        let ended = bench.command(.recording(.stop(holder: nil))).effects
        let order = ended.filter { [.endSession(.stop), .closeSource].contains($0) || $0.opensSource }
        #expect(order == [.endSession(.stop), .closeSource, .openSource(run: 3, via: .mediaServer)])
        // Away again, and back: nothing is recorded.
        _ = bench.step(.keyFrameCame(run: 3))
        takeCamera(&bench, run: 3)
        #expect(bench.step(.readersReported(0)).contains(.openSource(run: 5, via: .mediaServer)))
    }

    /// It answers and cannot have the camera: the end of a recording is another chance, and not each of them, for
    /// nothing comes of the camera while it is tried.
    @Test func aReturnThatFailedIsTriedAgainAfterALaterRecording() {
        var bench = bench { $0.preroll = .seconds(5) }
        takeCamera(&bench)
        #expect(bench.step(.readersReported(0)).contains(.openSource(run: 3, via: .mediaServer)))
        _ = bench.step(.sourceFailed(Self.refusal, run: 3), after: .seconds(5))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 4, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 4))
        #expect(!bench.step(.readersReported(1), after: .seconds(5)).contains(.closeSource), "it was there all along")
        for pause in [Duration.seconds(60), .seconds(500)] {
            _ = bench.start()
            #expect(!bench.command(.recording(.stop(holder: nil)), after: pause).effects.contains(.closeSource))
        }
        _ = bench.start()
        let ended = bench.command(.recording(.stop(holder: nil)), after: .seconds(60)).effects
        #expect(ended.contains(.openSource(run: 5, via: .mediaServer)))
        // The next pause is longer, unless the server was away.
        _ = bench.step(.sourceFailed(Self.refusal, run: 5), after: .seconds(5))
        #expect(bench.step(.woke, after: .seconds(4)).contains(.openSource(run: 6, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 6))
        _ = bench.start()
        #expect(!bench.command(.recording(.stop(holder: nil)), after: .seconds(900)).effects.contains(.closeSource))
        _ = bench.step(.readersReported(nil))
        #expect(bench.step(.readersReported(0)).contains(.openSource(run: 7, via: .mediaServer)))
    }

    @Test func aSnapshotHasItsPictureFirst() {
        var bench = bench()
        _ = bench.view()
        takeCamera(&bench)
        let asked = bench.command(.snapshot(SnapshotCommand())).effects
        #expect(asked.contains(.takeSnapshot(job: 1, [SnapshotCommand()])))
        #expect(!bench.step(.readersReported(0)).contains(.closeSource))
        let taken = bench.step(.snapshotTaken(job: 1, .failure(CodedError(.storageFull, "no room"))))
        #expect(taken.contains(.openSource(run: 3, via: .mediaServer)))
    }

    @Test func aCameraOfTheWorkersOwnHasOneWay() {
        var bench = bench { $0.readsFromMediaServer = false }
        _ = bench.view()
        _ = bench.step(.readersReported(nil))
        _ = bench.step(.keyFrameCame(run: 1))
        #expect(!bench.step(.readersReported(0)).contains(.closeSource))
        _ = bench.step(.sourceFailed(Self.refusal, run: 1))
        #expect(bench.step(.woke, after: .seconds(1)).contains(.openSource(run: 2, via: .camera)))
    }
}

extension WorkerEffect {
    fileprivate var opensSource: Bool { if case .openSource = self { true } else { false } }
}
