internal import CaptureWorkerCore
internal import Domain
internal import Glibc
internal import Media
// `timespec` is seen there by some builds; without it they refuse its fields.
internal import SwiftOverlayShims

/// What the recorder's thread is to do next.
enum RecorderJob: Sendable {
    /// Opens a segment; where one is open, that one is finished after the new file exists.
    case open(SegmentPlan, nextVideoDTS: Int64?)
    case packet(Packet)
    /// Ends the open segment, the session goes on.
    case close(SegmentEnd)
    /// Ends the session, and its open segment with it.
    case end(SessionEnding)
    /// Ends the thread.
    case quit

    /// What waits on behalf of frames, and is void once the frames are lost.
    var isMedia: Bool {
        switch self {
        case .open, .packet: true
        case .close, .end, .quit: false
        }
    }
}

/// How a session ended, as the pipeline saw it.
struct SessionEnding: Sendable {
    var session: SessionID
    var reason: SegmentEnd
    /// The gap that was open then.
    var gap: SegmentCutter.EndedGap?
    var at: MonotonicTime
    /// One above the last number given.
    var nextFrame: UInt64

    /// The gap to tell when frames before the end turn out not to be on disk, too late for the pipeline to know.
    func gap(after loss: SegmentRecorder.Loss?) -> SegmentCutter.EndedGap? {
        guard let loss, loss.session == session, loss.firstLost < nextFrame else { return gap }
        let counted = gap.map { $0.framesLost != nil } ?? true
        return SegmentCutter.EndedGap(
            from: loss.keptUntil, to: max(gap?.to ?? at, loss.keptUntil), cause: loss.cause,
            framesLost: counted ? nextFrame - loss.firstLost : nil)
    }
}

/// A segment to be written.
struct SegmentPlan: Sendable {
    var opening: SegmentCutter.Opening
    var manifest: SegmentManifest
    var format: StreamFormat
}

/// The bounded queue between the source's thread and the recorder's.
///
/// Media jobs are bounded by bytes and number; the source's thread asks `hasRoom` and drops or waits. Other jobs always
/// fit: there are few. A pthread mutex and condition, since both sides are threads of their own that must block, not
/// suspend.
///
/// Unchecked Sendable: every stored property is touched under `mutex` only; the C objects never move.
final class RecorderQueue: @unchecked Sendable {
    /// Half a minute of 16 Mbit/s.
    static let bytesMax = 64 * 1024 * 1024
    /// After an overrun, frames are taken again when the queue has drained to this.
    static let bytesLow = bytesMax / 4
    /// Bounds the memory of tiny packets.
    static let jobsMax = 65_536
    static let jobsLow = jobsMax / 4

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let filled = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private let drained = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [RecorderJob?] = []
    private var head = 0
    private var bytes = 0
    /// What a pre-roll has put in at once, on top of the bounds, until the queue has drained.
    private var burst = (bytes: 0, jobs: 0)
    private var isQuitting = false

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_cond_init(drained, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_cond_destroy(drained)
        pthread_mutex_destroy(mutex)
        filled.deallocate()
        drained.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    var depth: Int { locked { jobs.count - head } }
    var isLow: Bool { locked { hasDrained } }
    private var hasDrained: Bool { bytes <= Self.bytesLow && jobs.count - head <= Self.jobsLow }
    var hasRoom: Bool { locked { isWithinBounds } }
    private var isWithinBounds: Bool {
        bytes < Self.bytesMax + burst.bytes && jobs.count - head < Self.jobsMax + burst.jobs
    }

    /// Takes what waits now as a burst that is no sign of a slow disk: the frames of a pre-roll are in memory anyway.
    func allowBurst() { locked { burst = (bytes, jobs.count - head) } }

    /// Blocks a source that is faster than the disk until there is room, or until the queue quits.
    func waitForRoom() {
        locked {
            while !isWithinBounds, !isQuitting { pthread_cond_wait(drained, mutex) }
        }
    }

    func put(_ job: RecorderJob) {
        locked {
            jobs.append(job)
            if case .packet(let packet) = job { bytes += packet.byteCount }
            if case .quit = job {
                isQuitting = true
                pthread_cond_broadcast(drained)
            }
            pthread_cond_signal(filled)
        }
    }

    /// Drops what waits on behalf of frames.
    func dropMedia() {
        locked {
            let kept = jobs[head...].filter { $0?.isMedia == false }
            jobs = Array(kept)
            head = 0
            bytes = 0
            burst = (0, 0)
            pthread_cond_broadcast(drained)
        }
    }

    /// The next job; nil if none came within `timeout`, which nil makes endless.
    func take(timeout: Duration?) -> RecorderJob? {
        locked {
            var limit = timespec()
            clock_gettime(CLOCK_MONOTONIC, &limit)
            let nanoseconds = Int64(limit.tv_nsec) + (timeout?.nanoseconds ?? 0)
            limit.tv_sec += Int(nanoseconds / 1_000_000_000)
            limit.tv_nsec = Int(nanoseconds % 1_000_000_000)
            while head == jobs.count {
                if timeout == nil {
                    pthread_cond_wait(filled, mutex)
                } else if pthread_cond_timedwait(filled, mutex, &limit) == ETIMEDOUT {
                    return nil
                }
            }
            return removeFirst()
        }
    }

    private func removeFirst() -> RecorderJob? {
        let job = jobs[head]
        jobs[head] = nil
        head += 1
        if case .packet(let packet)? = job { bytes -= packet.byteCount }
        if hasDrained { burst = (0, 0) }
        if head == jobs.count || head > 4096 {
            jobs.removeFirst(head)
            head = 0
        }
        pthread_cond_signal(drained)
        return job
    }
}
