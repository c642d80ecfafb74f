package import Domain

/// The cameras at this machine, as `framekeeper devices` shows them. Pure: the command looks at the devices.
package struct DeviceList: Sendable, Hashable, Encodable {
    package enum State: String, Sendable, Hashable, Encodable {
        case free
        /// Somebody streams from it.
        case busy
        /// It cannot be looked at.
        case failed
    }

    package struct Size: Sendable, Hashable, Encodable {
        package var width: Int
        package var height: Int
        /// Of a range of sizes, the largest; `width` and `height` are those nearest to 1280x720.
        package var maxWidth: Int?
        package var maxHeight: Int?
        /// Pictures per second at `width` and `height`, fastest first; empty where the device does not say.
        package var fps: [Double]

        package init(width: Int, height: Int, maxWidth: Int? = nil, maxHeight: Int? = nil, fps: [Double]) {
            self.width = width
            self.height = height
            self.maxWidth = maxWidth
            self.maxHeight = maxHeight
            self.fps = fps
        }

        var largest: (width: Int, height: Int) { (maxWidth ?? width, maxHeight ?? height) }
    }

    package struct Format: Sendable, Hashable, Encodable {
        /// The device's own code: `YUYV`, `MJPG`, `H264`.
        package var format: String
        /// Nil for what is not read here.
        package var kind: PictureKind?
        /// Made by libv4l2 from another format.
        package var emulated: Bool
        package var sizes: [Size]

        package init(format: String, kind: PictureKind?, emulated: Bool, sizes: [Size]) {
            self.format = format
            self.kind = kind
            self.emulated = emulated
            self.sizes = sizes
        }

        /// The largest size with the fastest rate that it has. Of a range, the rates of the largest size are not known.
        var summary: String {
            let largest = sizes.max { $0.largest.width * $0.largest.height < $1.largest.width * $1.largest.height }
            guard let largest else { return format }
            let fastest = largest.maxWidth == nil ? largest.fps.first : nil
            let rate = fastest.map { "@\(Self.number($0))" } ?? ""
            return "\(format) \(largest.largest.width)x\(largest.largest.height)\(rate)"
        }

        static func number(_ value: Double) -> String {
            let tenths = Int((value * 10).rounded())
            return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        }
    }

    package struct Device: Sendable, Hashable, Encodable {
        package var node: String
        package var name: String?
        package var driver: String?
        package var bus: String?
        package var serial: String?
        /// That udev gives it, best first.
        package var names: [String]
        package var formats: [Format]
        package var state: State
        /// `vlc (pid 123)`.
        package var heldBy: [String]
        /// What to write into the configuration.
        package var source: String?
        package var error: String?

        package init(node: String, state: State) {
            self.node = node
            self.state = state
            names = []
            formats = []
            heldBy = []
        }
    }

    package var devices: [Device]

    package init(devices: [Device]) { self.devices = devices }

    package var lines: [String] {
        guard !devices.isEmpty else {
            return ["no cameras: there is no /dev/video* that gives pictures"]
        }
        var table = TextTable("NODE", "NAME", "FORMATS", "STATE", "SOURCE")
        for device in devices {
            table.add(
                device.node, device.name ?? "-", Self.formats(device), Self.state(device), device.source ?? "-")
        }
        return table.lines
    }

    private static func formats(_ device: Device) -> String {
        let own = device.formats.filter { !$0.emulated }
        return own.isEmpty ? "-" : own.map(\.summary).joined(separator: ", ")
    }

    private static func state(_ device: Device) -> String {
        switch device.state {
        case .free: "free"
        case .busy: device.heldBy.isEmpty ? "busy" : "busy: \(device.heldBy.joined(separator: ", "))"
        case .failed: device.error ?? "failed"
        }
    }
}
