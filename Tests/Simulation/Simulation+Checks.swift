import BusContract
import CaptureWorkerCore
import Domain
import TestSupport

/// The promises, as far as they can be seen from outside the Cores.
extension Simulation {
    private var group: Duration { settings.interval * settings.picturesPerGroup }

    /// After every event: what must never be, however short.
    func checkAfterStep() {
        if let fault = disk.faults.first { promises.breaks(1, fault) }
        guard let process = worker else { return }
        if let file = process.file {
            let age = clock.now - file.opening.time
            // A service that was away may come back with another grid, once; a stepped clock moves its grid again.
            let turns = promises.steppedAt > file.opening.time ? 3 : 2
            let most = settings.rotation.interval * turns
            if age > most + group + .seconds(40) { promises.breaks(2, "\(file.path) has been open for \(age)") }
        }
        if camera.isConnected, process.wantedRun == nil { promises.breaks(3, "a source runs that nobody wants") }
        if process.publisherRun != nil, process.wantedRun == nil {
            promises.breaks(3, "a stream is published that does not run")
        }
        if person.holdsLease, let recording = process.recording,
            !recording.leases.contains(where: { $0.holder == .manual })
        {
            promises.breaks(6, "a lease was forgotten")
        }
        if workerState.outbox.count > 100_000 { promises.breaks(6, "the outbox never empties") }
    }

    /// After a calm: everything is as the last command asked, and everybody knows.
    func checkSettled() {
        guard let process = worker, let recording = process.recording else {
            return promises.breaks(6, "no worker after a calm")
        }
        if let open = person.open.first { promises.breaks(6, "no answer to \(open.value)") }
        if case .recording(let told)? = bus.retained("recording"), told == recording {
        } else {
            promises.breaks(6, "the retained recording state is not the worker's")
        }
        if !workerState.outbox.isEmpty { promises.breaks(6, "\(workerState.outbox.count) events still wait") }
        if camera.isConnected, process.run == 0 { promises.breaks(3, "pictures come that nobody takes") }
        guard person.wantsRecording else { return checkIsOff(process) }
        if recording.state != .recording { promises.breaks(6, "recording is \(recording.state), not recording") }
        if !process.cutter.isOpen { promises.breaks(2, "no segment is open") }
        guard case .plan(let plan)? = bus.retained("rotation"), let next = plan.nextAt else {
            return promises.breaks(6, "no plan for a camera that records")
        }
        let wait = next - clock.reading.wall
        if wait < .seconds(-2) || wait > settings.rotation.interval * 2 {
            promises.breaks(6, "the plan names a boundary in \(wait)")
        }
    }

    private func checkIsOff(_ process: SimulatedWorker) {
        if process.recording?.state != .off { promises.breaks(6, "recording is not off") }
        // A command that the bus had repeated may have opened live view again; then it closes when its time has passed.
        let isViewed = (process.stream?.leases.viewing ?? 0) > 0 || process.stream?.state == .closing
        if camera.isConnected, settings.preroll == .zero, !isViewed {
            promises.breaks(3, "the source runs without a lease")
        }
        if let file = process.file { promises.breaks(6, "\(file.path) is still open") }
    }

    /// Every file beside its predecessor, and the ledger beside the files.
    func checkFiles() {
        flushIfDue()
        var sessions: [SessionID: [SimulatedDisk.File]] = [:]
        for file in disk.files.values { sessions[file.manifest.session, default: []].append(file) }
        for (session, unsorted) in sessions {
            let files = unsorted.sorted { $0.manifest.index < $1.manifest.index }
            let known = promises.checked[session] ?? 0
            guard files.count > known || known == 0 else { continue }
            for place in max(1, known - 1)..<max(1, max(files.count, known - 1)) where place < files.count {
                checkPair(files[place - 1], files[place])
            }
            promises.checked[session] = files.count
        }
        if isCalm { checkLedger() }
    }

    private func checkPair(_ before: SimulatedDisk.File, _ after: SimulatedDisk.File) {
        let name = after.path.relativePath
        let next = before.manifest.firstFrame + before.frames
        if after.pictures.isEmpty { return }
        guard let gap = after.manifest.gap else {
            if after.manifest.index != before.manifest.index + 1 {
                promises.breaks(4, "\(name): a segment is missing before it")
            }
            if after.manifest.firstFrame != next {
                promises.breaks(1, "\(name): begins with frame \(after.manifest.firstFrame), not \(next)")
            }
            if after.pictures.lowerBound != before.pictures.upperBound {
                promises.breaks(1, "\(name): pictures \(before.pictures) then \(after.pictures)")
            }
            return
        }
        promises.gaps += 1
        if after.manifest.firstFrame <= next { promises.breaks(4, "\(name): a gap without a hole in the numbers") }
        if after.pictures.lowerBound < before.pictures.upperBound { promises.breaks(1, "\(name): pictures twice") }
        let lost = after.pictures.lowerBound - before.pictures.upperBound
        if let counted = gap.framesLost, counted < UInt64(lost) {
            promises.breaks(4, "\(name): \(counted) frames counted as lost, \(lost) are")
        }
        let slack = settings.interval + .seconds(2)
        let end = before.manifest.startedAt + before.duration
        if gap.from > end + slack || gap.to + slack < after.manifest.startedAt {
            promises.breaks(
                4,
                "\(name): frames are missing from \(end) to \(after.manifest.startedAt), the gap says "
                    + " \(gap.from) to \(gap.to), \(gap.cause)"
            )
        }
        // What cost the frames happened after the last one that was kept was taken, or while parts waited.
        let from = before.startedAt + before.duration - slack - .seconds(60)
        if !promises.isExcused(gap.cause, from: from, to: after.startedAt + slack) {
            promises.breaks(1, "\(name): nothing happened that explains a gap by \(gap.cause)")
        }
    }

    private func checkLedger() {
        for file in disk.files.values {
            let key = SimulatedRotation.Key(session: file.manifest.session, index: file.manifest.index)
            if file.isPartial {
                if file.writer == nil { promises.breaks(5, "\(file.path) was left behind") }
                continue
            }
            guard let told = rotation.segments[key], told.event == .closed else {
                promises.breaks(4, "\(file.path) is not in the ledger")
                continue
            }
            if told.frames != file.frames || told.firstFrame != file.manifest.firstFrame {
                promises.breaks(
                    4, "\(file.path): the ledger counts \(told.frames ?? 0) frames, the file \(file.frames)")
            }
            // An event that the service was not there for is found by its next scan after the file is complete.
            let isScanned = file.startedAt + file.duration < clock.now - .seconds(340)
            guard isScanned, let gap = file.manifest.gap else { continue }
            let place = SimulatedRotation.GapKey(session: file.manifest.session, from: gap.from)
            if rotation.gaps[place] == nil { promises.breaks(4, "\(file.path): its gap is not in the ledger") }
        }
        for (key, told) in rotation.segments {
            guard let path = SegmentPath(relativePath: told.file) else {
                promises.breaks(4, "\(told.file) is no segment's path")
                continue
            }
            if disk.file(path) == nil, told.event == .closed {
                promises.breaks(4, "the ledger names \(key.index) of \(key.session), which is no file")
            }
        }
    }
}
