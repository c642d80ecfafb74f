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
        var look: Look?
        /// As the media server has last told; nil if it could not tell or what it told came too late.
        var readers: Int?
        var hasHadReaders = false
        var answered: [CommandToken: Int] = [:]
        var asked: Set<CommandToken> = []
        /// Whether what is played now may end the source although somebody wants it.
        var isFault = false
        /// Whether what is played now may end the connection to the media server although somebody watches.
        var isServerFault = false
        /// Since when the source starts that a wake may find too slow.
        var startingSince: MonotonicTime?
        var path: [Choice] = []
        var session: SessionID?
        var segments = 0
    }

    /// At the readers, before the stream is not published any more.
    private struct Look {
        var askedAt: MonotonicTime
        var isAnswered = false
        /// Somebody has come to watch meanwhile, and the answer does not matter.
        var isOver = false

        /// Until when an answer comes in time.
        var deadline: MonotonicTime { askedAt + WorkerCore.lookTimeout }
    }

    private enum Choice: CaseIterable {
        case record, stopRecording, watch, watchBriefly, stopWatching, snapshot
        case keyFrame, sourceFailure, connection, connectionFailure
        case nobodyCounted, somebodyCounted, nobodyCounts, nobodyReported, somebodyReported, serverAway
        case picture, restart, rotation, segment, twoSeconds
    }

    private static let policies = {
        var policies = LifecyclePolicies()
        policies.viewing.closeAfter = .seconds(6)
        policies.snapshot.closeAfter = .seconds(3)
        policies.recording.closeAfter = .seconds(1)
        // So that a few seconds tell whose time a start has.
        policies.snapshot.startTimeout = .seconds(1)
        return policies
    }()

    private static func bench(_ publishing: WorkerSettings.Publishing) -> CoreBench {
        var bench = CoreBench { settings in
            settings.publishing = publishing
            settings.policies = policies
        }
        _ = bench.step(.started(nil, tail: nil))
        return bench
    }

    @Test(arguments: [WorkerSettings.Publishing.never, .onDemand, .always])
    func allShortHistoriesKeepThePromises(publishing: WorkerSettings.Publishing) {
        explore(Self.bench(publishing), Life(), depth: 3)
    }

    /// From where the close-after of the last viewer ends, and the readers are counted.
    @Test(arguments: [WorkerSettings.Publishing.onDemand, .always], [false, true])
    func allShortHistoriesAfterTheLastLookKeepThePromises(publishing: WorkerSettings.Publishing, isWatched: Bool) {
        var (bench, life) = (Self.bench(publishing), Life())
        for choice in [Choice.watch, .keyFrame, .connection] { play(choice, &bench, &life) }
        if isWatched { play(.somebodyReported, &bench, &life) }
        play(.stopWatching, &bench, &life)
        for _ in 0..<3 { play(.twoSeconds, &bench, &life) }
        #expect(life.look != nil && life.isPublishing)
        explore(bench, life, depth: 3)
    }

    @Test(arguments: [WorkerSettings.Publishing.never, .onDemand, .always])
    func longHistoriesKeepThePromises(publishing: WorkerSettings.Publishing) {
        for seed in 0..<50 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var bench = Self.bench(publishing)
            var life = Life()
            for _ in 0..<120 {
                guard let choice = Choice.allCases.randomElement(using: &random) else { continue }
                play(choice, &bench, &life)
            }
            settle(bench, life)
        }
    }

    private func explore(_ bench: CoreBench, _ life: Life, depth: Int) {
        settle(bench, life)
        guard depth > 0 else { return }
        for choice in Choice.allCases {
            var (next, after) = (bench, life)
            if play(choice, &next, &after) { explore(next, after, depth: depth - 1) }
        }
    }

    /// False if nobody could say that now.
    @discardableResult
    private func play(_ choice: Choice, _ bench: inout CoreBench, _ life: inout Life) -> Bool {
        life.isFault = [.sourceFailure, .restart].contains(choice)
        life.isServerFault = life.isFault || choice == .connectionFailure
        life.path.append(choice)
        switch choice {
        case .record: ask(.recording(.start(holder: .manual, duration: .seconds(2), preroll: nil)), &bench, &life)
        case .stopRecording: ask(.recording(.stop(holder: nil)), &bench, &life)
        case .watch: watch(.mediaServer, for: nil, &bench, &life)
        case .watchBriefly: watch(.manual, for: .seconds(1), &bench, &life)
        case .stopWatching: ask(.viewing(.stop(holder: nil)), &bench, &life)
        case .snapshot: ask(.snapshot(SnapshotCommand()), &bench, &life)
        case .restart: ask(.restart(RestartCommand()), &bench, &life)
        case .rotation: ask(.rotation(RotationCommand(at: nil)), &bench, &life)
        case .nobodyCounted: return count(0, &bench, &life)
        case .somebodyCounted: return count(1, &bench, &life)
        case .nobodyCounts: return count(nil, &bench, &life)
        case .nobodyReported: report(0, &bench, &life)
        case .somebodyReported: report(1, &bench, &life)
        case .serverAway: report(nil, &bench, &life)
        case .keyFrame, .sourceFailure, .connection, .connectionFailure, .picture, .segment:
            guard let event = event(choice, bench, &life) else { return false }
            step(event, &bench, &life)
        case .twoSeconds:
            bench.now = bench.now + .seconds(2)
            wake(&bench, &life)
        }
        return true
    }

    /// What source, media server, decoder and disk say.
    private func event(_ choice: Choice, _ bench: CoreBench, _ life: inout Life) -> WorkerEvent? {
        let (run, publisherRun) = (bench.core.run, bench.core.publisherRun)
        let error = CodedError(.timeout, "x")
        switch choice {
        case .keyFrame: return .keyFrameCame(run: run)
        case .sourceFailure: return .sourceFailed(error, run: run)
        case .connection: return .publisherConnected(run: publisherRun)
        case .connectionFailure: return .publisherFailed(error, run: publisherRun)
        case .picture:
            guard let job = life.job else { return nil }
            life.job = nil
            let facts = job.wishes.map {
                SnapshotFacts(wish: $0, file: "f", capturedAt: bench.now.wall, width: 2, height: 2, bytes: 1)
            }
            return .snapshotTaken(job: job.number, .success(facts))
        case .segment:
            guard let session = life.session else { return nil }
            life.segments += 1
            let frame = UInt64(life.segments - 1) * 10
            return bench.opened(session, index: life.segments - 1, firstFrame: frame, wish: bench.now.monotonic)
        default: return nil
        }
    }

    private func watch(_ holder: Holder, for time: Duration?, _ bench: inout CoreBench, _ life: inout Life) {
        life.look?.isOver = true
        ask(.viewing(.start(holder: holder, duration: time)), &bench, &life)
    }

    private func report(_ readers: Int?, _ bench: inout CoreBench, _ life: inout Life) {
        life.readers = readers
        if readers ?? 0 > 0 { life.hasHadReaders = true }
        step(.readersReported(readers), &bench, &life)
    }

    private func count(_ readers: Int?, _ bench: inout CoreBench, _ life: inout Life) -> Bool {
        guard var look = life.look, !look.isAnswered else { return false }
        look.isAnswered = true
        let isInTime = bench.now.monotonic + Self.pause < look.deadline && !look.isOver
        if let readers { life.readers = isInTime ? readers : nil }
        life.look = look
        if readers ?? 0 > 0 { life.hasHadReaders = true }
        step(.readersCounted(readers), &bench, &life)
        return true
    }

    private func ask(_ command: CameraCommand, _ bench: inout CoreBench, _ life: inout Life) {
        let (token, effects) = bench.command(command)
        life.asked.insert(token)
        follow(effects, bench, &life)
    }

    /// Before whatever is no command.
    private static let pause: Duration = .milliseconds(100)

    private func step(_ event: WorkerEvent, _ bench: inout CoreBench, _ life: inout Life) {
        follow(bench.step(event, after: Self.pause), bench, &life)
    }

    /// A start that comes to nothing may end a source.
    private func wake(_ bench: inout CoreBench, _ life: inout Life) {
        if case .active = bench.core.streamState { life.isFault = false } else { life.isFault = true }
        if case .starting(let since, _) = bench.core.streamState { life.startingSince = since }
        follow(bench.step(.woke), bench, &life)
        life.startingSince = nil
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
                if let since = life.startingSince { checkPatience(since, bench) }
                life.isOpen = false
            case .openPublisher:
                #expect(!life.isPublishing && life.isOpen, "one connection, and only of a stream that runs")
                life.isPublishing = true
            case .closePublisher:
                if !life.isServerFault { checkLook(bench, life) }
                life.isPublishing = false
            case .lookAtReaders: life.look = Look(askedAt: bench.now.monotonic)
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

    private func checkPatience(_ since: MonotonicTime, _ bench: CoreBench) {
        let (core, policies) = (bench.core, Self.policies)
        let patience = [
            core.isLeased(.recording) ? policies.recording.startTimeout : .zero,
            core.isLeased(.viewing) ? policies.viewing.startTimeout : .zero,
            core.isLeased(.snapshot) ? policies.snapshot.startTimeout : .zero,
        ].reduce(.zero, max)
        #expect(bench.now.monotonic - since >= patience, "a start has the time of whoever waits longest for it")
    }

    /// A viewer is cut off only where nobody could tell of him.
    private func checkLook(_ bench: CoreBench, _ life: Life) {
        let isAnswered = life.look.map { $0.isAnswered || $0.deadline <= bench.now.monotonic } ?? false
        #expect(isAnswered, "it closes after a look, whose answer is waited for: \(life.path)")
        #expect(life.readers ?? 0 == 0, "whoever is known to watch is not cut off: \(life.path)")
    }

    /// Nobody wants anything any more and nothing answers: within a bounded time all is closed and everybody answered.
    private func settle(_ bench: CoreBench, _ life: Life) {
        var (bench, life) = (bench, life)
        (life.isFault, life.isServerFault) = (false, false)
        ask(.recording(.stop(holder: nil)), &bench, &life)
        ask(.viewing(.stop(holder: nil)), &bench, &life)
        // Readers who are known to be there keep it for as long as nobody says that they have left.
        if life.hasHadReaders { play(.nobodyReported, &bench, &life) }
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
