package import Domain
internal import Glibc

/// The one place where a Shell reads the machine's clocks.
package enum ServiceClock {
    /// One reading of both clocks, CLOCK_MONOTONIC and CLOCK_REALTIME (clock_gettime(2)).
    package static func now() -> Now {
        Now(
            monotonic: MonotonicTime(nanoseconds: read(CLOCK_MONOTONIC)),
            wall: WallTime(nanoseconds: read(CLOCK_REALTIME)))
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        // Cannot fail: both clocks exist on every Linux, and the pointer is valid.
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}
