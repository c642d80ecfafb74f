package import ClusterConfig

/// Holding a file against the table.
extension MediaServerSchema {
    /// What is wrong with a file, key by key.
    package struct Findings: Hashable, Sendable {
        /// The server would end if it read this.
        package var faults: [String] = []
        /// Not in the table: mistyped, or of a newer server.
        package var unknownKeys: [String] = []
    }

    package static func check(_ tree: YAMLTree) -> Findings {
        var findings = Findings()
        guard let entries = tree.entries else {
            findings.faults.append("the file is not a mapping")
            return findings
        }
        check(unique: entries, at: "", &findings)
        for entry in entries {
            switch entry.key {
            case "paths": checkPaths(entry.value, &findings)
            case "pathDefaults": check(keys: entry.value, of: path, at: entry.key, &findings)
            default: check(entry, of: global, at: "", &findings)
            }
        }
        return findings
    }

    private static func checkPaths(_ tree: YAMLTree, _ findings: inout Findings) {
        guard let entries = tree.entries else {
            findings.faults.append("paths: expected a mapping (line \(tree.place.line))")
            return
        }
        check(unique: entries, at: "paths", &findings)
        for entry in entries { check(keys: entry.value, of: path, at: "paths.\(entry.key)", &findings) }
    }

    private static func check(
        keys tree: YAMLTree, of table: [String: Kind], at path: String, _ findings: inout Findings
    ) {
        guard let entries = tree.entries else {
            findings.faults.append("\(path): expected a mapping (line \(tree.place.line))")
            return
        }
        check(unique: entries, at: path, &findings)
        for entry in entries { check(entry, of: table, at: path + ".", &findings) }
    }

    private static func check(unique entries: [YAMLTree.Entry], at path: String, _ findings: inout Findings) {
        var seen: Set<String> = []
        for entry in entries where !seen.insert(entry.key).inserted {
            findings.faults.append("\(path.isEmpty ? "" : path + ".")\(entry.key): given twice")
        }
    }

    private static func check(
        _ entry: YAMLTree.Entry, of table: [String: Kind], at prefix: String, _ findings: inout Findings
    ) {
        guard let kind = table[entry.key] else {
            findings.unknownKeys.append(prefix + entry.key)
            return
        }
        if !isFit(entry.value, for: kind) {
            findings.faults.append("\(prefix)\(entry.key): wrong type or value (line \(entry.keyPlace.line))")
        }
    }

    /// As lenient as the server where the two could differ: a number may stand for a text, and nothing for anything.
    private static func isFit(_ tree: YAMLTree, for kind: Kind) -> Bool {
        switch (tree.content, kind) {
        case (.null, _): true
        case (.mapping, .map): true
        case (.sequence(let items), .list(let kind)): items.allSatisfy { isFit($0, for: kind) }
        case (.scalar(let text, let isPlain), _): isFit(text, isPlain: isPlain, for: kind)
        case (.mapping, _), (.sequence, _): false
        }
    }

    private static func isFit(_ text: String, isPlain: Bool, for kind: Kind) -> Bool {
        switch kind {
        case .text: true
        case .flag: isPlain && isFlag(text)
        // What the server turns into a flag is no word to it.
        case .words(let words): words.contains(text) && !(isPlain && isFlag(text))
        case .integer: isPlain && Int(text) != nil
        case .number: isPlain && Double(text) != nil
        case .duration: ServerDuration.nanoseconds(text) != nil
        case .size: Double(text.prefix { $0.isNumber || $0 == "." }) != nil && text.last?.isLetter == true
        case .list, .map: false
        }
    }

    /// Without quotes, what the server turns into a flag (`internal/conf/yamlwrapper`): all in small letters, all in
    /// capitals, or one in front.
    private static func isFlag(_ text: String) -> Bool {
        ["yes", "no", "true", "false", "on", "off"].contains(text.lowercased())
            && (text.dropFirst() == text.dropFirst().lowercased() || text == text.uppercased())
    }
}
