/// Durations and sizes as people write them: `1h30m`, `90s`, `500GB`.

extension Duration {
    /// The longest duration that a person may ask for: 366 days.
    package static let writtenMax: Duration = .seconds(366 * 86_400)

    private static let units: [(suffix: String, nanoseconds: Double)] = [
        ("ms", 1e6), ("d", 86_400e9), ("h", 3600e9), ("m", 60e9), ("s", 1e9),
    ]

    /// Reads `90s`, `10m`, `1h30m`, `1.5s`, `250ms`, `7d`, or a bare number of seconds. Nil for anything else, for a
    /// negative number and beyond `writtenMax`.
    package init?(written text: String) {
        if let seconds = Double(written: text) {
            self.init(wholeSeconds: seconds)
            return
        }
        var rest = text[...]
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[number.endIndex...]
            guard let amount = Double(written: String(number)),
                let unit = Self.units.first(where: { rest.hasPrefix($0.suffix) })
            else { return nil }
            rest = rest.dropFirst(unit.suffix.count)
            // Each unit is kept to the nanosecond; the sum of them in floating point would not be.
            guard let part = Duration(wholeSeconds: amount * unit.nanoseconds / 1e9) else { return nil }
            total += part.nanoseconds
            guard total <= Duration.writtenMax.nanoseconds else { return nil }
        }
        self = .nanoseconds(total)
    }

    /// Nil unless finite, not negative and at most `writtenMax`. Kept to the nanosecond.
    package init?(wholeSeconds seconds: Double) {
        guard seconds.isFinite, seconds >= 0, seconds <= Duration.writtenMax.seconds else { return nil }
        self = .nanoseconds(Int64((seconds * 1e9).rounded()))
    }

    /// `1h30m`, `90s` as `1m30s`, `250ms`; the largest units first, nothing that is zero.
    package var written: String {
        var rest = nanoseconds / 1_000_000
        guard rest > 0 else { return "0s" }
        var text = ""
        for (suffix, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)]
            as [(
                String, Int64
            )] where rest >= size
        {
            text += "\(rest / size)\(suffix)"
            rest %= size
        }
        return text
    }

    /// `1.5 s`.
    package var tenths: String {
        let tenths = nanoseconds.addingClamped(50_000_000) / 100_000_000
        return "\(tenths / 10).\(tenths % 10) s"
    }
}

extension Double {
    /// Reads decimal digits with at most one point; no sign, no exponent, no `nan` or `inf`.
    init?(written text: String) {
        let bytes = text.utf8
        guard bytes.first?.isDigit == true, bytes.count <= 20,
            bytes.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") })
        else { return nil }
        self.init(text)
    }
}

/// A number of bytes.
package struct ByteCount: Hashable, Sendable, Comparable, Codable, CustomStringConvertible {
    package var bytes: Int64

    package init(_ bytes: Int64) { self.bytes = bytes }

    /// In the order in which a suffix is looked for: `MiB` before `B`. Decimal units by powers of 1000, binary of 1024.
    private static let units: [(suffix: String, bytes: Double)] = [
        ("KiB", 1024), ("MiB", 1_048_576), ("GiB", 1_073_741_824), ("TiB", 1_099_511_627_776),
        ("kB", 1e3), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
    ]

    /// Reads `500GB`, `64 MiB`, `1.5TB`, or a bare number of bytes. Nil for anything else and from 2^62 bytes on.
    package init?(written text: String) {
        if let number = Double(written: text) {
            self.init(number: number)
            return
        }
        guard let unit = Self.units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
        var amount = text.dropLast(unit.suffix.count)
        while amount.last == " " { amount.removeLast() }
        guard let number = Double(written: String(amount)) else { return nil }
        self.init(number: number * unit.bytes)
    }

    private init?(number: Double) {
        guard number < 0x1p62 else { return nil }
        bytes = Int64(number.rounded())
    }

    /// Three significant digits and a decimal unit: `1.25 GB`.
    package var description: String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        let units = ["kB", "MB", "GB", "TB", "PB"]
        var value = Double(bytes) / 1000
        var index = 0
        while value >= 999.5, index < units.count - 1 {
            value /= 1000
            index += 1
        }
        let decimals = value < 9.995 ? 100.0 : value < 99.95 ? 10.0 : 1.0
        let rounded = (value * decimals).rounded() / decimals
        return decimals == 1 ? "\(Int(rounded)) \(units[index])" : "\(rounded) \(units[index])"
    }

    package static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
    package static func + (left: Self, right: Self) -> Self { Self(left.bytes + right.bytes) }
    package static func - (left: Self, right: Self) -> Self { Self(left.bytes - right.bytes) }

    package init(from decoder: any Decoder) throws { bytes = try decoder.singleValueContainer().decode(Int64.self) }
    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }
}

extension FixedWidthInteger {
    /// The sum, or the nearest number that the type holds: for totals of what others wrote.
    package func addingClamped(_ other: Self) -> Self {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
