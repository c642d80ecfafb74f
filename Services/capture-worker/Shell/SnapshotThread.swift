internal import BusContract
internal import CaptureWorkerCore
internal import Dispatch
internal import Domain
internal import Media
internal import ServiceKit
internal import Synchronization

/// The thread on which a camera's snapshots are made, and between them the stream is followed where that pays.
///
/// Owns the follower for as long as the thread lives: while there is a job or a stream to follow. Invariant: jobs go
/// before following, which stops between two pictures for them. `CapturePipeline` puts jobs and tells of frames.
final class SnapshotThread: Sendable {
    struct Job: Sendable {
        var wishes: [SnapshotCommand]
        var done: @Sendable (Result<[SnapshotTaker.Picture], CodedError>) -> Void
    }

    /// The newest group of pictures of the stream, empty without one.
    typealias Group = @Sendable () -> [CapturePipeline.Kept]

    private struct State {
        /// One at most: the Core asks for the next when the last is done.
        var jobs: [Job] = []
        var following = SnapshotFollowing()
        var hasNews = false
        var isRunning = false
    }

    private enum Turn {
        case job(Job)
        case follow
        case wait(until: MonotonicTime)
        case end
    }

    private let taker: SnapshotTaker
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)

    init(_ taker: SnapshotTaker) { self.taker = taker }

    func put(_ job: Job, from group: @escaping Group) {
        let starts = state.withLock { state in
            state.jobs.append(job)
            state.following.asked(at: ServiceClock.now().monotonic)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if starts { BlockingThread.start("snapshot") { self.run(group) } } else { wake.signal() }
    }

    /// Called for every video frame of the stream.
    func frameCame() {
        let isNews = state.withLock { state in
            guard state.isRunning, !state.hasNews else { return false }
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

    private func run(_ group: Group) {
        let follower = PictureFollower()
        while true {
            switch nextTurn() {
            case .job(let job): make(job, group(), follower)
            case .follow: follow(group(), follower)
            case .wait(let moment):
                let left = moment - ServiceClock.now().monotonic
                _ = wake.wait(timeout: .now() + left.seconds)
            case .end: return
            }
        }
    }

    private func nextTurn() -> Turn {
        state.withLock { state in
            if !state.jobs.isEmpty { return .job(state.jobs.removeFirst()) }
            guard let until = state.following.until(at: ServiceClock.now().monotonic) else {
                state.isRunning = false
                state.hasNews = false
                return .end
            }
            guard state.hasNews else { return .wait(until: until) }
            state.hasNews = false
            return .follow
        }
    }

    private func make(_ job: Job, _ group: [CapturePipeline.Kept], _ follower: PictureFollower) {
        let now = ServiceClock.now()
        do throws(CodedError) {
            job.done(.success(try taker.take(job.wishes, from: group, follower: follower, at: now)))
        } catch {
            job.done(.failure(error))
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
