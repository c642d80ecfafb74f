internal import BusContract
internal import Domain
internal import ServiceKit

/// What the pipeline publishes of itself.
extension CapturePipeline {
    /// Where the rates of the next message begin.
    struct StatsMark: Sendable {
        var at: MonotonicTime
        var frames: UInt64
        var bytes: UInt64
    }

    /// Over the time since `mark`, which it sets; without one there are no rates.
    func stats(since mark: inout StatsMark?) -> StreamStats {
        let (now, counts) = (ServiceClock.now().monotonic, takeStats())
        var stats = StreamStats(counts, at: now, since: mark)
        mark = StatsMark(at: now, frames: counts.frames, bytes: counts.bytes)
        stats.publishDroppedTotal = publisher.dropped
        stats.partWriteSecondsP99 = recorder.partWriteP99.publishedSeconds
        stats.writtenBytesTotal = recorder.writtenBytes
        stats.queueDepth = recorder.queue.depth
        let process = ProcessStatistics.current()
        stats.rssBytes = process.rssBytes
        stats.cpuSeconds = process.cpuSeconds
        return stats
    }
}

extension StreamStats {
    /// What a pipeline has counted; the rest is others'.
    init(_ counts: PipelineStats, at now: MonotonicTime, since mark: CapturePipeline.StatsMark?) {
        self.init()
        if let mark, now > mark.at {
            let seconds = (now - mark.at).seconds
            fps = Double(counts.frames - mark.frames) / seconds
            bitrateBps = Double(counts.bytes - mark.bytes) * 8 / seconds
        }
        framesTotal = counts.frames
        bytesTotal = counts.bytes
        droppedTotal = counts.dropped
        timestampsRepairedTotal = counts.repaired
        prerollDroppedGroupsTotal = counts.prerollCut
        gopSeconds = counts.gop.publishedSeconds
        maxInterarrivalSeconds = counts.maxInterarrival.publishedSeconds
    }
}
