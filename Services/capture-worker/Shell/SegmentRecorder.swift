internal import CaptureWorkerCore
internal import Domain
internal import Media
internal import ServiceKit
internal import Synchronization

/// Writes the segments of one camera, on a thread of its own.
///
/// Owns the open segment file. Invariants: the next file exists before the last one is finished; a file gets its final
/// name only when all of it is on disk; after a failed write nothing of the session is written until the pipeline
/// begins a new segment. `CapturePipeline` fills its queue; what it has done it reports as events of the Core.
final class SegmentRecorder: Sendable {
    struct Settings: Sendable {
        var storage: String
        var durability: Durability
    }

    /// How long media may wait in memory when nothing follows it.
    static let flushAfter: Duration = .seconds(1)
    /// Part writes that the published percentile looks back on: those of a minute, and no more than so many.
    static let writeTimesMax = 256
    static let writeTimesAge: Duration = .seconds(60)

    let queue = RecorderQueue()
    private let settings: Settings
    private let folder: CameraFolder
    private let report: @Sendable (WorkerEvent) -> Void
    private let writeTimes = Mutex<[(at: MonotonicTime, took: Duration)]>([])
    private let bytesOnDisk = Atomic<UInt64>(0)

    init(_ settings: Settings, folder: CameraFolder, report: @escaping @Sendable (WorkerEvent) -> Void) {
        self.settings = settings
        self.folder = folder
        self.report = report
    }

    /// Frames that cannot be written any more: all of the session from this number on.
    struct Loss: Sendable {
        var session: SessionID
        var firstLost: UInt64
        /// Up to when frames are on disk.
        var keptUntil: MonotonicTime
        var error: CodedError

        var cause: GapCause { error.code == .storageFull ? .storageFull : .storageFailed }
    }

    /// Starts the thread. `lose` is called on it, before anything else is written; it is false if the session has
    /// ended, so that its gap is for the recorder to tell.
    func start(lose: @escaping @Sendable (Loss) -> Bool) {
        BlockingThread.start("recorder") { self.run(lose) }
    }

