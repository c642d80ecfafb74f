/// A value in the media server's settings, as its API and its file carry it.
package indirect enum SettingValue: Hashable, Sendable {
    case text(String)
    case number(Double)
    case flag(Bool)
    case list([SettingValue])
    case map([String: SettingValue])
    case null

    /// RFC 8259. Every JSON value is also a YAML value in flow style (YAML 1.2 section 1.3), so this form goes into the
    /// file as well; keys are sorted, so that equal values have equal texts.
    package var json: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): Self.printed(number)
        case .flag(let flag): flag ? "true" : "false"
        case .list(let items): "[" + items.map(\.json).joined(separator: ", ") + "]"
        case .map(let keys):
            "{"
                + keys.sorted { $0.key < $1.key }.map { "\(Self.quoted($0.key)): \($0.value.json)" }
                .joined(separator: ", ") + "}"
        case .null: "null"
        }
    }

    private static func printed(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : String(number)
    }

    /// What two readers of YAML could take differently is escaped: control characters, line separators, byte order
    /// marks.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: quoted += "\\\""
            case 0x5C: quoted += "\\\\"
            case 0..<0x20, 0x7F...0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE...0xFFFF:
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.utf8.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension SettingValue: Decodable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let flag = try? container.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? container.decode(Double.self) {
            self = .number(number)
        } else if let text = try? container.decode(String.self) {
            self = .text(text)
        } else if let items = try? container.decode([SettingValue].self) {
            self = .list(items)
        } else {
            self = .map(try container.decode([String: SettingValue].self))
        }
    }
}
