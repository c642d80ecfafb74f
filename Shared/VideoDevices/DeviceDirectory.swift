internal import Glibc

/// The nodes of /dev and the names that udev gives them.
package enum DeviceDirectory {
    /// Names that stay with a camera, best first: by its maker, model and serial number; by the port that it is in.
    private static let stableFolders = ["/dev/v4l/by-id", "/dev/v4l/by-path"]

    /// `/dev/video0`, … by number.
    package static func nodes() -> [String] {
        names(in: "/dev").compactMap { name in name.hasPrefix("video") ? Int(name.dropFirst(5)) : nil }.sorted()
            .map { "/dev/video\($0)" }
    }

    /// What else a node is called, best first.
    package static func stableNames(of node: String) -> [String] {
        stableFolders.flatMap { folder in
            names(in: folder).sorted().map { "\(folder)/\($0)" }.filter { target(of: $0) == node }
        }
    }

    /// The node that a name leads to; the name itself if it leads nowhere.
    package static func target(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The serial number of a USB camera (sysfs: the interface's device lies above it).
    package static func serial(of node: String) -> String? { line(in: "\(usbFolder(of: node))/serial") }

    /// Whether another camera of the same model is plugged in and neither has a serial number: the two share one name
    /// in by-id, which leads to either of them.
    static func hasTwin(_ node: String) -> Bool {
        guard let model = model(of: node), serial(of: node) == nil else { return false }
        let folder = usbFolder(of: node)
        return nodes().contains { other in
            self.model(of: other) == model && usbFolder(of: other) != folder && serial(of: other) == nil
        }
    }

    /// Vendor and product; nil for what is not on USB.
    private static func model(of node: String) -> String? {
        let folder = usbFolder(of: node)
        guard let vendor = line(in: "\(folder)/idVendor"), let product = line(in: "\(folder)/idProduct") else {
            return nil
        }
        return "\(vendor):\(product)"
    }

    private static func usbFolder(of node: String) -> String {
        target(of: "/sys/class/video4linux/\(node.split(separator: "/").last ?? "")/device/..")
    }

    // MARK: Files

    /// In no order; none if there is no such folder.
    static func names(in folder: String) -> [String] {
        guard let open = opendir(folder) else { return [] }
        defer { closedir(open) }
        var names: [String] = []
        while let entry = readdir(open) {
            let name = text(of: entry.pointee.d_name)
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// The first line of a small file, without spaces around it; nil if there is none.
    static func line(in path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        let line = withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { room in
            let count = read(file, room.baseAddress, room.count)
            return String(decoding: room.prefix(max(0, count)).prefix { $0 != 0x0a }, as: UTF8.self)
        }
        let trimmed = line.drop { $0 == " " }
        return trimmed.isEmpty ? nil : String(trimmed)
    }
}
