import BusContract
import CaptureWorkerCore
import Domain
import Testing

@Suite struct WorkerCoreTests {
    @Test func anIdleWorkerSaysSo() {
        var bench = CoreBench()
        let effects = bench.step(.started(nil, tail: nil))
        #expect(effects.stream?.state == .idle)
        #expect(effects.recording?.state == .off)
        let result1 = bench.step(.woke)
        #expect(result1 == [])
    }

    @Test func aStartIsAnsweredWithItsFirstFrameOnDisk() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (token, effects) = bench.start()
        let session = try #require(effects.begun?.session)
        #expect(effects.contains(.openSource(run: 1, via: .camera)))
        #expect(effects.recording?.state == .starting)
        #expect(effects.answer(to: token) == nil)
        #expect(effects.remembered?.session?.id == session)
        _ = bench.step(.keyFrameCame(run: 1), after: .milliseconds(200))
        let result2 = bench.step(bench.opened(session, index: 0, firstFrame: 0))
        #expect(result2.answer(to: token) == nil)
        let done = bench.step(.firstPartWritten(session, index: 0), after: .milliseconds(50))
        guard case .success(.recording(let result))? = done.answer(to: token) else {
            Issue.record("no reply in \(done)")
            return
        }
        #expect(result.state == .recording)
        #expect(result.session == session)
        #expect(result.startedInSeconds == 0.25)
        #expect(done.recording?.state == .recording)
    }

    @Test func leasesAreWrittenBeforeAnythingElseHappens() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        guard case .remember(let memory)? = bench.start().effects.first else {
            Issue.record("the memory must come first")
            return
        }
        #expect(memory.leases.map(\.holder) == [.manual])
    }

    @Test func aStartWithoutFramesIsRefusedInTimeAndKeepsItsLease() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (token, _) = bench.start()
        _ = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "refused"), run: 1), after: .seconds(1))
        let effects = bench.step(.woke, after: .seconds(9))
        #expect(effects.refusal(of: token) == .sourceUnavailable)
        #expect(effects.stream?.leases.recording == 1)
    }

    @Test func theSessionEndsWithItsLastLease() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let (token, effects) = bench.command(.recording(.stop(holder: nil)))
        #expect(effects.contains(.endSession(.stop)))
        #expect(effects.contains(.closeSource))
        #expect(effects.recording?.state == .stopping)
        #expect(effects.answer(to: token) == nil)
        let done = bench.step(.sessionEnded(session, nil))
        #expect(done.recording?.state == .off)
        #expect(done.answer(to: token) != nil)
    }

    @Test func aStopAnswersWhatWaitedForTheSession() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (start, _) = bench.start()
        let (_, effects) = bench.command(.recording(.stop(holder: nil)))
        #expect(effects.refusal(of: start) == .conflict)
    }

    @Test func aFloodThatNobodyWaitsForLeavesRoomForTheNextCommand() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        for number in 0..<(2 * WorkerCore.waitersMax) {
            let token = CommandToken(number: 10_000 + UInt64(number), isAwaited: false)
            let command: RecordingCommand =
                number.isMultiple(of: 2)
                ? .start(holder: .manual, duration: nil, preroll: nil) : .stop(holder: nil)
            let answer = bench.step(.commanded(.recording(command), token)).answer(to: token)
            #expect(answer == nil)
        }
        let (token, effects) = bench.start()
        #expect(effects.refusal(of: token) == nil && effects.begun != nil)
    }

    @Test func aSessionThatNeverGotAFrameTellsItsGap() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        _ = bench.start()
        _ = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "refused"), run: 1), after: .seconds(1))
        let (_, effects) = bench.command(.recording(.stop(holder: nil)), after: .seconds(9))
        let gaps = effects.compactMap { if case .emitGap(let gap) = $0 { gap } else { nil } }
        #expect(gaps.map(\.cause) == [.sourceLost])
        #expect(gaps.map(\.seconds) == [10])
    }

    @Test func aLeaseWithADurationEndsByItself() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let effects = bench.start(duration: .seconds(60)).effects
        #expect(effects.recording?.leases.first?.until == bench.now.wall + .seconds(60))
        let result3 = bench.step(.woke, after: .seconds(59))
        #expect(result3.contains(.endSession(.stop)) == false)
        let result4 = bench.step(.woke, after: .seconds(1))
        #expect(result4.contains(.endSession(.stop)))
    }

    @Test func stoppingWhatDoesNotRecordIsFine() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (token, effects) = bench.command(.recording(.stop(holder: nil)))
        #expect((try? effects.answer(to: token)?.get()) != nil)
        #expect(effects.begun == nil)
    }

    @Test func commandsBeforeTheFolderIsTakenAreNotReady() {
        var bench = CoreBench()
        let (token, effects) = bench.start()
        #expect(effects == [.refuse(token, CodedError(.notReady, "the worker of front is starting or stopping"))])
    }

    // MARK: Rotation

    @Test func boundariesFollowTheClockWithoutAnyPlan() throws {
        var bench = CoreBench()
        bench.now = bench.now + .seconds(3)
        _ = bench.step(.started(nil, tail: nil))
        guard case .beginSession(_, _, let schedule, _)? = bench.start().effects.first(where: { $0.isBegin }) else {
            Issue.record("no session")
            return
        }
        #expect(schedule.interval == .seconds(10))
        #expect(schedule.next == bench.now.monotonic + .seconds(7))
    }

    @Test func anotherPlanMovesTheBoundariesAndTheSamePlanDoesNot() throws {
        var bench = CoreBench()
        _ = try bench.record()
        let next = bench.now.wall + .seconds(4)
        let plan = RotationState(intervalSeconds: 20, align: .clock, nextAt: next)
        let schedule = SegmentCutter.Schedule(next: bench.now.monotonic + .seconds(4), interval: .seconds(20))
        let result5 = bench.step(.planReceived(plan))
        #expect(result5 == [.setSchedule(schedule)])
        let result6 = bench.step(.planReceived(plan), after: .seconds(1))
        #expect(result6 == [])
    }

    @Test func aRotationIsAnsweredWithItsCut() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let (token, effects) = bench.command(.rotation(RotationCommand(at: nil)), after: .seconds(2))
        let wish = bench.now.monotonic
        #expect(effects.contains(.cut(at: wish)))
        bench.now = bench.now + .milliseconds(300)
        let cut = bench.step(bench.opened(session, index: 1, firstFrame: 9, wish: wish))
        guard case .success(.rotation(let result))? = cut.answer(to: token) else {
            Issue.record("no reply in \(cut)")
            return
        }
        #expect(result.rotated)
        #expect(result.offsetSeconds == 0.3)
        #expect(result.segment.index == 1)
    }

    @Test func aBoundaryThatWasCutIsAnsweredAndNotCutAgain() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let boundary = bench.now + .seconds(5)
        bench.now = boundary + .milliseconds(40)
        _ = bench.step(bench.opened(session, index: 1, firstFrame: 9, wish: boundary.monotonic))
        let (token, effects) = bench.command(.rotation(RotationCommand(at: boundary.wall)), after: .seconds(1))
        guard case .success(.rotation(let result))? = effects.answer(to: token) else {
            Issue.record("no reply in \(effects)")
            return
        }
        #expect(!result.rotated)
        #expect(result.segment.index == 1)
        #expect(!effects.contains { if case .cut = $0 { true } else { false } })
    }

    @Test func rotatingWhatDoesNotRecordIsRefused() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let (token, effects) = bench.command(.rotation(RotationCommand(at: nil)))
        #expect(effects.refusal(of: token) == .notReady)
    }

    @Test func aSteppedWallClockMovesNoNameBack() throws {
        var bench = CoreBench()
        let session = try bench.record()
        bench.now.wall = bench.now.wall - .seconds(3600)
        let gap = SegmentCutter.EndedGap(
            from: bench.now.monotonic - .seconds(2), to: bench.now.monotonic, cause: .sourceLost, framesLost: nil)
        let opening = SegmentCutter.Opening(
            session: session, index: 1, firstFrame: 4, time: bench.now.monotonic, sessionOffset: .seconds(1),
            wish: nil, gap: gap)
        let effects = bench.step(
            .segmentOpened(SegmentOpened(opening: opening, file: "f1", startedAt: bench.now.wall)))
        guard case .emitGap(let event)? = effects.first(where: { if case .emitGap = $0 { true } else { false } }) else {
            Issue.record("no gap in \(effects)")
            return
        }
        #expect(event.to > bench.now.wall + .seconds(3000))
    }

    // MARK: Faults

    @Test func aLostSourceIsReopenedAndTheSessionGoesOn() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let lost = bench.step(
            .sourceFailed(CodedError(.timeout, "silent"), run: 1), after: .seconds(20))
        #expect(lost.contains(.loseFrames(.sourceStalled)))
        #expect(lost.recording?.state == .failed)
        let result7 = bench.step(.woke, after: .milliseconds(300))
        #expect(result7.contains(.openSource(run: 2, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 2))
        _ = bench.step(bench.opened(session, index: 1, firstFrame: 50))
        let result8 = bench.step(.firstPartWritten(session, index: 1))
        #expect(result8 == [])
        let result9 = bench.core.handle(.woke, at: bench.now)
        #expect(result9 == [])
    }

    /// Two askers with the same count restart the source once.
    @Test func aRestartThatWasDecidedOnAnOlderCountIsRefused() throws {
        var bench = CoreBench()
        _ = try bench.record()
        let (first, done) = bench.command(.restart(RestartCommand(reason: "stalled", ifRestarts: 0)))
        guard case .success(.restart(let result))? = done.answer(to: first) else {
            Issue.record("no reply in \(done)")
            return
        }
        #expect(result.restarts == 1 && done.contains(.closeSource) && done.contains(.openSource(run: 2, via: .camera)))
        _ = bench.step(.keyFrameCame(run: 2), after: .milliseconds(100))
        for stale in [0, 2] {
            let (token, refused) = bench.command(.restart(RestartCommand(ifRestarts: stale)))
            #expect(refused.refusal(of: token) == .conflict)
            #expect(!refused.contains(.closeSource) && refused.stream == nil)
        }
        #expect(bench.command(.restart(RestartCommand(ifRestarts: 1))).effects.contains(.closeSource))
    }

    @Test func aFullDiskIsToldAndTriedAgain() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let full = CodedError(.storageFull, "no space")
        let effects = bench.step(.storageFailed(session, full))
        #expect(effects.recording?.state == .failed)
        #expect(effects.recording?.error?.code == .storageFull)
        #expect(bench.step(.woke, after: .milliseconds(500)).contains(.probeStorage))
        let refused = CodedError(.storageFailed, "read-only")
        #expect(bench.step(.storageProbed(refused)).recording?.error?.code == .storageFailed)
        #expect(bench.step(.woke, after: .seconds(1)).contains(.probeStorage))
        let result10 = bench.step(.storageProbed(nil))
        #expect(result10.contains(.allowOpening))
        _ = bench.step(bench.opened(session, index: 1, firstFrame: 80))
        let result11 = bench.step(.firstPartWritten(session, index: 1))
        #expect(result11.recording?.error == nil)
    }

    @Test func aFileThatEndsEndsTheRecording() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let effects = bench.step(.sourceEnded(run: 1))
        #expect(effects.contains(.endSession(.stop)))
        #expect(effects.stream?.state == .idle)
        let result12 = bench.step(.sessionEnded(session, nil))
        #expect(result12.recording?.state == .off)
    }

    @Test func aStopLeavesLeasesAndSessionToTheNextWorker() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let effects = bench.step(.stopDemanded(.signal))
        #expect(effects.contains(.endSession(.shutdown)))
        #expect(effects.remembered == nil)
        let done = bench.step(.sessionEnded(session, nil))
        #expect(done.contains(.exit(.signal)))
        #expect(done.remembered == nil)
        #expect(bench.start().effects == [])
    }

    @Test func aMemoryThatTheDiskRefusedIsWrittenAgain() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let memory = try #require(bench.start().effects.remembered)
        #expect(bench.step(.notRemembered).remembered == nil)
        #expect(bench.step(.woke, after: WorkerCore.memoryRetryAfter).remembered?.leases == memory.leases)
        #expect(bench.step(.woke, after: WorkerCore.memoryRetryAfter).remembered == nil)
    }

    @Test func aKilledWorkersSessionIsTakenUpWithAGap() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let memory = try #require(
            bench.step(bench.opened(session, index: 1, firstFrame: 30), after: .seconds(5)).remembered)
        var heir = CoreBench()
        heir.now = bench.now + .seconds(4)
        let recovered = SegmentClosed(
            session: session, index: 1, file: "f1.mp4", startedAt: bench.now.wall, duration: .seconds(2), frames: 20,
            firstFrame: 30, bytes: 1, offset: nil, reason: .recovered)
        let tail = SessionTail(
            lastIndex: 1, nextFrame: 50, endedAt: bench.now.wall + .seconds(2), recovered: [recovered])
        let effects = heir.step(.started(memory, tail: tail))
        #expect(effects.begun?.session == session)
        #expect(effects.begun?.nextIndex == 2)
        #expect(effects.begun?.gap?.cause == .workerDied)
        #expect(effects.begun?.gap?.firstLost == 50)
        #expect(effects.contains { if case .emitSegment(let event) = $0 { event.reason == .recovered } else { false } })
        #expect(effects.contains(.openSource(run: 1, via: .camera)))
    }

    @Test func aSessionWhoseLeaseRanOutMeanwhileEndsWithAGap() throws {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let memory = try #require(bench.start(duration: .seconds(60)).effects.remembered)
        var heir = CoreBench()
        heir.now = bench.now + .seconds(600)
        let effects = heir.step(
            .started(
                memory,
                tail: SessionTail(
                    lastIndex: 0, nextFrame: 9, endedAt: bench.now.wall + .seconds(20), recovered: [])))
        #expect(effects.begun == nil)
        #expect(
            effects.contains { effect in
                if case .emitGap(let gap) = effect { gap.cause == .workerDied && gap.seconds == 40 } else { false }
            })
        #expect(effects.remembered?.session == nil)
    }
}

extension WorkerEffect {
    fileprivate var isBegin: Bool {
        if case .beginSession = self { return true }
        return false
    }
}
