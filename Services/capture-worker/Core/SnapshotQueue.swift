package import BusContract
package import Domain

/// The snapshots that are asked for, and the one decoding that serves them.
///
/// Invariants: at most one job is under way; a request that wants what the job makes joins it, every other waits for
/// the next one, which serves all that wait; each request leaves once, answered or refused. `WorkerCore` decides when a
/// job may begin.
package struct SnapshotQueue: Hashable, Sendable {
    package struct Request: Hashable, Sendable {
        package var token: CommandToken
        package var wish: SnapshotCommand
        package var since: MonotonicTime
        package var deadline: MonotonicTime
    }

    struct Job: Hashable, Sendable {
        var number: Int
        var requests: [Request]
    }

    /// Requests that wait at once; more are refused.
    package static let waitingMax = 256
    /// What decoding and writing may take before the asker is told that it takes too long.
    package static let jobTimeout: Duration = .seconds(10)

    private(set) var waiting: [Request] = []
    private(set) var job: Job?
    private var jobs = 0

    package init() {}

    /// Nobody waits any more; a job may still be under way.
    var isEmpty: Bool { count == 0 }
    var count: Int { waiting.count + (job?.requests.count ?? 0) }

    var nextDeadline: MonotonicTime? {
        (waiting.map(\.deadline) + (job?.requests.map(\.deadline) ?? [])).min()
    }

    mutating func add(_ request: Request) {
        if job?.requests.contains(where: { $0.wish == request.wish }) == true {
            job?.requests.append(request)
        } else {
            waiting.append(request)
        }
    }

    /// Begins a job for all that wait; nil while one is under way or nobody waits.
    mutating func begin(at now: MonotonicTime) -> (number: Int, wishes: [SnapshotCommand])? {
        guard job == nil, !waiting.isEmpty else { return nil }
        jobs += 1
        let requests = waiting.map { request in
            var request = request
            request.deadline = max(request.deadline, now + Self.jobTimeout)
            return request
        }
        job = Job(number: jobs, requests: requests)
        waiting = []
        var wishes: [SnapshotCommand] = []
        for request in requests where !wishes.contains(request.wish) { wishes.append(request.wish) }
        return (jobs, wishes)
    }

    /// The requests that the job served; none if it is not the one under way.
    mutating func end(_ number: Int) -> [Request] {
        guard let job, job.number == number else { return [] }
        self.job = nil
        return job.requests
    }

    /// Those that waited for a picture that will not come.
    mutating func giveUpWaiting() -> [Request] {
        defer { waiting = [] }
        return waiting
    }

    mutating func expire(at now: MonotonicTime) -> [Request] {
        let late = (waiting + (job?.requests ?? [])).filter { $0.deadline <= now }
        waiting.removeAll { $0.deadline <= now }
        job?.requests.removeAll { $0.deadline <= now }
        return late
    }
}
