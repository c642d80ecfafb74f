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

    /// A file that does not change any more: beside the one before it, or beside what its session was given first.
    func checkCompleted(_ file: SimulatedDisk.File) {
        checkBeginning(of: file)
        if file.manifest.gap != nil { promises.gaps += 1 }
    }

    /// What is not complete yet beside what is, the ends of the sessions, and the ledger beside the files.
    func checkFiles() {
        flushIfDue()
        for file in disk.files.values where file.isPartial { checkBeginning(of: file) }
        guard isCalm else { return }
        for (session, record) in promises.sessions where !record.isEndChecked && session != worker?.cutter.session {
            checkEnd(of: session, record)
            promises.sessions[session]?.isEndChecked = true
        }
        checkLedger()
    }

    private func checkBeginning(of file: SimulatedDisk.File) {
        noteGiven()
        guard !file.pictures.isEmpty, let record = promises.sessions[file.manifest.session] else { return }
        if let before = self.file(of: record, below: file.manifest.index) {
            checkPair(before, file)
        } else if let first = record.first {
            checkFirst(file, first)
        }
    }

    /// The last file of a session with an index below `limit` that holds anything.
    private func file(of record: SessionRecord, below limit: Int) -> SimulatedDisk.File? {
        var index = limit - 1
        while index >= 0 {
            if let path = record.files[index], let file = disk.file(path), !file.pictures.isEmpty { return file }
            index -= 1
        }
        return nil
    }

    /// The first file that is left of a session begins with the first picture that could begin one, or says what came
    /// between.
    private func checkFirst(_ file: SimulatedDisk.File, _ first: SimulatedCamera.Picture) {
        let name = file.path.relativePath
        let lost = file.pictures.lowerBound - first.number
        guard let gap = file.manifest.gap else {
            if lost != 0 { promises.breaks(1, "\(name): begins \(lost) pictures after its session's first") }
            return
        }
        if let counted = gap.framesLost, counted < UInt64(max(lost, 0)) {
            promises.breaks(4, "\(name): \(counted) frames counted as lost, \(lost) are")
        }
        if !promises.isExcused(gap.cause, from: first.time - .seconds(60), to: file.startedAt + .seconds(2)) {
            promises.breaks(1, "\(name): nothing happened that explains a gap by \(gap.cause)")
        }
    }

    /// What no file of an ended session holds is told by a gap up to its end.
    private func checkEnd(of session: SessionID, _ record: SessionRecord) {
        guard let first = record.first, let newest = record.newest else { return }
        let last = file(of: record, below: (record.files.keys.max() ?? -1) + 1)
        let lost = newest.number + 1 - (last?.pictures.upperBound ?? first.number)
        // A camera may have been silent for as long as nobody can tell that from a pause.
        let slack = stallTimeout + settings.interval
        let keptUntil = last.map { $0.startedAt + $0.duration } ?? first.time
        let until = max(newest.time, record.endedAt ?? newest.time)
        guard lost > 0 || until - keptUntil > slack else { return }
        let told = record.told.contains { gap in
            guard gap.framesLost.map({ $0 >= UInt64(max(lost, 0)) }) ?? true else { return false }
            guard let last else { return true }
            let begin = last.manifest.startedAt
            return gap.from <= begin + last.duration + slack && gap.to + slack >= begin + (until - last.startedAt)
        }
        if !told {
            let place = last?.path.relativePath ?? "no file"
            promises.breaks(4, "\(session.short): \(lost) pictures up to \(until) are not in \(place) and in no gap")
        }
    }

    private func checkPair(_ before: SimulatedDisk.File, _ after: SimulatedDisk.File) {
        let name = after.path.relativePath
        let next = before.manifest.firstFrame + before.frames
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
