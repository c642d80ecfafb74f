import BusContract
import Domain
import Testing

@testable import CaptureWorkerCore

/// How a worker's process ends, whatever it was doing.
@Suite("The end of a worker")
struct WorkerStopTests {
    @Test("It ends at once while it still waits for its folder")
    func beforeTheFolder() {
        for cause in [StopCause.signal, .fenced] {
            var bench = CoreBench()
            #expect(bench.step(.stopDemanded(cause)).contains(.exit(cause)))
            #expect(bench.step(.started(nil, tail: nil)) == [])
        }
    }

    @Test("A folder that cannot be used is waited for, said and asked for again; it ends at once meanwhile")
    func refusedFolder() throws {
        var bench = CoreBench()
        let error = CodedError(.storageFailed, "read-only")
        var waits: [Duration] = []
        for attempt in 0..<7 {
            let told = bench.step(.folderRefused(error)).contains { effect in
                guard case .publishRecording(let state) = effect else { return false }
                return state.state == .failed && state.error?.code == .storageFailed
            }
            #expect(told == (attempt == 0))
            let retryAt = try #require(bench.core.nextWake)
            waits.append(retryAt - bench.now.monotonic)
            #expect(bench.step(.woke, after: retryAt - bench.now.monotonic).contains(.takeFolder))
            #expect(!bench.step(.woke).contains(.takeFolder), "one at a time")
        }
        #expect(waits == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
        let start = bench.start()
        #expect(start.effects.contains(.refuse(start.token, error)))
        var stopped = bench
        #expect(stopped.step(.stopDemanded(.signal)).contains(.exit(.signal)))
        let started = bench.step(.started(nil, tail: nil)).contains { effect in
            guard case .publishRecording(let state) = effect else { return false }
            return state.state == .off && state.error == nil
        }
        #expect(started)
        #expect(bench.start().effects.begun != nil)
    }

    @Test("A disk that hangs holds it back for a while only")
    func hangingDisk() throws {
        var bench = CoreBench()
        _ = try bench.record()
        #expect(!bench.step(.stopDemanded(.fenced)).contains(.exit(.fenced)))
        let exitBy = try #require(bench.core.nextWake)
        #expect(exitBy - bench.now.monotonic <= WorkerCore.exitTimeout)
        let late = bench.step(.woke, after: WorkerCore.exitTimeout)
        #expect(late.contains(.exit(.fenced)))
    }

    @Test("The gap of a session that was stopped before is told while the process ends")
    func gapOfAnEarlierSession() throws {
        var bench = CoreBench()
        let first = try bench.record()
        _ = bench.command(.recording(.stop(holder: nil)))
        _ = bench.start()
        _ = bench.step(.stopDemanded(.signal))
        let gap = SegmentCutter.EndedGap(
            from: bench.now.monotonic, to: bench.now.monotonic + .seconds(1), cause: .storageFull, framesLost: 3)
        let told = bench.step(.sessionEnded(first, gap)).contains { effect in
            if case .emitGap(let event) = effect { event.session == first } else { false }
        }
        #expect(told)
    }

    @Test("Who waits for the first frame of a recording that is stopped gets his answer with the stop")
    func stoppedBeforeTheFirstFrame() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        let start = bench.start()
        let stop = bench.command(.recording(.stop(holder: nil)))
        let refused = stop.effects.contains { effect in
            if case .refuse(start.token, let error) = effect { error.code == .conflict } else { false }
        }
        #expect(refused)
    }

    @Test("A standing lease fits beside a full book of holders")
    func standingLease() throws {
        let records = try (0..<LeaseBook.holdersMax).map { number in
            LeaseBook.Record(
                useCase: .recording, holder: try #require(Holder(rawValue: "holder:\(number)")),
                since: WallTime(milliseconds: 0), until: nil)
        }
        var bench = CoreBench { $0.recordsAlways = true }
        let effects = bench.step(.started(WorkerMemory(boot: "boot1", leases: records, session: nil), tail: nil))
        #expect(effects.begun != nil)
    }

    @Test("A file that has played to its end plays again for a new lease, though pre-roll keeps it warm")
    func fileWithPreroll() throws {
        var bench = CoreBench { $0.preroll = .seconds(5) }
        let session = try bench.record()
        _ = bench.step(.sourceEnded(run: 1))
        _ = bench.step(.sessionEnded(session, nil))
        #expect(bench.start().effects.contains(.openSource(run: 2, via: .camera)))
    }

    @Test("Numbers in use stay used where the newest file cannot be read")
    func unreadableNewestFile() throws {
        var bench = CoreBench()
        let session = try bench.record()
        let memory = try #require(
            bench.step(bench.opened(session, index: 1, firstFrame: 30), after: .seconds(5)).remembered)
        var heir = CoreBench()
        heir.now = bench.now + .seconds(1)
        let tail = SessionTail(lastIndex: 0, nextFrame: 30, endedAt: bench.now.wall, recovered: [])
        let place = try #require(heir.step(.started(memory, tail: tail)).begun)
        #expect(place.nextIndex == 2)
        #expect(place.nextFrame > 30)
    }
}
