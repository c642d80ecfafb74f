package import Domain

/// How a log entry is written: `time level service=… message key=value …`, one line each, for people and for `grep`.
/// Pure; `LineLogHandler` writes the result.
package enum LogLine {
    /// A value of more is cut; a log line is no place for a payload.
    package static let valueCharactersMax = 2000

    package static func text(
        at time: WallTime, level: String, service: String, message: String, fields: [(key: String, value: String)]
    ) -> String {
        var line = "\(time.rfc3339) \(level) service=\(value(service)) \(flat(masked(message)))"
        for (key, text) in fields { line += " \(key)=\(value(masked(text)))" }
        return line
    }

    /// In quotes if it would not read as one word.
    static func value(_ text: String) -> String {
        let flat = flat(text)
        let isWord = !flat.isEmpty && !flat.contains { $0 == " " || $0 == "\"" || $0 == "=" }
        guard !isWord else { return flat }
        var quoted = ""
        for character in flat {
            if character == "\"" || character == "\\" { quoted.append("\\") }
            quoted.append(character)
        }
        return "\"\(quoted)\""
    }

    /// One line, without control characters: foreign text must not forge a line or move a terminal's cursor.
    private static func flat(_ text: String) -> String {
        var flat = ""
        for scalar in text.unicodeScalars.prefix(valueCharactersMax) {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            flat.unicodeScalars.append(isControl ? " " : scalar)
        }
        return flat
    }

    /// Takes user and password out of every address in the text, `rtsp://user:secret@host` as `rtsp://***@host`.
    static func masked(_ text: String) -> String {
        guard text.contains("://"), text.contains("@") else { return text }
        var result = ""
        var rest = text[...]
        while let scheme = rest.firstRange(of: "://") {
            result += rest[..<scheme.upperBound]
            rest = rest[scheme.upperBound...]
            let authority = rest.prefix { !$0.isWhitespace && $0 != "/" && $0 != "?" && $0 != "\"" }
            if let at = authority.lastIndex(of: "@") {
                result += "***"
                rest = rest[at...]
            }
        }
        return result + rest
    }
}
