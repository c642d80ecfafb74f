/// A JSON object put together as text, in the order in which its fields are added. Messages of the bus go in as the
/// text that they were encoded to, once, when they came; so a status of 200 cameras is a concatenation.
package struct JSONText: Sendable {
    private var text = "{"

    package init() {}

    package mutating func add(_ key: String, raw value: String) {
        text += text.utf8.count > 1 ? ",\"" : "\""
        text += key
        text += "\":"
        text += value
    }

    package mutating func add(_ key: String, _ value: String) { add(key, raw: Self.quoted(value)) }
    package mutating func add(_ key: String, _ value: Bool) { add(key, raw: value ? "true" : "false") }
    package mutating func add(_ key: String, _ value: Int) { add(key, raw: String(value)) }
    package mutating func add(_ key: String, _ value: UInt64) { add(key, raw: String(value)) }
    package mutating func add(_ key: String, _ value: Double) { add(key, raw: Self.number(value)) }

    package var closed: String { text + "}" }

    package static func list(_ items: [String]) -> String { "[" + items.joined(separator: ",") + "]" }

    /// JSON has no word for what is no number.
    package static func number(_ value: Double) -> String {
        guard value.isFinite else { return "null" }
        if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
        return "\(value)"
    }

    /// RFC 8259 section 7. `<` is escaped too, so that no text ends a script or a tag where a page quotes it.
    package static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = [UInt8(ascii: "\"")]
        bytes.reserveCapacity(text.utf8.count + 2)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case 0..<0x20, UInt8(ascii: "<"), 0x7F:
                bytes += Array("\\u00".utf8) + [hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
        return String(decoding: bytes, as: UTF8.self)
    }

    private static let hexDigits = Array("0123456789abcdef".utf8)
}
