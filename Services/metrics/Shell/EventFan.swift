internal import Domain
internal import Glibc
internal import MetricsCore
internal import Synchronization

/// Gives announcements to everybody who listens. Owns the log of the newest ones and the listeners' queues.
///
/// Invariants: at most `listenersMax` listeners; a listener that falls behind by `queueMax` announcements is told to
/// ask anew and is ended, and costs the others nothing.
final class EventFan: Sendable {
    static let listenersMax = 32

    private struct State {
        var log: EventLog
        var listeners: [Int: EventSubscription] = [:]
        var next = 0
    }

    private let state: Mutex<State>

    /// - Parameter start: of this run of the service.
    init(start: WallTime) { state = Mutex(State(log: EventLog(start: start))) }

    var count: Int { state.withLock { $0.listeners.count } }

    func announce(_ announcement: Announcement) {
        let (entry, listeners) = state.withLock { state in
            (state.log.add(announcement), Array(state.listeners.values))
        }
        for listener in listeners { listener.offer(entry) }
    }

    /// - Parameter lastSeen: the number of the last event that the listener has; nil: it begins now.
    /// - Returns: nil if there are too many listeners.
    func listen(_ query: EventsQuery, lastSeen: UInt64?) -> EventSubscription? {
        state.withLock { state in
            guard state.listeners.count < Self.listenersMax else { return nil }
            state.next += 1
            let number = state.next
            let subscription = EventSubscription(query: query) { [weak self] in self?.remove(number) }
            subscription.begin(after: lastSeen, at: state.log.last, missed: lastSeen.map { state.log.since($0) } ?? [])
            state.listeners[number] = subscription
            return subscription
        }
    }

    /// Ends everybody; threads that wait come back.
    func stop() {
        for listener in state.withLock({ Array($0.listeners.values) }) { listener.finish() }
    }

    private func remove(_ number: Int) { state.withLock { _ = $0.listeners.removeValue(forKey: number) } }
}

/// One listener's queue. `next` blocks its thread; everything else never waits.
///
/// Safe: the mutex and the condition variable are touched only under that mutex, and live as long as this object.
final class EventSubscription: @unchecked Sendable {
    /// Announcements that wait for a slow listener.
    static let queueMax = 512
    /// After so long without an event a comment is sent, so that proxies and dead connections are noticed.
    static let silenceSecondsMax: Int = 15

    private let query: EventsQuery
    private let onEnd: @Sendable () -> Void
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>
    private var queue: [String] = []
    private var isFinished = false

    init(query: EventsQuery, onEnd: @escaping @Sendable () -> Void) {
        self.query = query
        self.onEnd = onEnd
        mutex = .allocate(capacity: 1)
        condition = .allocate(capacity: 1)
        pthread_mutex_init(mutex, nil)
        // The clock that nobody sets.
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    private func locked<Value>(_ body: () -> Value) -> Value {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    /// The first line is the number that it goes on from: a browser whose line breaks before it has heard anything
    /// then asks for what it missed.
    /// - Parameter missed: nil: more than is known; the listener has to ask for everything.
    func begin(after lastSeen: UInt64?, at number: UInt64, missed: [EventLog.Entry]?) {
        locked {
            queue.append("id: \(missed == nil ? number : lastSeen ?? number)\nretry: 2000\n\n")
            if let missed {
                queue += missed.filter { query.wants($0.announcement) }.map(\.wire)
            } else {
                queue.append("event: reset\ndata: {}\n\n")
            }
            pthread_cond_signal(condition)
        }
    }

    func offer(_ entry: EventLog.Entry) {
        guard query.wants(entry.announcement) else { return }
        locked {
            guard !isFinished else { return }
            if queue.count >= Self.queueMax {
                queue = ["event: reset\ndata: {}\n\n"]
                isFinished = true
            } else {
                queue.append(entry.wire)
            }
            pthread_cond_signal(condition)
        }
    }

    /// What is to be sent next, waiting for it; nil: it is over.
    func next() -> String? {
        locked {
            if queue.isEmpty, !isFinished {
                var until = timespec()
                clock_gettime(CLOCK_MONOTONIC, &until)
                until.tv_sec += Self.silenceSecondsMax
                pthread_cond_timedwait(condition, mutex, &until)
            }
            guard !queue.isEmpty else { return isFinished ? nil : ": still here\n\n" }
            defer { queue = [] }
            return queue.joined()
        }
    }

    func finish() {
        locked {
            isFinished = true
            pthread_cond_signal(condition)
        }
    }

    /// The listener has gone.
    func end() {
        finish()
        onEnd()
    }
}
