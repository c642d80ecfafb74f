internal import Domain
internal import Glibc

/// The one place where errors of devices become the project's own, with what a person can do about them.
enum DeviceFault {
    /// A node that does not open. Errors: `unauthorized` with the group, `sourceUnavailable`.
    static func opening(_ path: String, _ number: Int32) -> CodedError {
        switch number {
        case ENOENT, ENXIO, ENODEV, ENOTDIR:
            let others = DeviceDirectory.nodes()
            let hint = others.isEmpty ? "there is none at all" : "there are \(others.joined(separator: ", "))"
            return CodedError(.sourceUnavailable, "no such device \(path); \(hint)")
        case EACCES, EPERM: return denied(path)
        case EBUSY: return busy(path)
        default: return call("\(path) does not open", number)
        }
    }

    /// A device that opened and does not stream.
    static func streaming(_ path: String, _ number: Int32, _ what: String) -> CodedError {
        switch number {
        case EBUSY: return busy(path)
        case ENODEV: return unplugged(path)
        case ENOSPC:
            return CodedError(
                .sourceUnavailable,
                "\(path): the USB bus has no room for this format; ask for a smaller size or rate, or format=mjpeg")
        default: return call("\(path) \(what)", number)
        }
    }

    static func unplugged(_ path: String) -> CodedError {
        CodedError(.sourceUnavailable, "\(path) was unplugged")
    }

    static func busy(_ path: String) -> CodedError {
        let holders = DeviceHolder.all(of: path)
        guard !holders.isEmpty else {
            return CodedError(.sourceUnavailable, "\(path) is in use by a process that cannot be seen from here")
        }
        return CodedError(
            .sourceUnavailable, "\(path) is in use by \(holders.map(\.description).joined(separator: ", "))")
    }

    private static func denied(_ path: String) -> CodedError {
        guard let group = group(of: path) else {
            return CodedError(.unauthorized, "no permission for \(path)")
        }
        return CodedError(
            .unauthorized,
            "no permission for \(path): it is for the group \(group); usermod -aG \(group) USER, then log in again")
    }

    /// The name of the group that owns a node, or its number.
    private static func group(of path: String) -> String? {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        var entry = GroupEntry()
        var found: UnsafeMutablePointer<GroupEntry>?
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { room in
            guard getgrgid_r(facts.st_gid, &entry, room.baseAddress, room.count, &found) == 0, found != nil,
                let name = entry.gr_name
            else { return "\(facts.st_gid)" }
            return String(cString: name)
        }
    }

    /// Beside it the module has nothing else of the name; here it would be the method.
    private typealias GroupEntry = Glibc.group

    static func call(_ what: String, _ number: Int32) -> CodedError {
        CodedError(.sourceUnavailable, what, cause: String(cString: strerror(number)))
    }
}
