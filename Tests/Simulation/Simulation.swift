import BusContract
import CaptureWorkerCore
import Domain
import RotationServiceCore
import TestSupport

/// A cluster of one camera in one process: a worker and the rotation-service on simulated clocks, bus, disk and camera,
/// all driven by one seed.
///
/// Owns everything that exists; nothing outside a seed influences it. `run` takes what is due, one event at a time, and
/// checks the promises after each. The first broken promise stops it.
final class Simulation {
    struct Settings: Sendable {
        var seed: UInt64
        var days = 1.0
        var interval: Duration = .seconds(1)
        var picturesPerGroup = 4
        var rotation = RotationSettings()
        var preroll: Duration = .zero
        var publishing = WorkerSettings.Publishing.never
        /// Faults per simulated day, of each kind.
        var faultsPerDay = 12.0
        var sabotage = Sabotage.none
    }

    enum Due {
        case worker(WorkerEvent, process: Int)
        case woke(token: Int, process: Int)
        case sourceAnswers(run: Int, process: Int)
        case stallEnds(run: Int, process: Int)
        case recorderTurns(process: Int)
        case viewers(ViewersDue, process: Int)
        case startWorker
        case delivered(SimulatedBus<SimulatedMessage>.Delivery)
        case acknowledged(number: Int, connection: Int)
        case reconnect(SimulatedBus<SimulatedMessage>.Client)
        case fault
        case healed(Fault)
        case person
        case personAsksAgain(number: UInt64)
        case calm
        case calmEnds
        case rotation(RotationDue)
    }

    static let camera = CameraID(unchecked: "front")
    static let node = NodeID(unchecked: "attic")
    /// How long a fault-free world may take to settle to what was asked for.
    static let settleTime: Duration = .seconds(420)

    let settings: Settings
    var random: SeededRandom
    var clock: SimulatedClock
    var agenda = SimulatedAgenda<Due>()
    var bus = SimulatedBus<SimulatedMessage>()
    var disk = SimulatedDisk()
    var camera: SimulatedCamera
    var worker: SimulatedWorker?
    var workerState = WorkerState()
    var rotation = SimulatedRotation()
    var processes = 0
    var promises = Promises()
    var isCalm = false
    var isDiskSlow = false
    var isMediaServerUp = true
    var person = SimulatedPerson()
    let end: MonotonicTime

    init(_ settings: Settings) {
        self.settings = settings
        random = SeededRandom(seed: settings.seed)
        clock = SimulatedClock(start: WallTime(milliseconds: 1_767_225_600_000))
        camera = SimulatedCamera(
            interval: settings.interval, picturesPerGroup: settings.picturesPerGroup, start: clock.now)
        end = clock.now + .seconds(86_400) * settings.days
        bus.subscribe(.worker) { ["set", "rotation"].contains($0) }
        bus.subscribe(.rotation) { ["segment", "gap", "recording", "availability"].contains($0) }
        bus.subscribe(.person) { $0 == "reply" }
    }

    /// Runs to the end or to the first broken promise.
    func run() -> Outcome {
        agenda.add(.startWorker, at: clock.now)
        agenda.add(.rotation(.start), at: clock.now)
        agenda.add(.reconnect(.person), at: clock.now)
        agenda.add(.person, at: clock.now + .seconds(1))
        agenda.add(.fault, at: nextFault())
        agenda.add(.calm, at: clock.now + .seconds(7200))
        while clock.now < end, promises.broken.isEmpty {
            let due = agenda.next ?? end
            if let picture = camera.nextPicture, picture < due {
                clock.advance(to: max(picture, clock.now))
                pictureArrives()
            } else if let (time, event) = agenda.takeFirst() {
                clock.advance(to: max(time, clock.now))
                handle(event)
                checkAfterStep()
            } else {
                break
            }
        }
        if promises.broken.isEmpty { checkFiles() }
        return Outcome(
            seed: settings.seed, broken: promises.broken, pictures: promises.pictures, segments: promises.segments,
            gaps: promises.gaps, trace: promises.trace)
    }

    /// What waits for a worker that hangs.
    private func isHeld(_ due: Due) -> Bool {
        guard let worker, worker.hungUntil > clock.now else { return false }
        return switch due {
        case .worker, .woke, .sourceAnswers, .stallEnds, .recorderTurns, .viewers: true
        case .delivered(let delivery): delivery.to == .worker
        case .startWorker, .acknowledged, .reconnect, .fault, .healed, .person, .personAsksAgain, .calm, .calmEnds,
            .rotation:
            false
        }
    }

    private func handle(_ due: Due) {
        if let worker, isHeld(due) { return agenda.add(due, at: worker.hungUntil) }
        switch due {
        case .worker(let event, let process): if process == worker?.id { tell(event) }
        case .woke(let token, let process):
            if process == worker?.id, token == worker?.wakeToken { tell(.woke) }
        case .sourceAnswers(let run, let process): if process == worker?.id { sourceAnswers(run) }
        case .stallEnds(let run, let process): if process == worker?.id { stallEnds(run) }
        case .recorderTurns(let process):
            if process == worker?.id {
                worker?.isDraining = false
                drain()
            }
        case .viewers(let due, let process): if process == worker?.id { viewersDue(due) }
        case .startWorker: startWorker()
        case .delivered(let delivery): deliver(delivery)
        case .acknowledged(let number, let connection):
            if bus.connection(of: .worker) == connection { workerState.outbox.removeAll { $0.number == number } }
        case .reconnect(let client): connect(client)
        case .fault: fault()
        case .healed(let fault): heal(fault)
        case .person: personActs()
        case .personAsksAgain(let number): personAsksAgain(number)
        case .calm: calm()
        case .calmEnds: calmEnds()
        case .rotation(let due): rotationDue(due)
        }
    }

    struct Outcome: Sendable {
        var seed: UInt64
        var broken: [String]
        var pictures: Int
        var segments: Int
        var gaps: Int
        var trace: [String]
    }

    /// For the trace that a broken promise prints.
    func note(_ text: @autoclosure () -> String) {
        promises.note("\(clock.reading.wall) \(text())")
    }
}
