internal import Domain
internal import Glibc

/// The one place where errors of devices become the project's own, with what a person can do about them.
enum DeviceFault {
    /// A node that does not open. Errors: `unauthorized` with the group, `sourceUnavailable`.
    static func opening(_ path: String, _ number: Int32) -> CodedError {
        switch number {
        case ENOENT, ENXIO, ENODEV, ENOTDIR:
            let others = DeviceDirectory.system.nodes()
            let hint = others.isEmpty ? "there is none at all" : "there are \(others.joined(separator: ", "))"
            return CodedError(.sourceUnavailable, "no such device \(path); \(hint)")
        case EACCES, EPERM: return denied(path, number)
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

    /// - Parameter number: `EPERM` is not said by a node's mode, but by a rule above it.
    private static func denied(_ path: String, _ number: Int32) -> CodedError {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return CodedError(.unauthorized, "no permission for \(path)") }
        return denied(
            path, number, mode: facts.st_mode, group: facts.st_gid == 0 ? nil : name(ofGroup: facts.st_gid))
    }

    /// - Parameter group: nil for root's, which nobody should join.
    static func denied(_ path: String, _ number: Int32, mode: UInt32, group: String?) -> CodedError {
        guard number != EPERM else {
            return CodedError(
                .unauthorized,
                "no permission for \(path): a device rule forbids it, such as a container's; let it have the device "
                    + "(docker: --device \(path))")
        }
        guard let group, mode & 0o060 == 0o060 else {
            let owner = group.map { "the group \($0)" } ?? "root alone"
            return CodedError(
                .unauthorized,
                "no permission for \(path): its mode is 0\(String(mode & 0o777, radix: 8)), of \(owner); a udev rule "
                    + "can set it: MODE=\"0660\", GROUP=\"video\"")
        }
        return CodedError(
            .unauthorized,
            "no permission for \(path): it is for the group \(group); usermod -aG \(group) USER, then log in again")
    }

    /// Its number if it has no name.
    private static func name(ofGroup number: gid_t) -> String {
        var entry = GroupEntry()
        var found: UnsafeMutablePointer<GroupEntry>?
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16_384) { room in
            guard getgrgid_r(number, &entry, room.baseAddress, room.count, &found) == 0, found != nil,
                let name = entry.gr_name
            else { return "\(number)" }
            return String(cString: name)
        }
    }

    /// Beside it the module has nothing else of the name; here it would be the method.
    private typealias GroupEntry = Glibc.group

    static func call(_ what: String, _ number: Int32) -> CodedError {
        CodedError(.sourceUnavailable, what, cause: String(cString: strerror(number)))
    }
}
