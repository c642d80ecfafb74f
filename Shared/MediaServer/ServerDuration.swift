/// Durations as the media server writes them: Go's, with days in front (`internal/conf/duration.go`). It reads `24h`
/// and says `1d`, reads `0s` and says nothing at all.
enum ServerDuration {
    private static let units: [(suffix: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
        ("d", 86_400e9),
    ]

    /// Nil for what the server refuses: no unit, an unknown one, nothing but a sign.
    static func nanoseconds(_ text: String) -> Double? {
        guard !text.isEmpty else { return 0 }
        let isNegative = text.hasPrefix("-")
        var rest = isNegative ? text.dropFirst() : text[...]
        guard !rest.isEmpty else { return nil }
        guard rest != "0" else { return 0 }
        var total = 0.0
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest[digits.endIndex...]
            // The longer suffix first, so that `ms` is not taken for minutes.
            guard let amount = Double(digits),
                let unit = units.filter({ rest.hasPrefix($0.suffix) }).max(by: { $0.suffix.count < $1.suffix.count })
            else { return nil }
            total += amount * unit.nanoseconds
            rest = rest.dropFirst(unit.suffix.count)
        }
        return isNegative ? -total : total
    }

    /// In the server's own form, for whole seconds: `15s`, `1m30s`, `2h0m0s`.
    static func written(seconds: Int64) -> String {
        let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60)
        if hours > 0 { return "\(hours)h\(minutes)m\(rest)s" }
        return minutes > 0 ? "\(minutes)m\(rest)s" : "\(rest)s"
    }
}
