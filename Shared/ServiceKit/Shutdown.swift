internal import Synchronization

/// The one wish to stop that a process knows. Signals, a dead supervisor and the service itself all end here; whoever
/// must stop in order waits here. It is set once and never taken back; a second wish from a person makes it urgent.
package final class Shutdown: Sendable {
    private struct State {
        var reason: String?
        var isUrgent = false
        var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var urgentWaiters: [Int: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// Why the process is to stop: `SIGTERM`, `supervisor gone`; nil while it runs.
    package var reason: String? { state.withLock { $0.reason } }
    package var isRequested: Bool { reason != nil }
    /// Asked for twice: do not wait for anything.
    package var isUrgent: Bool { state.withLock { $0.isUrgent } }

    /// The first call counts; a further one makes it urgent.
    package func request(_ reason: String) {
        let woken = state.withLock { state in
            var woken = Array(state.waiters.values)
            state.waiters = [:]
            if state.reason == nil {
                state.reason = reason
            } else {
                state.isUrgent = true
                woken += state.urgentWaiters.values
                state.urgentWaiters = [:]
            }
            return woken
        }
        for waiter in woken { waiter.resume() }
    }

    /// Returns when the process is to stop, or when the task is cancelled.
    package func wait() async { await park(urgent: false) }

    /// Returns when the process is to stop at once, or when the task is cancelled.
    package func waitUntilUrgent() async { await park(urgent: true) }

    private func park(urgent: Bool) async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDone = state.withLock { state in
                    if Task.isCancelled || (urgent ? state.isUrgent : state.reason != nil) { return true }
                    if urgent { state.urgentWaiters[id] = continuation } else { state.waiters[id] = continuation }
                    return false
                }
                if isDone { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.removeValue(forKey: id) ?? state.urgentWaiters.removeValue(forKey: id)
            }
            waiter?.resume()
        }
    }
}
