internal import CV4LShim
internal import Glibc

/// A process that has a device open, as far as /proc shows it: those of other users only to root.
package struct DeviceHolder: Hashable, Sendable, Codable, CustomStringConvertible {
    package var pid: Int
    package var name: String

    package var description: String { "\(name) (pid \(pid))" }

    /// More are not looked for: the first names say enough.
    private static let holdersMax = 8

    /// Everybody but this process, by process number.
    package static func all(of path: String) -> [DeviceHolder] {
        let number = cv4l_device_number(path)
        guard number != 0 else { return [] }
        var found: [DeviceHolder] = []
        for pid in DeviceDirectory.names(in: "/proc").compactMap({ Int($0) }).sorted() where pid != Int(getpid()) {
            guard found.count < holdersMax else { break }
            let folder = "/proc/\(pid)/fd"
            let holds = DeviceDirectory.names(in: folder).contains { cv4l_device_number("\(folder)/\($0)") == number }
            if holds { found.append(DeviceHolder(pid: pid, name: name(of: pid))) }
        }
        return found
    }

    private static func name(of pid: Int) -> String {
        DeviceDirectory.line(in: "/proc/\(pid)/comm") ?? "a process"
    }
}
