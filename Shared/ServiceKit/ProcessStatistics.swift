internal import Glibc

/// What this process costs.
package struct ProcessStatistics: Sendable, Hashable {
    /// Resident memory (proc(5), `/proc/self/statm`); 0 if /proc is not there.
    package var rssBytes: UInt64
    /// User and system time since the start (getrusage(2)).
    package var cpuSeconds: Double

    package static func current() -> ProcessStatistics {
        var usage = rusage()
        // Cannot fail: the pointer is valid and RUSAGE_SELF exists.
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return ProcessStatistics(
            rssBytes: residentBytes(), cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime))
    }

    private static func residentBytes() -> UInt64 {
        // A process without /proc, in a bare container, is no reason to stop counting the rest.
        guard let bytes = try? AtomicFile.read("/proc/self/statm", atMost: 4096) else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
        return pages * UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0))
    }
}
