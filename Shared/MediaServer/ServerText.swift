internal import ClusterConfig
package import Domain

/// The text of the media server's own file, with this node's paths in it and everything else as it was, byte for byte.
/// Pure; `MediaServerFile` reads and writes.
///
/// Invariants: the result is parsed again before anyone sees it; every foreign value in it is the one that stood there
/// before, every path of ours is as it was asked for, and nothing in it is of a type that the server would end at. What
/// cannot be edited under these conditions is refused with the reason, and the file stays as it is.
package struct ServerText: Sendable {
    /// What an edit does.
    package struct Edit: Hashable, Sendable {
        package var bytes: [UInt8]
        /// Paths of the file's author that had the name of a camera; ours stand in their place.
        package var replaced: [String] = []
        /// Paths that were to stay as they stand.
        package var kept: [String] = []
        /// Keys that the table does not know; the server's business.
        package var unknownKeys: [String] = []
    }

    static let beginMarker = "# framekeeper: begin. Written by Framekeeper; what is changed here is lost."
    static let endMarker = "# framekeeper: end."
    private static let beginStart = "# framekeeper: begin"
    private static let endStart = "# framekeeper: end"

    let name: String
    let node: NodeID
    var lines: TextLines
    /// The lines between our markers as they stood.
    private(set) var ownLines: [TextLines.Line] = []

    /// - Parameters:
    ///   - bytes: the file as it stands.
    ///   - name: of the file, for messages.
    package init(_ bytes: [UInt8], name: String, node: NodeID) throws(CodedError) {
        self.name = name
        self.node = node
        lines = TextLines(bytes)
        try takeOwnLines()
    }

    /// The text without our paths.
    package var foreignBytes: [UInt8] { lines.bytes }

    /// The text with `paths` in it, in place of those that we put there before.
    /// - Parameters:
    ///   - keeping: paths in use, which stay as they stand if they stand there.
    ///   - refused: paths that the server does not take, which also stay as they stand, be it nowhere.
    package func edited(
        _ paths: [PathSettings], keeping: Set<String> = [], refused: Set<String> = []
    ) throws(CodedError) -> Edit {
        let paths = paths.filter { !refused.contains($0.name) || ownEntry($0.name) != nil }
        let keeping = keeping.union(refused)
        var text = self
        let before = try text.parsed()
        try refuseFaults(of: before)
        try text.removeFlowEntries()
        var edit = Edit(bytes: [])
        for path in paths where try text.removeEntry(path.name) { edit.replaced.append(path.name) }
        let entries = paths.map { path in
            let lines = keeping.contains(path.name) ? ownEntry(path.name) : nil
            if lines != nil { edit.kept.append(path.name) }
            return Entry(settings: path, standing: lines)
        }
        try text.insert(entries)
        edit.bytes = text.lines.bytes
        edit.unknownKeys = try ServerTextProof(before: before, name: name, node: node).check(
            edit.bytes, ours: paths.filter { !edit.kept.contains($0.name) }, kept: edit.kept)
        return edit
    }

    func parsed() throws(CodedError) -> YAMLTree {
        do throws(ConfigurationError) {
            return try YAMLTree.parse(lines.bytes, name: name)
        } catch {
            throw CodedError(.conflict, "\(error)")
        }
    }

    func refusal(_ reason: String) -> CodedError {
        CodedError(.conflict, "\(name) cannot be edited safely: \(reason)")
    }

    private func refuseFaults(of tree: YAMLTree) throws(CodedError) {
        let faults = MediaServerSchema.check(tree).faults
        guard faults.isEmpty else {
            throw refusal("the server would end if it read it again: \(faults.joined(separator: "; "))")
        }
    }

    // MARK: Our lines

    private mutating func takeOwnLines() throws(CodedError) {
        let begins = lines.lines.indices.filter { lines.lines[$0].trimmed.hasPrefix(Self.beginStart) }
        let ends = lines.lines.indices.filter { lines.lines[$0].trimmed.hasPrefix(Self.endStart) }
        if begins.isEmpty, ends.isEmpty { return }
        guard begins.count == 1, ends.count == 1, begins[0] < ends[0] else {
            throw refusal("its lines \"\(Self.beginStart)\" and \"\(Self.endStart)\" are not one pair")
        }
        let own = lines.lines[(begins[0] + 1)..<ends[0]]
        let after = lines.lines[(ends[0] + 1)...].first { !$0.isBlank && !$0.isComment }
        // Where the key was ours too, and somebody has put a path of their own below, the key is theirs now.
        let isShared = own.first?.trimmed == "paths:" && (after?.indent ?? 0) > lines.lines[begins[0]].indent
        lines.lines.replaceSubrange(begins[0]...ends[0], with: isShared ? Array(own.prefix(1)) : [])
        ownLines = Array(own)
    }

    /// One of our entries as it stands, without its indentation.
    private func ownEntry(_ name: String) -> [String]? {
        guard let start = ownLines.firstIndex(where: { $0.trimmed == "\(SettingValue.quoted(name)):" }) else {
            return nil
        }
        let indent = ownLines[start].indent
        let body = ownLines[(start + 1)...].prefix { $0.indent > indent }
        return ([ownLines[start]] + body).map { String($0.text.dropFirst(indent)) }
    }

    /// A path on its way into the text.
    struct Entry {
        var settings: PathSettings
        /// The lines to use instead, if the path is to stay as it stands.
        var standing: [String]?

        /// As a block mapping. The name stands in quotes, since a camera may be called `1` or `no`.
        var block: [String] {
            standing ?? ["\(SettingValue.quoted(settings.name)):"]
                + settings.values.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value.json)" }
        }

        var flow: String {
            "\(SettingValue.quoted(settings.name)): \(SettingValue.map(settings.values).json)"
        }
    }
}
