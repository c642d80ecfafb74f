import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// What comes back from the media server, from the config-writer and from the thread that makes snapshots.
enum ViewersDue {
    case publisherAnswers(run: Int)
    case readersCounted
    case snapshotMade(job: Int, [SnapshotCommand])
}

/// Live view and snapshots: the part of the worker's Shell that serves people, on a media server that comes and goes.
extension Simulation {
    func performForViewers(_ effect: WorkerEffect) {
        switch effect {
        case .openPublisher(let run):
            if worker?.publisherRun != nil { promises.breaks(3, "the stream is published twice") }
            worker?.publisherRun = run
            later(.publisherAnswers(run: run), within: .milliseconds(5) ... .seconds(3))
        case .closePublisher: worker?.publisherRun = nil
        case .lookAtReaders: if random.chance(0.8) { later(.readersCounted, within: .milliseconds(5) ... .seconds(3)) }
        case .takeSnapshot(let job, let wishes):
            if worker?.run == 0 { promises.breaks(3, "a picture is wanted of a source that does not run") }
            later(.snapshotMade(job: job, wishes), within: .milliseconds(5) ... .seconds(12))
        default: break
        }
    }

    private func later(_ due: ViewersDue, within range: ClosedRange<Duration>) {
        agenda.add(.viewers(due, process: worker?.id ?? 0), at: clock.now + random.duration(in: range))
    }

    func viewersDue(_ due: ViewersDue) {
        switch due {
        case .publisherAnswers(let run):
            guard run == worker?.publisherRun else { return }
            report(isMediaServerUp ? .publisherConnected(run: run) : .publisherFailed(Self.gone, run: run))
        case .readersCounted:
            report(.readersCounted(isMediaServerUp ? random.pick([0, 0, 0, 1]) : nil))
        case .snapshotMade(let job, let wishes):
            let pictures = wishes.map {
                SnapshotFacts(
                    wish: $0, file: "front/snapshots/x.jpg", capturedAt: clock.reading.wall, width: 2, height: 2,
                    bytes: 1)
            }
            report(.snapshotTaken(job: job, disk.failure.map { .failure($0) } ?? .success(pictures)))
        }
    }

    func loseMediaServer() {
        isMediaServerUp = false
        if let run = worker?.publisherRun { report(.publisherFailed(Self.gone, run: run)) }
    }

    private static let gone = CodedError(.mediaServerUnavailable, "simulated")
}
