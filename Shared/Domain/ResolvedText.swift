/// A text of the configuration with its `${NAME}` and `!secret` resolved. It remembers by position which of it came
/// from there, so that the values can be left out again: a search for them would mask equal words elsewhere, and by
/// that give short ones away.
package struct ResolvedText: Hashable, Sendable {
    /// As it is meant. Never print it where something of it is secret, print `shown`.
    package private(set) var text = ""
    /// In UTF-8 bytes, ascending, none empty.
    private var secrets: [Range<Int>] = []

    /// What stands in the place of a value.
    package static let mask = "(hidden)"

    package init() {}
    package init(written: String) { text = written }
    package init(secret: String) { append(secret: secret) }

    package mutating func append(written: some StringProtocol) { text += written }

    package mutating func append(secret: String) {
        let start = text.utf8.count
        text += secret
        if text.utf8.count > start { secrets.append(start..<text.utf8.count) }
    }

    package var hasSecrets: Bool { !secrets.isEmpty }
    /// One value and nothing else.
    package var isSecret: Bool { secrets == [0..<text.utf8.count] }

    /// A part of the text, in UTF-8 bytes, with the mask in the place of what is secret.
    package func shown(_ part: Range<Int>) -> String {
        let bytes = Array(text.utf8)
        var shown = ""
        var next = part.lowerBound
        var maskEnd: Int?
        for secret in secrets.map({ $0.clamped(to: part) }) where !secret.isEmpty {
            shown += String(decoding: bytes[next..<secret.lowerBound], as: UTF8.self)
            if maskEnd != secret.lowerBound { shown += Self.mask }
            next = secret.upperBound
            maskEnd = next
        }
        return shown + String(decoding: bytes[next..<part.upperBound], as: UTF8.self)
    }
}
