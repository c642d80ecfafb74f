/// A text as its lines, each with the bytes that end it, so that joining them gives the very same text. Lines end where
/// libyaml says they do (YAML 1.1 section 4.2), or its line numbers would not be ours.
struct TextLines: Hashable, Sendable {
    struct Line: Hashable, Sendable {
        var bytes: [UInt8]
        var end: [UInt8]

        var text: String { String(decoding: bytes, as: UTF8.self) }
        var indent: Int { bytes.prefix { $0 == 0x20 }.count }
        /// Without the spaces at both ends.
        var trimmed: String {
            let tail = bytes.dropFirst(indent)
            let end = tail.lastIndex { $0 != 0x20 && $0 != 0x09 }.map { $0 + 1 } ?? tail.startIndex
            return String(decoding: tail[..<end], as: UTF8.self)
        }
        var isBlank: Bool { bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 } }
        var isComment: Bool { trimmed.hasPrefix("#") }
    }

    var lines: [Line] = []

    init(_ bytes: [UInt8]) {
        var start = 0
        var index = 0
        while index < bytes.count {
            let length = Self.breakLength(bytes, at: index)
            guard length > 0 else {
                index += 1
                continue
            }
            let next = index + length
            lines.append(Line(bytes: Array(bytes[start..<index]), end: Array(bytes[index..<next])))
            start = next
            index = next
        }
        if start < bytes.count { lines.append(Line(bytes: Array(bytes[start...]), end: [])) }
    }

    var bytes: [UInt8] { lines.flatMap { $0.bytes + $0.end } }

    /// What ends the lines of this text: of its first one.
    var lineEnd: [UInt8] { lines.first.map(\.end).flatMap { $0.isEmpty ? nil : $0 } ?? [0x0A] }

    /// Every line but the last ends; now the last one does too.
    mutating func endLastLine() {
        guard let last = lines.indices.last, lines[last].end.isEmpty else { return }
        lines[last].end = lineEnd
    }

    func line(_ text: String) -> Line { Line(bytes: Array(text.utf8), end: lineEnd) }

    /// LF, CR, CR LF, NEL, LS, PS.
    private static func breakLength(_ bytes: [UInt8], at index: Int) -> Int {
        func follows(_ tail: [UInt8]) -> Bool { bytes[(index + 1)...].starts(with: tail) }
        switch bytes[index] {
        case 0x0A: return 1
        case 0x0D: return follows([0x0A]) ? 2 : 1
        case 0xC2: return follows([0x85]) ? 2 : 0
        case 0xE2: return follows([0x80, 0xA8]) || follows([0x80, 0xA9]) ? 3 : 0
        default: return 0
        }
    }
}
