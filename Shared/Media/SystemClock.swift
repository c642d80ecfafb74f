internal import CAVShim
package import Domain
internal import Glibc

/// A reading of a monotonic clock. The Shell passes its own, so that a test can pass another.
package typealias MonotonicClock = @Sendable () -> MonotonicTime

/// The machine's own clock, for whoever brings no other.
package enum SystemClock {
    /// `CLOCK_MONOTONIC`, the clock that `MonotonicTime` is defined by.
    package static func now() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return MonotonicTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Whether something keeps the machine's wall clock right (adjtimex(2)); nil if the kernel does not say.
    package static var isSynchronized: Bool? {
        switch cav_clock_is_synchronized() {
        case 0: false
        case 1: true
        default: nil
        }
    }
}
