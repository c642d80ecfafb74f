package import Foundation

/// Processes as /proc shows them.
package enum ProcessTable {
    /// One process and not another that was given the same number later.
    package struct Identity: Hashable, Sendable {
        var pid: Int32
        /// Since the machine's start (proc(5), `stat` field 22), in clock ticks.
        var startedAt: UInt64
    }

    /// Nil if there is no such process.
    package static func identity(of pid: Int32) -> Identity? {
        guard let fields = fields(of: pid), fields.count > 20 else { return nil }
        return UInt64(fields[20]).map { Identity(pid: pid, startedAt: $0) }
    }

    package static func isAlive(_ pid: Int32) -> Bool {
        guard let fields = fields(of: pid), fields.count > 1 else { return false }
        return fields[1] != "Z"
    }

    /// From the end of the name in parentheses, which may hold spaces (proc(5)).
    fileprivate static func fields(of pid: Int32) -> [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
    }

    /// Segment files that a process has open.
    package static func openSegments(_ pid: Int32) -> [String] {
        let root = "/proc/\(pid)/fd"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return numbers.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(root)/\($0)") }
            .filter { $0.hasSuffix(".mp4") }
    }
}

extension Date {
    /// Seconds since this moment, with two places.
    package var ago: String { String(format: "%.2f s", Date().timeIntervalSince(self)) }
}

/// What a process costs, from /proc.
package enum ProcessCost {
    /// User and system time (proc(5), `stat` fields 14 and 15), in seconds.
    package static func cpuSeconds(_ pid: Int32) throws -> Double {
        guard let fields = ProcessTable.fields(of: pid), fields.count > 13, let user = Double(fields[12]),
            let system = Double(fields[13])
        else { throw CocoaError(.fileReadNoSuchFile) }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Proportional set size (proc(5), `smaps_rollup`).
    package static func pssMiB(_ pid: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") } ?? ""
        return line.split(separator: " ").compactMap { Double($0) }.first.map { $0 / 1024 } ?? 0
    }
}
