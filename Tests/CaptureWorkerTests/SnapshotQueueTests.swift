import BusContract
import CaptureWorkerCore
import Domain
import Testing

/// Snapshots in a worker's Core, event by event.
@Suite struct SnapshotQueueTests {
    private func bench() -> CoreBench {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    private func facts(_ wish: SnapshotCommand, _ bench: CoreBench) -> SnapshotFacts {
        SnapshotFacts(
            wish: wish, file: "front/snapshots/a.jpg", capturedAt: bench.now.wall, width: 640, height: 360, bytes: 9)
    }

    @Test func anIdleCameraIsStartedAndClosesAfterwards() {
        var bench = bench()
        let wish = SnapshotCommand(width: 640)
        let (token, effects) = bench.command(.snapshot(wish))
        #expect(effects.contains(.openSource(run: 1, via: .camera)))
        #expect(effects.stream?.leases.snapshot == 1)
        #expect(effects.remembered == nil, "who asked has gone when the worker has; no write to the disk goes first")
        let active = bench.step(.keyFrameCame(run: 1), after: .milliseconds(300))
        #expect(active.contains(.takeSnapshot(job: 1, [wish])))
        let done = bench.step(.snapshotTaken(job: 1, .success([facts(wish, bench)])), after: .milliseconds(20))
        guard case .success(.snapshot(let result))? = done.answer(to: token) else {
            Issue.record("no answer: \(done)")
            return
        }
        #expect(result.tookSeconds == 0.32 && result.width == 640)
        #expect(done.contains { if case .publishSnapshot = $0 { true } else { false } })
        #expect(done.stream?.state == .closing && done.stream?.leases.snapshot == 0)
        #expect(bench.step(.woke, after: .seconds(60)).contains(.closeSource))
    }

    @Test func whoAsksAtOnceSharesOneDecoding() {
        var bench = bench()
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1))
        let (native, small) = (SnapshotCommand(), SnapshotCommand(width: 320, quality: 50))
        let first = bench.command(.snapshot(native))
        #expect(first.effects.contains(.takeSnapshot(job: 1, [native])))
        let same = bench.command(.snapshot(native))
        let others = (0..<3).map { _ in bench.command(.snapshot(small)) }
        #expect((same.effects + others.flatMap(\.effects)).allSatisfy { !$0.beginsSnapshot })
        let done = bench.step(.snapshotTaken(job: 1, .success([facts(native, bench)])))
        #expect(done.answer(to: first.token) != nil && done.answer(to: same.token) != nil)
        #expect(done.contains(.takeSnapshot(job: 2, [small])))
        let rest = bench.step(.snapshotTaken(job: 2, .success([facts(small, bench)])))
        #expect(others.allSatisfy { rest.answer(to: $0.token) != nil })
        #expect(!rest.contains(.closeSource), "the recording goes on")
    }

    @Test func aSourceThatFailsIsNotTriedAgainForASnapshot() {
        var bench = bench()
        let (token, _) = bench.command(.snapshot(SnapshotCommand()))
        let failed = bench.step(.sourceFailed(CodedError(.sourceUnavailable, "refused"), run: 1))
        #expect(failed.refusal(of: token) == .sourceUnavailable)
        #expect(failed.stream?.state == .idle)
        #expect(!bench.step(.woke, after: .seconds(60)).contains { if case .openSource = $0 { true } else { false } })
    }

    @Test func aPictureThatDoesNotComeInTimeIsRefused() {
        var bench = bench()
        let (token, _) = bench.command(.snapshot(SnapshotCommand()))
        #expect(bench.step(.woke, after: .seconds(4.9)).answer(to: token) == nil)
        #expect(bench.step(.woke, after: .seconds(0.1)).refusal(of: token) == .sourceUnavailable)
    }

    @Test func aDecodingThatHangsIsRefusedAndTheNextOneStarts() {
        var bench = bench()
        _ = bench.start()
        _ = bench.step(.keyFrameCame(run: 1))
        let (token, _) = bench.command(.snapshot(SnapshotCommand()))
        #expect(bench.step(.woke, after: SnapshotQueue.jobTimeout).refusal(of: token) == .sourceUnavailable)
        let error = CodedError(.storageFull, "no room")
        let next = bench.command(.snapshot(SnapshotCommand()))
        let ended = bench.step(.snapshotTaken(job: 1, .failure(error)))
        #expect(ended.contains(.takeSnapshot(job: 2, [SnapshotCommand()])))
        #expect(bench.step(.snapshotTaken(job: 2, .failure(error))).refusal(of: next.token) == .storageFull)
    }

    @Test func aFloodIsBounded() {
        var bench = bench()
        for _ in 0..<SnapshotQueue.waitingMax { _ = bench.command(.snapshot(SnapshotCommand())) }
        let (token, effects) = bench.command(.snapshot(SnapshotCommand()))
        #expect(effects.refusal(of: token) == .conflict)
    }
}

extension WorkerEffect {
    fileprivate var beginsSnapshot: Bool { if case .takeSnapshot = self { true } else { false } }
}