    /// The 99th percentile of the last part writes.
    var partWriteP99: Duration {
        let oldest = ServiceClock.now().monotonic - Self.writeTimesAge
        return writeTimes.withLock { times in
            let sorted = times.filter { $0.at >= oldest }.map(\.took).sorted()
            return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, sorted.count * 99 / 100)]
        }
    }

    /// Bytes of segments that reached the disk since the start.
    var writtenBytes: UInt64 { bytesOnDisk.load(ordering: .relaxed) }

    /// The open file, if there is one, and whom to tell when it is lost.
    private struct Slot {
        var file: Open?
        /// What a session has lost whose end is still in the queue.
        var untold: Loss?
        let lose: @Sendable (Loss) -> Bool
    }

    private struct Open {
        var writer: SegmentWriter
        var plan: SegmentPlan
        /// Of the newest frame handed to the writer, and of the newest on disk.
        var newest: MonotonicTime
        var keptUntil: MonotonicTime

        init(writer: SegmentWriter, plan: SegmentPlan) {
            self.writer = writer
            self.plan = plan
            newest = plan.opening.time
            keptUntil = plan.opening.time
        }

        var nextOnDisk: UInt64 { plan.opening.firstFrame + UInt64(writer.framesOnDisk) }
    }

    private func run(_ lose: @escaping @Sendable (Loss) -> Bool) {
        var slot = Slot(lose: lose)
        while true {
            let timeout = slot.file?.writer.hasUnwritten == true ? Self.flushAfter : nil
            guard let job = queue.take(timeout: timeout) else {
                flush(&slot)
                continue
            }
            switch job {
            case .open(let plan, let nextVideoDTS): turn(&slot, to: plan, nextVideoDTS: nextVideoDTS)
            case .packet(let packet): append(packet, to: &slot)
            case .close(let reason): finish(&slot, reason: reason, nextVideoDTS: nil)
            case .end(let ending):
                finish(&slot, reason: ending.reason, nextVideoDTS: nil)
                report(.sessionEnded(ending.session, ending.gap(after: slot.untold)))
                slot.untold = nil
            case .quit:
                finish(&slot, reason: .shutdown, nextVideoDTS: nil)
                return
            }
        }
    }

    private func turn(_ slot: inout Slot, to plan: SegmentPlan, nextVideoDTS: Int64?) {
        // What follows a loss up to the session's end is part of the loss.
        guard slot.untold?.session != plan.opening.session else { return }
        let next: Open
        do {
            try folder.check()
            next = Open(
                writer: try SegmentWriter(
                    storage: settings.storage, manifest: plan.manifest, format: plan.format,
                    durability: settings.durability), plan: plan)
        } catch {
            finish(&slot, reason: .error, nextVideoDTS: nextVideoDTS)
            lost(error, from: plan.opening.firstFrame, keptUntil: plan.opening.time, of: plan, in: &slot)
            return
        }
        let file = next.writer.path.relativePath
        report(
            .segmentOpened(SegmentOpened(opening: plan.opening, file: file, startedAt: plan.manifest.startedAt)))
        guard finish(&slot, reason: .rotation, nextVideoDTS: nextVideoDTS) else {
            abandon(next)
            return
        }
        slot.file = next
    }

    private func append(_ packet: Packet, to slot: inout Slot) {
        guard slot.file != nil else { return }
        do {
            // A part is written before the packet that no longer fits into it.
            written(try slot.file?.writer.append(packet), in: &slot)
            if let newest = slot.file?.newest { slot.file?.newest = max(newest, packet.arrival) }
        } catch {
            fail(&slot, error)
        }
    }

    private func flush(_ slot: inout Slot) {
        do {
            written(try slot.file?.writer.flushPart(), in: &slot)
        } catch {
            fail(&slot, error)
        }
    }

    private func written(_ part: PartReport?, in slot: inout Slot) {
        guard let part else { return }
        bytesOnDisk.add(UInt64(part.bytes), ordering: .relaxed)
        if let newest = slot.file?.newest { slot.file?.keptUntil = newest }
        writeTimes.withLock { times in
            if times.count >= Self.writeTimesMax { times.removeFirst() }
            times.append((ServiceClock.now().monotonic, part.writeSeconds))
        }
        guard part.isFirst, let opening = slot.file?.plan.opening else { return }
        report(.firstPartWritten(opening.session, index: opening.index))
    }

    /// False if the file could not be completed; then everything from its first unwritten frame is lost.
    @discardableResult
    private func finish(_ slot: inout Slot, reason: SegmentEnd, nextVideoDTS: Int64?) -> Bool {
        guard let done = slot.file else { return true }
        let hadPart = done.writer.framesOnDisk > 0
        do {
            let finished = try done.writer.finish(nextVideoDTS: nextVideoDTS)
            let kept = Kept(
                path: finished.path, frames: finished.videoFrames, bytes: finished.bytes, duration: finished.duration)
            // A file that ends within its first part has it on disk only now.
            if !hadPart, finished.videoFrames > 0 {
                report(.firstPartWritten(done.plan.opening.session, index: done.plan.opening.index))
            }
            report(.segmentClosed(closed(done.plan, kept, reason: reason)))
            slot.file = nil
            return true
        } catch {
            fail(&slot, error)
            return false
        }
    }

    private func fail(_ slot: inout Slot, _ error: CodedError) {
        guard var failed = slot.file else { return }
        slot.file = nil
        // A file may be written to its end and still not get its name.
        if !failed.writer.hasUnwritten { failed.keptUntil = failed.newest }
        lost(error, from: failed.nextOnDisk, keptUntil: failed.keptUntil, of: failed.plan, in: &slot)
        abandon(failed)
    }

    private func lost(
        _ error: CodedError, from number: UInt64, keptUntil: MonotonicTime, of plan: SegmentPlan, in slot: inout Slot
    ) {
        let loss = Loss(session: plan.opening.session, firstLost: number, keptUntil: keptUntil, error: error)
        if !slot.lose(loss), slot.untold == nil { slot.untold = loss }
        report(.storageFailed(plan.opening.session, error))
    }

    /// Keeps what is on disk as a segment of its own. If even that fails, the rotation-service finds the file.
    private func abandon(_ open: Open) {
        open.writer.abandon()
        let path = settings.storage + "/" + open.writer.path.relativePath
        do {
            // It may have its name already, if only its folder could not be synced.
            let found =
                open.writer.path.isPartial
                ? try SegmentRecovery.finish(path)?.inspection : try SegmentFileReader.inspect(path)
            guard let inspection = found, inspection.parts > 0 else { return }
            let kept = Kept(
                path: open.writer.path.completed, frames: inspection.videoFrames, bytes: inspection.completeBytes,
                duration: inspection.duration)
            report(.segmentClosed(closed(open.plan, kept, reason: .error)))
        } catch {
            // Not a storage failure of its own: that the disk refuses has been told, and is waited for.
            report(.segmentLeft(file: open.writer.path.relativePath, error))
        }
    }

    /// What a file holds in the end.
    private struct Kept {
        var path: SegmentPath
        var frames: Int
        var bytes: Int64
        var duration: Duration
    }

    private func closed(_ plan: SegmentPlan, _ kept: Kept, reason: SegmentEnd) -> SegmentClosed {
        SegmentClosed(
            session: plan.opening.session, index: plan.opening.index, file: kept.path.relativePath,
            startedAt: plan.manifest.startedAt, duration: kept.duration, frames: UInt64(kept.frames),
            firstFrame: plan.opening.firstFrame, bytes: UInt64(max(kept.bytes, 0)), offset: plan.opening.offset,
            reason: reason)
    }
}
