package import Foundation

/// Processes as /proc shows them.
package enum ProcessTable {
    package static func isAlive(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        // The state follows the name in parentheses (proc(5)).
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst().first != "Z"
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
        let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
        // The name in parentheses may hold spaces.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Proportional set size (proc(5), `smaps_rollup`).
    package static func pssMiB(_ pid: Int32) throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(pid)/smaps_rollup", encoding: .utf8)
        let line = text.split(separator: "\n").first { $0.hasPrefix("Pss:") } ?? ""
        return line.split(separator: " ").compactMap { Double($0) }.first.map { $0 / 1024 } ?? 0
    }
}
