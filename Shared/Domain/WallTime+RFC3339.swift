/// Civil dates without a calendar library: the proleptic Gregorian calendar in UTC, by the day-count method of
/// RFC 3339 section 5.6 and its appendix; Domain imports nothing.

/// A moment as people write it. Fields in their usual ranges; `millisecond` 0 to 999.
package struct CivilTime: Hashable, Sendable {
    package var year: Int
    package var month: Int
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int
    package var millisecond: Int
}

extension WallTime {
    private static let millisecondsPerDay: Int64 = 86_400_000

    package var civil: CivilTime {
        let days = milliseconds.floorDivided(by: Self.millisecondsPerDay)
        let rest = Int(milliseconds - days * Self.millisecondsPerDay)
        // Days are counted from 0000-03-01, so that the leap day is the last of its year.
        let shifted = days + 719_468
        let era = shifted.floorDivided(by: 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return CivilTime(
            year: Int(yearOfEra + era * 400 + (month <= 2 ? 1 : 0)), month: Int(month),
            day: Int(dayOfYear - (153 * shiftedMonth + 2) / 5 + 1), hour: rest / 3_600_000,
            minute: rest / 60_000 % 60, second: rest / 1000 % 60, millisecond: rest % 1000)
    }

    /// Nil for a date that does not exist.
    package init?(civil: CivilTime) {
        guard (1970...2261).contains(civil.year), (1...12).contains(civil.month),
            (1...Self.days(inMonth: civil.month, of: civil.year)).contains(civil.day), (0...23).contains(civil.hour),
            (0...59).contains(civil.minute), (0...59).contains(civil.second), (0...999).contains(civil.millisecond)
        else { return nil }
        let year = Int64(civil.month <= 2 ? civil.year - 1 : civil.year)
        let era = year.floorDivided(by: 400)
        let yearOfEra = year - era * 400
        let shiftedMonth = Int64(civil.month > 2 ? civil.month - 3 : civil.month + 9)
        let dayOfYear = (153 * shiftedMonth + 2) / 5 + Int64(civil.day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let time = Int64(civil.hour * 3_600_000 + civil.minute * 60_000 + civil.second * 1000 + civil.millisecond)
        self.init(milliseconds: days * Self.millisecondsPerDay + time)
    }

    private static func days(inMonth month: Int, of year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400)) ? 29 : 28
        default: 31
        }
    }

    /// `2026-03-01T12:30:00.250Z`.
    package var rfc3339: String { "\(dateText)T\(timeText(separator: ":"))Z" }

    /// `2026-03-01`.
    package var dateText: String {
        let civil = civil
        return "\(civil.year.padded(to: 4))-\(civil.month.padded(to: 2))-\(civil.day.padded(to: 2))"
    }

    /// `12:30:00.250`, with the separator of your choice between hours, minutes and seconds.
    package func timeText(separator: String) -> String {
        let civil = civil
        return civil.hour.padded(to: 2) + separator + civil.minute.padded(to: 2) + separator
            + civil.second.padded(to: 2) + "." + civil.millisecond.padded(to: 3)
    }

    /// Reads RFC 3339: `T` or a space between date and time, any number of decimals, `Z` or an offset.
    package init?(rfc3339 text: String) {
        var scanner = DigitScanner(text)
        guard let year = scanner.number(digits: 4), scanner.skip("-"), let month = scanner.number(digits: 2),
            scanner.skip("-"), let day = scanner.number(digits: 2),
            scanner.skip("T") || scanner.skip("t") || scanner.skip(" "),
            let hour = scanner.number(digits: 2), scanner.skip(":"), let minute = scanner.number(digits: 2),
            scanner.skip(":"), let second = scanner.number(digits: 2)
        else { return nil }
        var millisecond = 0
        if scanner.skip(".") {
            guard let decimals = scanner.decimals() else { return nil }
            millisecond = decimals
        }
        guard let offset = scanner.zoneOffsetMinutes(), scanner.isAtEnd,
            let utc = WallTime(
                civil: CivilTime(
                    year: year, month: month, day: day, hour: hour, minute: minute, second: second,
                    millisecond: millisecond))
        else { return nil }
        self = utc - .seconds(offset * 60)
    }
}

extension WallTime: Codable, CustomStringConvertible {
    package var description: String { rfc3339 }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let time = WallTime(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not an RFC 3339 time: \(text)")
        }
        self = time
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rfc3339)
    }
}

extension Int {
    /// Decimal digits with leading zeros.
    package func padded(to width: Int) -> String {
        let digits = String(self)
        return String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
    }
}

/// Reads fixed fields of digits from the front of a text; ASCII only.
struct DigitScanner {
    private var rest: Substring.UTF8View

    init(_ text: String) { rest = text[...].utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func number(digits count: Int) -> Int? {
        let field = rest.prefix(count)
        guard field.count == count, field.allSatisfy(\.isDigit) else { return nil }
        rest.removeFirst(count)
        return Int(Substring(field))
    }

    /// Decimals of a second, cut to milliseconds.
    mutating func decimals() -> Int? {
        let field = rest.prefix { $0.isDigit }
        guard !field.isEmpty else { return nil }
        rest.removeFirst(field.count)
        let three = String(Substring(field.prefix(3)))
        return Int(three + String(repeating: "0", count: 3 - three.utf8.count))
    }

    mutating func zoneOffsetMinutes() -> Int? {
        if skip("Z") || skip("z") { return 0 }
        let sign: Int
        if skip("+") { sign = 1 } else if skip("-") { sign = -1 } else { return nil }
        guard let hours = number(digits: 2), skip(":"), let minutes = number(digits: 2), hours < 24, minutes < 60
        else { return nil }
        return sign * (hours * 60 + minutes)
    }
}
