import CaptureWorkerCore
import Domain
import TestSupport

/// The recorder's thread: parts, files and what happens when the disk refuses.
extension Simulation {
    func put(_ job: SimulatedWorker.Job) {
        worker?.jobs.append(job)
        guard let process = worker, !process.isDraining else { return }
        guard isDiskSlow || random.chance(0.01) else { return drain() }
        worker?.isDraining = true
        let pause = random.duration(in: .milliseconds(1)...(isDiskSlow ? .seconds(20) : .milliseconds(300)))
        agenda.add(.recorderTurns(process: process.id), at: clock.now + pause)
    }

    func drain() {
        while worker?.jobs.isEmpty == false, let job = worker?.jobs.removeFirst() {
            switch job {
            case .open(let opening, let manifest): turn(to: opening, manifest)
            case .picture(let picture): append(picture)
            case .close(let reason): finish(reason)
            case .end(let ending): end(ending)
            }
        }
    }

    private func end(_ ending: SimulatedWorker.Ending) {
        finish(ending.reason)
        let gap = worker?.untold.map { $0.gap(with: ending) } ?? ending.gap
        if worker?.untold?.session == ending.session { worker?.untold = nil }
        report(.sessionEnded(ending.session, settings.sabotage == .forgetsLastGap ? nil : gap))
    }

    private func turn(to opening: SegmentCutter.Opening, _ manifest: SegmentManifest) {
        guard let process = worker, process.untold?.session != opening.session else { return }
        do throws(CodedError) {
            let path = try disk.create(manifest, startedAt: opening.time, writer: process.id)
            promises.sessions[opening.session]?.files[opening.index] = path
            note(
                "opens \(path) with frame \(opening.firstFrame), \(opening.wish == nil ? "unasked" : "as asked")"
            )
            report(
                .segmentOpened(
                    SegmentOpened(opening: opening, file: path.relativePath, startedAt: manifest.startedAt)))
            let next = SimulatedWorker.OpenFile(
                path: path, opening: opening, startedAt: manifest.startedAt, keptUntil: opening.time)
            guard finish(.rotation) else { return abandon(next) }
            worker?.file = next
        } catch {
            finish(.error)
            lost(error, from: opening.firstFrame, at: opening.time, of: opening.session)
        }
    }

    private func append(_ picture: SimulatedCamera.Picture) {
        guard var file = worker?.file else { return }
        flushIfDue()
        file = worker?.file ?? file
        guard worker?.file != nil else { return }
        if file.unwritten != nil, picture.time - file.unwrittenSince >= SimulatedWorker.partMax {
            guard writePart(until: picture.time), let written = worker?.file else { return }
            file = written
        }
        if let part = file.unwritten {
            if part.upperBound != picture.number {
                promises.breaks(1, "picture \(picture.number) follows \(part.upperBound - 1) inside one file")
            }
            file.unwritten = part.lowerBound..<picture.number + 1
        } else {
            file.unwritten = picture.number..<picture.number + 1
            file.unwrittenSince = picture.time
        }
        file.newestAt = clock.now
        file.newestPicture = picture.time
        worker?.file = file
        if file.framesOnDisk == 0, let process = worker, !process.isDraining {
            worker?.isDraining = true
            agenda.add(.recorderTurns(process: process.id), at: clock.now + SimulatedWorker.partMax)
        }
    }

    /// The part in memory goes to disk when nothing has followed for a second; evaluated whenever somebody looks.
    func flushIfDue() {
        guard let file = worker?.file, file.unwritten != nil, file.newestAt + SimulatedWorker.partMax <= clock.now
        else { return }
        writePart(until: nil)
    }

    @discardableResult
    private func writePart(until next: MonotonicTime?) -> Bool {
        guard let file = worker?.file, let part = file.unwritten else { return true }
        let end = next ?? file.newestPicture + settings.interval
        do throws(CodedError) {
            try disk.append(part, until: end, to: file.path)
        } catch {
            fail(error)
            return false
        }
        worker?.file?.unwritten = nil
        worker?.file?.keptUntil = end
        worker?.file?.framesOnDisk += UInt64(part.count)
        if file.framesOnDisk == 0 { report(.firstPartWritten(file.opening.session, index: file.opening.index)) }
        return true
    }

    @discardableResult
    private func finish(_ reason: SegmentEnd) -> Bool {
        guard worker?.file != nil else { return true }
        guard writePart(until: nil), let done = worker?.file else { return false }
        do throws(CodedError) {
            try disk.complete(done.path)
        } catch {
            fail(error)
            return false
        }
        worker?.file = nil
        reportClosed(done, reason)
        return true
    }

    private func reportClosed(_ file: SimulatedWorker.OpenFile, _ reason: SegmentEnd) {
        guard let kept = disk.file(file.path) else { return }
        promises.segments += 1
        checkCompleted(kept)
        report(
            .segmentClosed(
                SegmentClosed(
                    session: file.opening.session, index: file.opening.index,
                    file: file.path.completed.relativePath, startedAt: file.startedAt, duration: kept.duration,
                    frames: kept.frames, firstFrame: file.opening.firstFrame, bytes: kept.bytes,
                    offset: file.opening.offset, reason: reason)))
    }

    private func fail(_ error: CodedError) {
        guard let failed = worker?.file else { return }
        worker?.file = nil
        lost(
            error, from: failed.opening.firstFrame + failed.framesOnDisk, at: failed.keptUntil,
            of: failed.opening.session)
        abandon(failed)
    }

    private func lost(_ error: CodedError, from number: UInt64, at time: MonotonicTime, of session: SessionID) {
        let cause: GapCause = error.code == .storageFull ? .storageFull : .storageFailed
        promises.excuse(cause, at: clock.now)
        note(
            "lost from \(number), kept until \(clock.reading.wall(at: time)), next \(worker?.cutter.nextFrame ?? 0)"
        )
        if worker?.cutter.session == session {
            worker?.cutter.lose(cause, at: time, firstLost: number, mayOpen: false)
            worker?.jobs.removeAll { $0.isMedia }
        } else if worker?.untold == nil {
            worker?.untold = SimulatedWorker.Loss(session: session, firstLost: number, keptUntil: time, cause: cause)
        }
        report(.storageFailed(session, error))
    }

    private func abandon(_ file: SimulatedWorker.OpenFile) {
        disk.release(file.path)
        do throws(CodedError) {
            guard try disk.recover(file.path) != nil else { return }
            reportClosed(file, .error)
        } catch {
            report(.storageFailed(file.opening.session, error))
        }
    }
}
