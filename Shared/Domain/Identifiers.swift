/// The names of things in a fleet. Each is checked once, where it enters, and then carried as its own type,
/// so that no unchecked text ever becomes a topic, a path or an argument.

/// A text with rules: it exists only if it keeps them. Decoding checks it again.
package protocol CheckedText: RawRepresentable, Hashable, Sendable, Codable, Comparable, CustomStringConvertible
where RawValue == String {}

extension CheckedText {
    package var description: String { rawValue }

    package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let checked = Self(rawValue: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not a valid \(Self.self): \(text.prefix(80))")
        }
        self = checked
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }
}

/// A name that can stand in a topic level, a path and a command line: `[a-z0-9][a-z0-9_-]{0,62}`.
package protocol CheckedName: CheckedText {
    init(unchecked: String)
}

extension CheckedName {
    /// The most characters a name may have.
    package static var lengthMax: Int { 63 }

    /// Nil unless `rawValue` is 1 to 63 characters of `a-z`, `0-9`, `_`, `-`, the first a letter or a digit.
    package init?(rawValue: String) {
        let bytes = rawValue.utf8
        guard let first = bytes.first, bytes.count <= Self.lengthMax, first.isLowerAlphanumeric,
            bytes.allSatisfy({ $0.isLowerAlphanumeric || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") })
        else { return nil }
        self.init(unchecked: rawValue)
    }
}

extension UInt8 {
    var isLowerAlphanumeric: Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) || isDigit
    }
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    var isLowerHex: Bool { isDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(self) }
}

/// A configured source, unique in the fleet.
package struct CameraID: CheckedName {
    package let rawValue: String
    package init(unchecked: String) { rawValue = unchecked }
}

/// A host.
package struct NodeID: CheckedName {
    package let rawValue: String
    package init(unchecked: String) { rawValue = unchecked }
}

/// A set of cameras that take commands together; `all` is every camera.
package struct GroupID: CheckedName {
    package let rawValue: String
    package init(unchecked: String) { rawValue = unchecked }
    package static let all = GroupID(unchecked: "all")
}

/// The kind of an executable on the bus: `capture-worker`, `rotation-service`, `config-writer`, `health-monitor`,
/// `metrics`, `framekeeper`.
package struct ServiceName: CheckedName {
    package let rawValue: String
    package init(unchecked: String) { rawValue = unchecked }
    package static let captureWorker = ServiceName(unchecked: "capture-worker")
    package static let rotationService = ServiceName(unchecked: "rotation-service")
    package static let configWriter = ServiceName(unchecked: "config-writer")
    package static let healthMonitor = ServiceName(unchecked: "health-monitor")
    package static let metrics = ServiceName(unchecked: "metrics")
    package static let framekeeper = ServiceName(unchecked: "framekeeper")
}

/// One running copy of a service: a worker's camera, or the node of a service that exists once per node.
package struct InstanceID: CheckedName {
    package let rawValue: String
    package init(unchecked: String) { rawValue = unchecked }
}

/// One continuous wish to record: 32 lower-case hexadecimal digits, random, drawn by the Shell.
package struct SessionID: CheckedText {
    package let rawValue: String

    /// Nil unless `rawValue` is 32 digits of `0-9a-f`.
    package init?(rawValue: String) {
        guard rawValue.utf8.count == 32, rawValue.utf8.allSatisfy(\.isLowerHex) else { return nil }
        self.rawValue = rawValue
    }

    /// From 128 random bits.
    package init(high: UInt64, low: UInt64) {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }
        rawValue = hex(high) + hex(low)
    }

    /// The eight digits that stand in file names.
    package var short: String { String(rawValue.prefix(8)) }
}

/// Who holds a lease: `manual`, `motion:hall`, `schedule:night`, `always`.
package struct Holder: CheckedText {
    package let rawValue: String
    package static let lengthMax = 64
    package static let manual = Holder(unchecked: "manual")
    package static let always = Holder(unchecked: "always")
    /// Viewers at the media server; the config-writer takes and ends it.
    package static let mediaServer = Holder(unchecked: "mediamtx")

    private init(unchecked: String) { rawValue = unchecked }

    /// Nil unless `rawValue` is 1 to 64 of `A-Z a-z 0-9 _ . : -`.
    package init?(rawValue: String) {
        let allowed = rawValue.utf8.allSatisfy { byte in
            byte.isLowerAlphanumeric || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                || [UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-")].contains(byte)
        }
        guard !rawValue.isEmpty, rawValue.utf8.count <= Self.lengthMax, allowed else { return nil }
        self.rawValue = rawValue
    }
}
