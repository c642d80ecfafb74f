internal import BusContract
internal import Domain
internal import Glibc
internal import MetricsCore
internal import ServiceKit

/// What the services of this node cost, read from /proc by the process ids that they publish (proc(5)).
///
/// Anybody can publish a process id; only a process of the service's own name is looked at.
enum ProcessTable {
    static func costs(_ services: [(service: ServiceName, pid: Int32)]) -> [ProcessCost] {
        services.compactMap { service, pid in
            guard pid > 0, name(pid) == String(service.rawValue.prefix(15)) else { return nil }
            return cost(service, pid)
        }
    }

    /// This process.
    static func own() -> ProcessCost {
        let statistics = ProcessStatistics.current()
        return ProcessCost(
            service: .metrics, cpuSeconds: statistics.cpuSeconds, residentBytes: statistics.rssBytes)
    }

    private static func name(_ pid: Int32) -> String? {
        text("/proc/\(pid)/comm").map { String($0.prefix { $0 != "\n" }) }
    }

    /// Fields 14 and 15, user and system time in ticks, and 24, resident pages; counted behind the name, which may hold
    /// anything.
    private static func cost(_ service: ServiceName, _ pid: Int32) -> ProcessCost? {
        guard let text = text("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[end...].split(separator: " ")
        let ticks = Double(max(sysconf(Int32(_SC_CLK_TCK)), 1))
        guard fields.count > 22, let user = Double(fields[12]), let system = Double(fields[13]),
            let pages = UInt64(fields[22])
        else { return nil }
        return ProcessCost(
            service: service, cpuSeconds: (user + system) / ticks,
            residentBytes: pages * UInt64(max(sysconf(Int32(_SC_PAGESIZE)), 0)))
    }

    private static func text(_ path: String) -> String? {
        // A process that has ended meanwhile is none.
        guard let bytes = try? AtomicFile.read(path, atMost: 4096) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
