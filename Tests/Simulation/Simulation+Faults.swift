import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// What can happen to the world.
enum Fault: CaseIterable {
    case workerKilled, workerHung, rotationKilled, rotationHung, brokerRestarted, brokerForgot, linkBroken,
        cameraUnplugged
    case cameraSilent, diskFull, diskFailed, diskSlow, clockStepped, mediaServerGone
}

/// Who sends commands, and asks again until somebody answers.
struct SimulatedPerson {
    var next: UInt64 = 0
    var open: [UInt64: CameraCommand] = [:]
    /// Whether the last word before a calm was that the camera shall record.
    var wantsRecording = true
    /// The worker has confirmed a lease without an end, and nobody has asked to end it.
    var holdsLease = false
    var stoppedAt: MonotonicTime?
}

extension Simulation {
    func nextFault() -> MonotonicTime {
        let perDay = max(settings.faultsPerDay, 0.001) * Double(Fault.allCases.count)
        return clock.now + .seconds(86_400 / perDay * (0.1 + 1.8 * random.unit()))
    }

    func fault() {
        agenda.add(.fault, at: nextFault())
        guard !isCalm, settings.faultsPerDay > 0 else { return }
        let fault = random.pick(Fault.allCases)
        note("\(fault)")
        begin(fault)
    }

    private func begin(_ fault: Fault) {
        switch fault {
        case .workerKilled: killWorker()
        case .workerHung: worker?.hungUntil = clock.now + random.duration(in: .seconds(1) ... .seconds(20))
        case .rotationKilled: killRotation()
        case .rotationHung:
            hangRotation(for: random.duration(in: .seconds(5)...settings.rotation.interval * 3))
        case .brokerRestarted, .brokerForgot:
            bus.goDown(forgetting: fault == .brokerForgot)
            heal(fault, within: .milliseconds(50) ... .seconds(300))
        case .linkBroken:
            let client = random.pick(SimulatedBus<SimulatedMessage>.Client.allCases)
            unlink(client)
            reconnectSoon(client)
        case .cameraUnplugged:
            unplug()
            heal(fault, within: .milliseconds(50) ... .seconds(300))
        case .cameraSilent:
            camera.isSilent = true
            awaitStall()
            heal(fault, within: .seconds(1) ... .seconds(60))
        case .diskFull, .diskFailed:
            flushIfDue()
            disk.failure = CodedError(fault == .diskFull ? .storageFull : .storageFailed, "simulated")
            heal(fault, within: .milliseconds(50) ... .seconds(120))
        case .diskSlow:
            isDiskSlow = true
            heal(fault, within: .seconds(1) ... .seconds(300))
        case .mediaServerGone:
            loseMediaServer()
            heal(fault, within: .milliseconds(50) ... .seconds(300))
        case .clockStepped:
            let most = random.pick([Duration.milliseconds(300), .seconds(5), .seconds(3600), .seconds(86_400)])
            clock.stepWall(by: random.duration(in: .zero - most...most))
            promises.steppedAt = clock.now
        }
    }

    private func heal(_ fault: Fault, within range: ClosedRange<Duration>) {
        agenda.add(.healed(fault), at: clock.now + random.duration(in: range))
    }

    func heal(_ fault: Fault) {
        switch fault {
        case .brokerRestarted, .brokerForgot:
            bus.isUp = true
            for client in SimulatedBus<SimulatedMessage>.Client.allCases { reconnectSoon(client) }
        case .cameraUnplugged:
            camera.isPlugged = true
        case .cameraSilent:
            guard camera.isSilent else { return }
            camera.isSilent = false
            camera.skip(to: clock.now)
        case .diskFull, .diskFailed: disk.failure = nil
        case .diskSlow: isDiskSlow = false
        case .mediaServerGone: isMediaServerUp = true
        case .workerKilled, .workerHung, .rotationKilled, .rotationHung, .linkBroken, .clockStepped: break
        }
    }

    // MARK: Calm: everything is mended, and must settle

    func calm() {
        note("calm")
        isCalm = true
        for fault in Fault.allCases { heal(fault) }
        continueRotation()
        agenda.add(.startWorker, at: clock.now)
        agenda.add(.rotation(.start), at: clock.now)
        person.open.removeAll()
        person.wantsRecording = random.chance(0.8)
        say(
            .recording(
                person.wantsRecording ? .start(holder: .manual, duration: nil, preroll: nil) : .stop(holder: nil)))
        say(.viewing(.stop(holder: nil)))
        agenda.add(.calmEnds, at: clock.now + Self.settleTime)
    }

    func calmEnds() {
        note("calm ends")
        checkSettled()
        checkFiles()
        isCalm = false
        // A camera that is off sees no fault that matters.
        if !person.wantsRecording { say(.recording(.start(holder: .manual, duration: nil, preroll: nil))) }
        agenda.add(.calm, at: clock.now + random.duration(in: .seconds(3600) ... .seconds(18_000)))
    }

    // MARK: Commands

    func personActs() {
        agenda.add(.person, at: clock.now + random.duration(in: .seconds(60) ... .seconds(7200)))
        guard !isCalm else { return }
        let hall = Holder(rawValue: "motion:hall") ?? .manual
        let minutes = Duration.seconds(random.int(in: 5...1800))
        switch random.int(in: 0...13) {
        case 0...3: say(.recording(.start(holder: .manual, duration: nil, preroll: nil)))
        case 4, 5: say(.recording(.start(holder: hall, duration: minutes, preroll: nil)))
        case 6: say(.recording(.stop(holder: hall)))
        case 7: say(.recording(.stop(holder: nil)))
        case 8: say(.rotation(RotationCommand(at: nil)))
        case 9: say(.viewing(.start(holder: .mediaServer, duration: minutes)))
        case 10: say(.viewing(.stop(holder: nil)))
        case 11, 12: say(.snapshot(SnapshotCommand()))
        default: say(.restart(RestartCommand()))
        }
    }

    private func say(_ command: CameraCommand) {
        person.next += 1
        person.open[person.next] = command
        personAsksAgain(person.next)
    }

    func personAsksAgain(_ number: UInt64) {
        guard let command = person.open[number] else { return }
        switch command {
        case .restart: promises.excuse(.sourceLost, at: clock.now)
        case .recording(.stop):
            person.holdsLease = false
            person.stoppedAt = clock.now
        case .recording, .rotation, .viewing, .snapshot, .controls: break
        }
        publish(.command(command, number: number), from: .person)
        agenda.add(.personAsksAgain(number: number), at: clock.now + .seconds(12))
    }

    func personHears(_ number: UInt64) {
        guard let command = person.open.removeValue(forKey: number) else { return }
        // A stop that the bus repeats may come after the start that was said later.
        let isLate = person.stoppedAt.map { clock.now - $0 < .seconds(10) } ?? false
        if case .recording(.start(.manual, nil, _)) = command, !isLate { person.holdsLease = true }
    }
}
