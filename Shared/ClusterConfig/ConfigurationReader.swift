internal import Domain

/// Walks a YAML tree by the keys that the product knows, and collects everything that is wrong on the way. It never
/// stops at an error: a wrong value is reported and its default takes its place, so that one run shows all errors.
/// The sections are in the extensions. It reads no file but the secrets.
struct ConfigurationReader {
    /// A value and the key that leads to it.
    struct Field {
        var node: YAMLNode
        var path: String
    }

    /// More would scroll the first ones away.
    static let errorsMax = 100

    let environment: [String: String]
    /// Absolute; relative paths begin here.
    let baseFolder: String
    private(set) var errors: [ConfigurationError] = []
    /// Of the variables and secrets that values have asked for since somebody emptied it, each once.
    var secretNames: [String] = []
    private var secrets: SecretsFile

    init(environment: [String: String], baseFolder: String) {
        self.environment = environment
        self.baseFolder = baseFolder
        secrets = SecretsFile(path: baseFolder + "/" + SecretsFile.name)
    }

    mutating func report(_ message: String, at field: Field, suggestion: String? = nil) {
        report(message, path: field.path, mark: field.node.mark, suggestion: suggestion)
    }

    mutating func report(_ message: String, path: String, mark: YAMLNode.Mark, suggestion: String? = nil) {
        guard errors.count < Self.errorsMax else { return }
        errors.append(
            ConfigurationError(
                file: mark.origin, line: mark.line, column: mark.column, keyPath: path, message: message,
                suggestion: suggestion))
    }
}

/// Collections.
extension ConfigurationReader {
    /// The entries of a mapping, in order; none if there is nothing, or something else, which is reported. A repeated
    /// key is reported and its first value kept.
    mutating func entries(_ field: Field?) -> [YAMLNode.Entry] {
        guard let field, !field.node.isNull else { return [] }
        guard case .mapping(let entries) = field.node.content else {
            report("expected a mapping, found \(field.node.kind)", at: field)
            return []
        }
        var firsts: [String: YAMLNode.Entry] = [:]
        return entries.filter { entry in
            if let first = firsts[entry.key] {
                report(
                    "given twice, first in line \(first.keyMark.line)", path: Self.join(field.path, entry.key),
                    mark: entry.keyMark)
                return false
            }
            firsts[entry.key] = entry
            return true
        }
    }

    /// A mapping of known keys; every other key is reported with the nearest known one.
    mutating func fields(_ field: Field?, known: [String]) -> [String: Field] {
        var found: [String: Field] = [:]
        for entry in entries(field) {
            let path = Self.join(field?.path ?? "", entry.key)
            guard known.contains(entry.key) else {
                report(
                    "no such key", path: path, mark: entry.keyMark,
                    suggestion: NearestWord.of(entry.key, in: known))
                continue
            }
            found[entry.key] = Field(node: entry.value, path: path)
        }
        return found
    }

    mutating func items(_ field: Field?) -> [Field] {
        guard let field, !field.node.isNull else { return [] }
        guard case .sequence(let items) = field.node.content else {
            report("expected a list, found \(field.node.kind)", at: field)
            return []
        }
        return items.enumerated().map { Field(node: $1, path: "\(field.path)[\($0)]") }
    }

    static func join(_ path: String, _ key: String) -> String {
        // A key of the file is foreign text; a long one must not flood the terminal.
        let key = key.count > 64 ? key.prefix(64) + "…" : key[...]
        return path.isEmpty ? String(key) : "\(path).\(key)"
    }
}

/// Single values.
extension ConfigurationReader {
    /// The text of a single value with `${NAME}` and `!secret` resolved; nil if absent or wrong, which is reported.
    mutating func text(_ field: Field?) -> String? { resolved(field)?.text }

    /// The same, for what is shown to people: it knows which of it is not for them.
    mutating func resolved(_ field: Field?) -> ResolvedText? {
        guard let field else { return nil }
        guard case .scalar(let raw, _) = field.node.content, !field.node.isNull else {
            report("expected a single value, found \(field.node.kind)", at: field)
            return nil
        }
        if field.node.isSecret {
            noteSecret(raw)
            switch secrets.value(named: raw) {
            case .success(let secret): return ResolvedText(secret: secret)
            case .failure(let error):
                report(error.message, at: field)
                return nil
            }
        }
        return substituted(raw, at: field)
    }

