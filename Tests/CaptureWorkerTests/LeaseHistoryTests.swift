import BusContract
import CaptureWorkerCore
import Domain
import TestSupport
import Testing

/// Recording, its files, viewing and snapshots on one stream: every short history against promise 3, and long random
/// ones.
@Suite struct LeaseHistoryTests {
    /// What the Shell has been told, and what the Core owes.
    private struct Life {
        var isOpen = false
        var isPublishing = false
        var job: (number: Int, wishes: [SnapshotCommand])?
        var isLooking = false
        var answered: [CommandToken: Int] = [:]
        var asked: Set<CommandToken> = []
        /// Whether what is played now may end the source although somebody wants it.
        var isFault = false
        var path: [Int] = []
        var session: SessionID?
        var segments = 0
    }

    private static let choices = 16

    private static func bench(_ publishing: WorkerSettings.Publishing) -> CoreBench {
        var bench = CoreBench { settings in
            settings.publishing = publishing
            settings.policies.viewing.closeAfter = .seconds(6)
            settings.policies.snapshot.closeAfter = .seconds(3)
            settings.policies.recording.closeAfter = .seconds(1)
        }
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    @Test(arguments: [WorkerSettings.Publishing.never, .onDemand, .always])
    func allShortHistoriesKeepThePromises(publishing: WorkerSettings.Publishing) {
        explore(Self.bench(publishing), Life(), depth: 3)
    }

    @Test(arguments: [WorkerSettings.Publishing.never, .onDemand, .always])
    func longHistoriesKeepThePromises(publishing: WorkerSettings.Publishing) {
        for seed in 0..<50 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var bench = Self.bench(publishing)
            var life = Life()
            for _ in 0..<120 { play(Int.random(in: 0..<Self.choices, using: &random), &bench, &life) }
            settle(bench, life)
        }
    }

    private func explore(_ bench: CoreBench, _ life: Life, depth: Int) {
        guard depth > 0 else { return settle(bench, life) }
        for choice in 0..<Self.choices {
            var (next, after) = (bench, life)
            play(choice, &next, &after)
            explore(next, after, depth: depth - 1)
        }
    }

    private func play(_ choice: Int, _ bench: inout CoreBench, _ life: inout Life) {
        let (run, publisherRun) = (bench.core.run, bench.core.publisherRun)
        let error = CodedError(.timeout, "x")
        life.isFault = false
        life.path.append(choice)
        switch choice {
        case 0: ask(.recording(.start(holder: .manual, duration: .seconds(2), preroll: nil)), &bench, &life)
        case 1: ask(.recording(.stop(holder: nil)), &bench, &life)
        case 2: ask(.viewing(.start(holder: .mediaServer, duration: nil)), &bench, &life)
        case 3: ask(.viewing(.start(holder: .manual, duration: .seconds(1))), &bench, &life)
        case 4: ask(.viewing(.stop(holder: nil)), &bench, &life)
        case 5: ask(.snapshot(SnapshotCommand()), &bench, &life)
        case 6: step(.keyFrameCame(run: run), &bench, &life)
        case 7:
            life.isFault = true
            step(.sourceFailed(error, run: run), &bench, &life)
        case 8: step(.publisherConnected(run: publisherRun), &bench, &life)
        case 9: step(.publisherFailed(error, run: publisherRun), &bench, &life)
        case 10:
            guard life.isLooking else { return }
            life.isLooking = false
            step(.readersCounted(0), &bench, &life)
        case 11:
            guard let job = life.job else { return }
            life.job = nil
            let facts = job.wishes.map {
                SnapshotFacts(wish: $0, file: "f", capturedAt: bench.now.wall, width: 2, height: 2, bytes: 1)
            }
            step(.snapshotTaken(job: job.number, .success(facts)), &bench, &life)
        case 12:
            life.isFault = true
            ask(.restart(RestartCommand()), &bench, &life)
        case 13: ask(.rotation(RotationCommand(at: nil)), &bench, &life)
        case 14:
            guard let session = life.session else { return }
            let frame = UInt64(life.segments) * 10
            life.segments += 1
            let wish = bench.now.monotonic
            let opened = bench.opened(session, index: life.segments - 1, firstFrame: frame, wish: wish)
            step(opened, &bench, &life)
        default:
            bench.now = bench.now + .seconds(2)
            wake(&bench, &life)
        }
    }

    private func ask(_ command: CameraCommand, _ bench: inout CoreBench, _ life: inout Life) {
        let (token, effects) = bench.command(command)
        life.asked.insert(token)
        follow(effects, bench, &life)
    }

    private func step(_ event: WorkerEvent, _ bench: inout CoreBench, _ life: inout Life) {
        follow(bench.step(event, after: .milliseconds(100)), bench, &life)
    }

    /// A start that comes to nothing may end a source.
    private func wake(_ bench: inout CoreBench, _ life: inout Life) {
        if case .active = bench.core.streamState { life.isFault = false } else { life.isFault = true }
        follow(bench.step(.woke), bench, &life)
    }

    private func follow(_ effects: [WorkerEffect], _ bench: CoreBench, _ life: inout Life) {
        let isWanted = UseCase.allCases.contains { bench.core.isLeased($0) }
        for effect in effects {
            switch effect {
            case .openSource:
                #expect(!life.isOpen, "one source at a time")
                life.isOpen = true
            case .closeSource:
                #expect(life.isFault || !isWanted, "a stream that somebody wants is not closed")
                life.isOpen = false
            case .openPublisher:
                #expect(!life.isPublishing && life.isOpen, "one connection, and only of a stream that runs")
                life.isPublishing = true
            case .closePublisher: life.isPublishing = false
            case .lookAtReaders: life.isLooking = true
            case .beginSession(let place, _, _, _): (life.session, life.segments) = (place.session, 0)
            case .endSession: life.session = nil
            case .takeSnapshot(let job, let wishes):
                #expect(life.isOpen && life.job == nil, "one job, and only of a stream that runs")
                life.job = (job, wishes)
            case .reply(let token, _), .refuse(let token, _): life.answered[token, default: 0] += 1
            default: break
            }
        }
        #expect(!life.isPublishing || life.isOpen)
        #expect((life.session != nil) == bench.core.isRecordingLeased, "a session is what a recording lease is for")
        #expect(!isWanted || life.isOpen || bench.core.nextWake != nil, "what is wanted comes again: \(life.path)")
    }

    /// Nobody wants anything any more and nothing answers: within a bounded time all is closed and everybody answered.
    private func settle(_ bench: CoreBench, _ life: Life) {
        var (bench, life) = (bench, life)
        ask(.recording(.stop(holder: nil)), &bench, &life)
        ask(.viewing(.stop(holder: nil)), &bench, &life)
        let end = bench.now.monotonic + .seconds(60)
        var wakes = 0
        while let wake = bench.core.nextWake, wake <= end, wakes < 200 {
            wakes += 1
            bench.now = bench.now + max(.zero, wake - bench.now.monotonic)
            self.wake(&bench, &life)
            if let job = life.job {
                life.job = nil
                step(.snapshotTaken(job: job.number, .failure(CodedError(.internal, "x"))), &bench, &life)
            }
        }
        #expect(!life.isOpen && !life.isPublishing, "what nobody wants ends by itself")
        #expect(bench.core.nextWake == nil)
        #expect(life.asked.allSatisfy { life.answered[$0] == 1 }, "everybody is answered, once")
    }
}
