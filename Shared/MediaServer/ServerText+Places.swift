internal import ClusterConfig
internal import Domain

/// Finding and changing places in the text.
extension ServerText {
    /// How `paths` is written.
    private enum Place {
        /// There is no such key; the top level's keys are indented so far.
        case absent(indent: Int)
        /// The key is there with nothing, `null` or `{}` after it, in these bytes of its line.
        case empty(line: Int, value: Range<Int>, indent: Int)
        /// One path per line or more; their names are indented so far.
        case block(line: Int, indent: Int)
        /// `{…}`; the position after the brace.
        case flow(line: Int, offset: Int, isEmpty: Bool)
    }

    private func place(in tree: YAMLTree) throws(CodedError) -> Place {
        guard let entry = tree.entries?.first(where: { $0.key == "paths" }) else {
            return .absent(indent: (tree.entries?.first?.keyPlace.column ?? 1) - 1)
        }
        let index = entry.keyPlace.line - 1
        guard lines.lines.indices.contains(index) else { throw refusal("paths: its line cannot be found") }
        let line = lines.lines[index]
        let indent = line.indent
        guard ["paths:", "\"paths\":", "'paths':"].contains(where: line.trimmed.hasPrefix),
            let colon = line.bytes.firstIndex(of: UInt8(ascii: ":"))
        else { throw refusal("paths: not at the beginning of its line") }
        let value = line.bytes[(colon + 1)...].drop { $0 == 0x20 || $0 == 0x09 }
        switch value.first {
        case nil, UInt8(ascii: "#")?: return try belowKey(index, entry.value, indent: indent)
        case UInt8(ascii: "{")?:
            let inside = value.dropFirst().drop { $0 == 0x20 || $0 == 0x09 }
            if inside.first == UInt8(ascii: "}") {
                return .empty(line: index, value: value.startIndex..<(inside.startIndex + 1), indent: indent + 2)
            }
            return .flow(line: index, offset: value.startIndex + 1, isEmpty: entry.value.entries?.isEmpty ?? true)
        case UInt8(ascii: "&")?, UInt8(ascii: "!")?:
            let rest = value.drop { $0 != 0x20 && $0 != 0x09 }.drop { $0 == 0x20 || $0 == 0x09 }
            guard rest.isEmpty || rest.first == UInt8(ascii: "#"), entry.value.entries?.isEmpty == false else {
                throw refusal("paths: its value is written in a way that is not understood")
            }
            return try belowKey(index, entry.value, indent: indent)
        default:
            let word = value.prefix { $0 != 0x20 && $0 != 0x09 && $0 != UInt8(ascii: "#") }
            guard case .null = entry.value.content,
                ["~", "null", "Null", "NULL"].contains(String(decoding: word, as: UTF8.self))
            else { throw refusal("paths: its value is written in a way that is not understood") }
            return .empty(line: index, value: word.startIndex..<word.endIndex, indent: indent + 2)
        }
    }

    /// The value begins in a line below its key, or there is none.
    private func belowKey(_ index: Int, _ value: YAMLTree, indent: Int) throws(CodedError) -> Place {
        if case .null = value.content {
            guard value.place.line <= index + 1 || isNothing(at: value.place) else {
                throw refusal("paths: its value is written in a way that is not understood")
            }
            let end = lines.lines[index].bytes.endIndex
            return .empty(line: index, value: end..<end, indent: indent + 2)
        }
        guard let first = lines.lines[(index + 1)...].firstIndex(where: { !$0.isBlank && !$0.isComment }) else {
            throw refusal("paths: its value cannot be found")
        }
        let line = lines.lines[first]
        if line.trimmed.hasPrefix("{") {
            return .flow(line: first, offset: line.indent + 1, isEmpty: value.entries?.isEmpty ?? true)
        }
        guard line.indent > indent else { throw refusal("paths: its first entry is not indented") }
        return .block(line: index, indent: line.indent)
    }

    /// An empty value has the place where the next thing begins.
    private func isNothing(at place: YAMLTree.Place) -> Bool {
        guard lines.lines.indices.contains(place.line - 1) else { return true }
        let word = lines.lines[place.line - 1].trimmed.prefix { !$0.isWhitespace }
        return !["~", "null", "Null", "NULL"].contains(word)
    }

    // MARK: Putting in

