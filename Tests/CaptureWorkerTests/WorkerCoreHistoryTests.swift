import BusContract
import CaptureWorkerCore
import Domain
import Testing

/// Every short history of a worker, against the promises.
@Suite struct WorkerCoreHistoryTests {
    /// Promise 3 over every history of five events: a session runs exactly while a recording lease is held, nothing is
    /// begun twice, and the source is open while a session runs unless it has failed and will be tried again.
    @Test func allShortHistoriesKeepThePromises() {
        var bench = CoreBench()
        _ = bench.step(.started(nil, tail: nil))
        explore(bench, Life(), depth: 5)
    }

    private struct Life {
        var session: SessionID?
        var ended: [SessionID] = []
        var isOpen = false
        var index = 0
    }

    private func explore(_ bench: CoreBench, _ life: Life, depth: Int) {
        guard depth > 0 else { return }
        for choice in 0..<9 {
            var next = bench
            var after = life
            for effect in play(choice, &next, &after) { follow(effect, &after) }
            let isLeased = next.core.isRecordingLeased
            #expect((after.session != nil) == isLeased, "after \(choice)")
            if isLeased { #expect(after.isOpen || isTriedAgain(next.core), "nothing to come after \(choice)") }
            if !isLeased { #expect(!after.isOpen, "the source runs for nobody after \(choice)") }
            explore(next, after, depth: depth - 1)
        }
    }

    /// By a moment of its own: one at which somebody is told that there was no frame brings none.
    private func isTriedAgain(_ core: WorkerCore) -> Bool {
        guard case .failed(_, let retryAt?) = core.streamState, let wake = core.nextWake else { return false }
        return wake <= retryAt
    }

    private func play(_ choice: Int, _ bench: inout CoreBench, _ life: inout Life) -> [WorkerEffect] {
        let second = Duration.seconds(1)
        switch choice {
        case 0: return bench.start().effects
        case 1: return bench.start(duration: .seconds(2)).effects
        case 2: return bench.command(.recording(.stop(holder: nil)), after: second).effects
        case 3: return bench.step(.keyFrameCame(run: bench.core.run), after: second)
        case 4: return bench.step(.sourceFailed(CodedError(.timeout, "x"), run: bench.core.run), after: second)
        case 5: return bench.step(.woke, after: .seconds(3))
        case 6: return bench.command(.restart(RestartCommand())).effects
        case 7:
            guard let session = life.session else { return [] }
            life.index += 1
            return bench.step(bench.opened(session, index: life.index, firstFrame: UInt64(life.index) * 10))
        default:
            guard let session = life.ended.popLast() else { return [] }
            return bench.step(.sessionEnded(session, nil))
        }
    }

    private func follow(_ effect: WorkerEffect, _ life: inout Life) {
        switch effect {
        case .openSource:
            #expect(!life.isOpen)
            life.isOpen = true
        case .closeSource: life.isOpen = false
        case .beginSession(let place, _, _, _):
            #expect(life.session == nil)
            life.session = place.session
            life.index = 0
        case .endSession:
            #expect(life.session != nil)
            if let session = life.session { life.ended.append(session) }
            life.session = nil
        case .takeFolder, .loseFrames, .setSchedule, .cut, .allowOpening, .probeStorage, .requestKeyFrame,
            .openPublisher, .closePublisher, .lookAtReaders, .takeSnapshot, .publishStream, .publishRecording,
            .publishViewing, .publishSnapshot, .turnControls, .publishControls,
            .emitSegment, .emitGap, .reply, .refuse, .remember, .wake, .exit:
            break
        }
    }
}