    /// A value that `parse` understands, else `fallback` and a report that says what was expected. The wrong value is
    /// quoted only if it stands in the file as it is: what came from the environment or the secrets may be one.
    mutating func value<Value>(
        _ field: Field?, or fallback: Value, expected: String, _ parse: (String) -> Value?
    ) -> Value {
        guard let field, let text = text(field) else { return fallback }
        if let value = parse(text) { return value }
        report("expected \(expected)\(quoted(field))", at: field)
        return fallback
    }

    /// One word of a closed list.
    mutating func word<Word: RawRepresentable & CaseIterable>(_ field: Field?, or fallback: Word) -> Word
    where Word.RawValue == String {
        guard let field, let text = text(field) else { return fallback }
        if let word = Word(rawValue: text) { return word }
        let known = Word.allCases.map(\.rawValue)
        report(
            "expected \(Self.list(known))\(quoted(field))", at: field, suggestion: NearestWord.of(text, in: known))
        return fallback
    }

    mutating func flag(_ field: Field?, or fallback: Bool) -> Bool {
        value(field, or: fallback, expected: "true or false") { text in
            switch text.lowercased() {
            case "true", "yes", "on": true
            case "false", "no", "off": false
            default: nil
            }
        }
    }

    mutating func duration(_ field: Field?, or fallback: Duration, in range: ClosedRange<Duration>) -> Duration {
        let bounds =
            range.lowerBound > .zero
            ? "from \(range.lowerBound.written) to \(range.upperBound.written)" : "up to \(range.upperBound.written)"
        return value(field, or: fallback, expected: "a duration \(bounds), such as 90s, 10m or 1h30m") { text in
            Duration(written: text).flatMap { range.contains($0) ? $0 : nil }
        }
    }

    /// Absolute, without `.` and `..`; a relative path begins at the configuration file's folder, `~/` at the home.
    mutating func path(_ field: Field?) -> String? {
        guard let field, let text = text(field) else { return nil }
        guard !text.isEmpty, text.utf8.count <= 4095 else {
            report("expected a path", at: field)
            return nil
        }
        if text.hasPrefix("~/") {
            guard let home = environment["HOME"], home.hasPrefix("/") else {
                report("~ means nothing here, since HOME is not set", at: field)
                return nil
            }
            return Self.normalized(home + text.dropFirst())
        }
        return Self.normalized(text.hasPrefix("/") ? text : baseFolder + "/" + text)
    }

    static func normalized(_ path: String) -> String {
        var levels: [Substring] = []
        for level in path.split(separator: "/") where level != "." {
            if level == ".." { _ = levels.popLast() } else { levels.append(level) }
        }
        return "/" + levels.joined(separator: "/")
    }

    static func list(_ words: [String]) -> String {
        guard words.count > 1, let last = words.last else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " or " + last
    }

    private func quoted(_ field: Field) -> String {
        guard case .scalar(let raw, _) = field.node.content, !field.node.isSecret, !raw.contains("${"),
            !raw.contains("@"), field.node.mark.line > 0
        else { return "" }
        return ", found \"\(raw.prefix(40))\""
    }

    private mutating func noteSecret(_ name: String) {
        if !secretNames.contains(name) { secretNames.append(name) }
    }

    /// Puts the environment's values in the place of `${NAME}`; `$${` stands for `${`.
    private mutating func substituted(_ raw: String, at field: Field) -> ResolvedText? {
        var result = ResolvedText()
        var rest = raw[...]
        while let start = rest.firstRange(of: "${") {
            if rest[..<start.lowerBound].hasSuffix("$") {
                result.append(written: rest[..<start.lowerBound].dropLast() + "${")
                rest = rest[start.upperBound...]
                continue
            }
            result.append(written: rest[..<start.lowerBound])
            guard let end = rest[start.upperBound...].firstIndex(of: "}") else {
                report("${ without its }", at: field)
                return nil
            }
            let name = String(rest[start.upperBound..<end])
            noteSecret(name)
            guard let value = environment[name] else {
                report("${\(name.prefix(64))}: not set in the environment", at: field)
                return nil
            }
            result.append(secret: value)
            rest = rest[rest.index(after: end)...]
        }
        result.append(written: rest)
        return result
    }
}
