internal import CAVShim
package import Domain
internal import Glibc
internal import Synchronization

/// Lets one thread wait for a moment and any other thread end the wait for good.
///
/// Owned by a source or a device. It is also libav's interrupt callback: a blocking call ends when the source was
/// interrupted or its deadline has passed.
package final class WakeSignal: Sendable {
    /// Readable once it was interrupted, for poll(2).
    package let descriptor: Int32
    private let interrupted = Atomic<Bool>(false)
    /// On the monotonic clock, in nanoseconds; `Int64.max`: none.
    private let deadline = Atomic<Int64>(.max)

    package init() { descriptor = cav_wake_open() }
    deinit { close(descriptor) }

    package var isInterrupted: Bool { interrupted.load(ordering: .acquiring) }

    /// From any thread; it cannot be taken back.
    package func interrupt() {
        interrupted.store(true, ordering: .releasing)
        cav_wake_signal(descriptor)
    }

    /// The system's clock and not an injected one: it bounds calls that block for real.
    func allow(_ span: Duration) {
        deadline.store((SystemClock.now() + span).nanoseconds, ordering: .releasing)
    }

    var isOverdue: Bool { SystemClock.now().nanoseconds >= deadline.load(ordering: .acquiring) }
    var shouldStop: Bool { isInterrupted || isOverdue }

    /// Waits until `moment` on `clock`; false if interrupted.
    package func wait(until moment: MonotonicTime, clock: MonotonicClock) -> Bool {
        while !isInterrupted {
            let left = (moment - clock()).nanoseconds
            guard left > 0 else { return true }
            cav_wake_wait(descriptor, left)
        }
        return false
    }

    /// What a call that was interrupted is reported as.
    static let interruption = CodedError(.sourceUnavailable, "the source was interrupted")

    /// What a call that ended early is reported as.
    package var reason: CodedError {
        isInterrupted
            ? Self.interruption
            : CodedError(.timeout, "the source sent nothing in time")
    }
}