    mutating func insert(_ entries: [Entry]) throws(CodedError) {
        guard !entries.isEmpty else { return }
        switch try place(in: try parsed()) {
        case .absent(let indent):
            lines.endLastLine()
            let key = String(repeating: " ", count: indent) + "paths:"
            lines.lines += marked(entries, indent: indent + 2, above: [lines.line(key)], markerIndent: indent)
        case .empty(let line, let value, let indent):
            lines.lines[line].bytes.removeSubrange(value)
            insert(entries, below: line, indent: indent)
        case .block(let line, let indent): insert(entries, below: line, indent: indent)
        case .flow(let line, let offset, let isEmpty):
            guard entries.allSatisfy({ $0.standing == nil }) else { throw refusal("paths: {…} holds our lines") }
            // A comment inside braces is one of the things that YAML readers disagree about, so there are no markers
            // here.
            let text = entries.map(\.flow).joined(separator: ", ") + (isEmpty ? "" : ", ")
            lines.lines[line].bytes.insert(contentsOf: Array(text.utf8), at: offset)
        }
    }

    private mutating func insert(_ entries: [Entry], below line: Int, indent: Int) {
        if line == lines.lines.indices.last { lines.endLastLine() }
        lines.lines.insert(contentsOf: marked(entries, indent: indent, above: [], markerIndent: indent), at: line + 1)
    }

    private func marked(
        _ entries: [Entry], indent: Int, above: [TextLines.Line], markerIndent: Int
    ) -> [TextLines.Line] {
        let margin = String(repeating: " ", count: indent)
        let markerMargin = String(repeating: " ", count: markerIndent)
        return [lines.line(markerMargin + Self.beginMarker)] + above
            + entries.flatMap(\.block).map { lines.line(margin + $0) } + [lines.line(markerMargin + Self.endMarker)]
    }

    // MARK: Taking out

    /// Takes out a path that the file's author wrote under a camera's name.
    /// - Returns: false if there is none, or only one that a merge key brings along and that ours overrides.
    mutating func removeEntry(_ name: String) throws(CodedError) -> Bool {
        let tree = try parsed()
        guard let paths = tree["paths"], let entry = paths.entries?.first(where: { $0.key == name }) else {
            return false
        }
        switch try place(in: tree) {
        case .absent, .empty: return false
        case .flow:
            throw refusal("it has a path \(name) inside {…}; write that one on lines of its own, or take it out")
        case .block(let line, let indent):
            let first = entry.keyPlace.line - 1
            let below = lines.lines[(line + 1)...]
            let end = below.firstIndex { !$0.isBlank && !$0.isComment && $0.indent < indent } ?? below.endIndex
            guard (line + 1..<end).contains(first), entry.keyPlace.column == indent + 1,
                lines.lines[first].indent == indent
            else { return false }
            lines.lines.removeSubrange(first..<entryEnd(first, indent: indent))
            return true
        }
    }

    /// After the last line of the entry that begins in line `first`; comments and blank lines before the next one stay.
    private func entryEnd(_ first: Int, indent: Int) -> Int {
        let rest = lines.lines[(first + 1)...]
        var end = rest.firstIndex { !$0.isBlank && !$0.isComment && $0.indent <= indent } ?? rest.endIndex
        while end > first + 1, lines.lines[end - 1].isBlank || isOutside(lines.lines[end - 1], indent) { end -= 1 }
        return end
    }

    private func isOutside(_ line: TextLines.Line, _ indent: Int) -> Bool { line.isComment && line.indent <= indent }

    /// Takes out our own paths of an earlier edit from `paths: {…}`.
    mutating func removeFlowEntries() throws(CodedError) {
        while true {
            let tree = try parsed()
            guard case .flow = try place(in: tree),
                let entry = tree["paths"]?.entries?.first(where: { $0.value.isMade(by: node) })
            else { return }
            let line = entry.keyPlace.line - 1
            let before = lines.lines[line].text.unicodeScalars.prefix(entry.keyPlace.column - 1)
            let offset = String(before).utf8.count
            guard let end = flowEnd(of: entry.key, in: lines.lines[line].bytes, from: offset) else {
                throw refusal("its path \(entry.key) inside {…} is no longer as Framekeeper wrote it; take it out")
            }
            lines.lines[line].bytes.removeSubrange(offset..<end)
        }
    }

    /// The end of `"name": {…}, ` as `Entry.flow` writes it.
    private func flowEnd(of name: String, in bytes: [UInt8], from offset: Int) -> Int? {
        let head = Array("\(SettingValue.quoted(name)): {".utf8)
        guard bytes[offset...].starts(with: head) else { return nil }
        var index = offset + head.count
        var isQuoted = false
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\\") where isQuoted: index += 1
            case UInt8(ascii: "\""): isQuoted.toggle()
            case UInt8(ascii: "}") where !isQuoted:
                let rest = bytes[(index + 1)...]
                let comma = rest.first == UInt8(ascii: ",") ? rest.dropFirst().drop { $0 == 0x20 } : rest
                return comma.startIndex
            default: break
            }
            index += 1
        }
        return nil
    }
}
