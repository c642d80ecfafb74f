import Foundation

/// One file of the project, as the rules see it: its lines as written, and for Swift the same lines with comments and
/// the inside of texts blanked out, so that a rule about code is not set off by prose.
struct SourceFile {
    /// Relative to the project's folder.
    let path: String
    let lines: [String]
    let code: [String]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        code =
            path.hasSuffix(".swift")
            ? CodeMask.masked(text).split(separator: "\n", omittingEmptySubsequences: false).map(String.init) : lines
    }

    var isSwift: Bool { path.hasSuffix(".swift") }
    var isTest: Bool { path.hasPrefix("Tests/") }
    /// Cores, Domain and BusContract: code that is a function of its input.
    var isPure: Bool {
        path.hasPrefix("Shared/Domain/") || path.hasPrefix("Shared/BusContract/")
            || path.hasPrefix("Services/") && path.contains("/Core/")
    }

    /// Names of imported modules, by line.
    var imports: [(line: Int, module: String)] {
        code.enumerated().compactMap { number, text in
            guard let match = text.firstMatch(of: "^\\s*(?:@\\w+ )*(?:\\w+ )?import (?:\\w+ )?(\\w+)") else {
                return nil
            }
            return (number, match[1])
        }
    }

    func isComment(_ line: Int) -> Bool {
        lines.indices.contains(line) && lines[line].drop { $0 == " " }.hasPrefix("//")
    }

    /// Whether the line itself or the comment right above it contains `words`.
    func explains(_ line: Int, with words: String) -> Bool {
        if lines[line].contains(words) { return true }
        var above = line - 1
        while isComment(above) {
            if lines[above].contains(words) { return true }
            above -= 1
        }
        return false
    }

    func violations(of pattern: String, _ message: String) -> [Violation] {
        code.enumerated().filter { $0.element.firstMatch(of: pattern) != nil }
            .map { Violation(path, $0.offset, message) }
    }
}

struct Violation: CustomStringConvertible {
    let description: String

    /// - Parameter line: from 0.
    init(_ path: String, _ line: Int, _ message: String) { description = "\(path):\(line + 1): \(message)" }
    init(_ path: String, _ message: String) { description = "\(path): \(message)" }
}

/// Blanks out comments and the inside of texts; every line keeps its length and its place.
enum CodeMask {
    private enum Mode { case code, lineComment, blockComment, text, longText }

    static func masked(_ text: String) -> String {
        let bytes = Array(text.utf8)
        var out = bytes
        var mode = Mode.code
        var hashes = 0
        var index = 0
        func starts(_ token: String, at place: Int) -> Bool { bytes[place...].starts(with: token.utf8) }
        while index < bytes.count {
            let byte = bytes[index]
            var width = 1
            switch mode {
            case .code:
                if starts("//", at: index) {
                    mode = .lineComment
                    continue
                } else if starts("/*", at: index) {
                    mode = .blockComment
                    continue
                } else if byte == UInt8(ascii: "\"") {
                    hashes = bytes[..<index].reversed().prefix { $0 == UInt8(ascii: "#") }.count
                    mode = starts("\"\"\"", at: index) ? .longText : .text
                    width = mode == .longText ? 3 : 1
                }
            case .lineComment: if byte == UInt8(ascii: "\n") { mode = .code } else { out[index] = UInt8(ascii: " ") }
            case .blockComment:
                if starts("*/", at: index) { (mode, width) = (.code, 2) }
                blank(&out, index, width)
            case .text, .longText:
                let end = String(repeating: "\"", count: mode == .text ? 1 : 3) + String(repeating: "#", count: hashes)
                if starts(end, at: index) {
                    (mode, width) = (.code, end.utf8.count)
                } else {
                    if byte == UInt8(ascii: "\\"), hashes == 0 { width = interpolationEnd(bytes, index) - index }
                    blank(&out, index, width)
                }
            }
            index += width
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func blank(_ bytes: inout [UInt8], _ start: Int, _ width: Int) {
        for place in start..<min(start + width, bytes.count) where bytes[place] != UInt8(ascii: "\n") {
            bytes[place] = UInt8(ascii: " ")
        }
    }

    /// After `\(…)`, whose texts may hold quotes of their own; after one character for any other escape.
    private static func interpolationEnd(_ bytes: [UInt8], _ start: Int) -> Int {
        guard start + 1 < bytes.count, bytes[start + 1] == UInt8(ascii: "(") else { return start + 2 }
        var depth = 0
        for place in (start + 1)..<bytes.count {
            if bytes[place] == UInt8(ascii: "(") { depth += 1 }
            if bytes[place] == UInt8(ascii: ")") { depth -= 1 }
            if depth == 0 { return place + 1 }
        }
        return bytes.count
    }
}

extension String {
    /// The whole match and its groups, or nil.
    func firstMatch(of pattern: String) -> [String]? {
        guard let expression = Expressions.shared[pattern] else { return nil }
        guard let match = expression.firstMatch(in: self, range: NSRange(startIndex..., in: self)) else { return nil }
        return (0..<match.numberOfRanges).map { group in
            Range(match.range(at: group), in: self).map { String(self[$0]) } ?? ""
        }
    }
}

/// Compiled patterns; a pattern that does not compile matches nothing, which the test of its bad sample finds.
private final class Expressions: @unchecked Sendable {
    // Safe: every access holds the lock.
    static let shared = Expressions()
    private let lock = NSLock()
    private var compiled: [String: NSRegularExpression] = [:]

    subscript(pattern: String) -> NSRegularExpression? {
        lock.withLock {
            if let present = compiled[pattern] { return present }
            compiled[pattern] = try? NSRegularExpression(pattern: pattern)
            return compiled[pattern]
        }
    }
}
