internal import BusContract
internal import CaptureWorkerCore
internal import Dispatch
internal import Domain
internal import Media
internal import ServiceKit
internal import Synchronization

/// The thread on which a camera's snapshots are made, and between them the stream is followed where that pays.
///
/// Owns the follower for as long as the thread lives: while there is a job or a stream to follow. Invariants: jobs go
/// before following, which stops between two pictures for them; a job that the newest group of pictures cannot serve,
/// being too long or gone, waits for the next key frame, and no longer than its deadline. `CapturePipeline` puts jobs
/// and tells of frames.
final class SnapshotThread: Sendable {
    struct Job: Sendable {
        var wishes: [SnapshotCommand]
        /// Until when the picture may begin that it is made of.
        var deadline: MonotonicTime
        var done: @Sendable (Result<[SnapshotTaker.Picture], CodedError>) -> Void
    }

    /// What the pictures are made of.
    struct Stream: Sendable {
        /// The newest group of pictures, empty without one.
        var group: @Sendable () -> [CapturePipeline.Kept]
        /// A source that does not encode has its own, in its own time.
        var requestKeyFrame: @Sendable () -> Void
    }

    private struct State {
        /// One at most, here or waiting: the Core asks for the next when the last is done.
        var jobs: [Job] = []
        var waiting: (job: Job, error: CodedError)?
        /// Since the group was taken that the last job was made of.
        var hasKeyFrame = false
        var following = SnapshotFollowing()
        var hasNews = false
        var isRunning = false
    }

    private enum Turn {
        case job(Job)
        case follow
        case wait(until: MonotonicTime)
        /// No picture began in time.
        case giveUp(Job, CodedError)
        case end
    }

    private let taker: SnapshotTaker
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let start: ThreadStart

    typealias ThreadStart = @Sendable (_ body: @escaping @Sendable () -> Void) throws(CodedError) -> Void

    init(
        _ taker: SnapshotTaker,
        start: @escaping ThreadStart = { body throws(CodedError) in try BlockingThread.attempt("snapshot", body) }
    ) {
        self.taker = taker
        self.start = start
    }

    func put(_ job: Job, from stream: Stream) {
        let starts = state.withLock { state in
            state.jobs.append(job)
            state.following.asked(at: ServiceClock.now().monotonic)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        guard starts else {
            wake.signal()
            return
        }
        do throws(CodedError) {
            try start { self.run(stream) }
        } catch {
            let refused = state.withLock { state in
                state.isRunning = false
                defer { state.jobs = [] }
                return state.jobs
            }
            for job in refused { job.done(.failure(error)) }
        }
    }

    /// Called for every video frame of the stream.
    func frameCame(isKey: Bool) {
        let isNews = state.withLock { state in
            if isKey { state.hasKeyFrame = true }
            guard state.isRunning, !state.hasNews || isKey else { return false }
            state.hasNews = true
            return true
        }
        if isNews { wake.signal() }
    }

    /// The stream is closed; what was decoded of it is let go.
    func streamEnded() {
        state.withLock { $0.following.ended() }
        wake.signal()
    }

    private func run(_ stream: Stream) {
        let follower = PictureFollower()
        while true {
            switch nextTurn() {
            case .job(let job): make(job, stream, follower)
            case .follow: follow(stream.group(), follower)
            case .wait(let moment):
                let left = moment - ServiceClock.now().monotonic
                _ = wake.wait(timeout: .now() + left.seconds)
            case .giveUp(let job, let error): job.done(.failure(error))
            case .end: return
            }
        }
    }

    private func nextTurn() -> Turn {
        state.withLock { state in
            if !state.jobs.isEmpty { return .job(state.jobs.removeFirst()) }
            let now = ServiceClock.now().monotonic
            if let (job, error) = state.waiting {
                guard state.hasKeyFrame || job.deadline <= now else { return .wait(until: job.deadline) }
                state.waiting = nil
                return state.hasKeyFrame ? .job(job) : .giveUp(job, error)
            }
            guard let until = state.following.until(at: now) else {
                state.isRunning = false
                state.hasNews = false
                return .end
            }
            guard state.hasNews else { return .wait(until: until) }
            state.hasNews = false
            return .follow
        }
    }

    private func make(_ job: Job, _ stream: Stream, _ follower: PictureFollower) {
        state.withLock { $0.hasKeyFrame = false }
        let group = stream.group()
        let now = ServiceClock.now()
        do throws(CodedError) {
            job.done(.success(try taker.take(job.wishes, from: group, follower: follower, at: now)))
        } catch {
            let needsKeyFrame = error.code == .timeout || error.code == .notReady
            // Decoding in vain has taken its time.
            guard needsKeyFrame, ServiceClock.now().monotonic < job.deadline else { return job.done(.failure(error)) }
            state.withLock { $0.waiting = (job, error) }
            stream.requestKeyFrame()
        }
    }

    /// A stream that cannot be followed is decoded when a snapshot is wanted, which says why it cannot be.
    private func follow(_ group: [CapturePipeline.Kept], _ follower: PictureFollower) {
        guard let format = group.last?.format else { return }
        let begunAt = ServiceClock.now().monotonic
        let hasCaughtUp: Bool
        do throws(CodedError) {
            hasCaughtUp = try follower.follow(group.filter { $0.format === format }.map(\.packet), format: format) {
                state.withLock { $0.jobs.isEmpty && $0.following.until(at: begunAt) != nil }
            }
        } catch {
            return state.withLock { $0.following.ended() }
        }
        let now = ServiceClock.now().monotonic
        state.withLock { $0.following.worked(now - begunAt, hasCaughtUp: hasCaughtUp, at: now) }
    }
}
