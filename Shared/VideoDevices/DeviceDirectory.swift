internal import Glibc

/// The nodes of /dev and the names that udev gives them.
package struct DeviceDirectory: Sendable {
    package static let system = DeviceDirectory()

    private let root: String

    /// - Parameter root: of the folders `dev` and `sys`, for tests; no slash at its end.
    package init(root: String = "") { self.root = root }

    /// `/dev/video0`, … by number.
    package func nodes() -> [String] {
        Self.names(in: "\(root)/dev").compactMap { name in name.hasPrefix("video") ? Int(name.dropFirst(5)) : nil }
            .sorted().map { "\(root)/dev/video\($0)" }
    }

    /// What else a node is called, the name that stays with it first: by its maker, model and serial number, unless a
    /// twin shares that name; else by the port that it is in.
    package func stableNames(of node: String) -> [String] {
        let folders = hasTwin(node) ? ["by-path", "by-id"] : ["by-id", "by-path"]
        return folders.map { "\(root)/dev/v4l/\($0)" }.flatMap { folder in
            Self.names(in: folder).sorted().map { "\(folder)/\($0)" }.filter { Self.target(of: $0) == node }
        }
    }

    /// The node that a name leads to; the name itself if it leads nowhere.
    package static func target(of path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// The serial number of a USB camera (sysfs: the interface's device lies above it).
    package func serial(of node: String) -> String? { Self.line(in: "\(usbFolder(of: node))/serial") }

    /// Whether another camera of the same model is plugged in and their serial numbers do not tell them apart, where
    /// they have any: the two share one name in by-id, which leads to either of them.
    package func hasTwin(_ node: String) -> Bool {
        guard let model = model(of: node) else { return false }
        let (folder, serial) = (usbFolder(of: node), serial(of: node))
        return nodes().contains { other in
            self.model(of: other) == model && usbFolder(of: other) != folder && self.serial(of: other) == serial
        }
    }

    /// Vendor and product; nil for what is not on USB.
    private func model(of node: String) -> String? {
        let folder = usbFolder(of: node)
        guard let vendor = Self.line(in: "\(folder)/idVendor"), let product = Self.line(in: "\(folder)/idProduct")
        else { return nil }
        return "\(vendor):\(product)"
    }

    private func usbFolder(of node: String) -> String {
        Self.target(of: "\(root)/sys/class/video4linux/\(node.split(separator: "/").last ?? "")/device/..")
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
