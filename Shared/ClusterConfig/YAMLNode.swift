/// A parsed YAML document as plain values, each with the place it came from. It knows nothing of configuration keys.
struct YAMLNode: Sendable, Hashable {
    enum Content: Sendable, Hashable {
        case scalar(String, isPlain: Bool)
        /// In the order of the file; keys may repeat, and whoever reads the mapping says so.
        case mapping([Entry])
        case sequence([YAMLNode])
    }

    struct Entry: Sendable, Hashable {
        var key: String
        var keyMark: Mark
        var value: YAMLNode
    }

    /// Where a value was written.
    struct Mark: Sendable, Hashable {
        /// A path, `--broker` or `$FRAMEKEEPER_NODE`.
        var origin: String
        /// From 1; 0 if the origin has no lines.
        var line: Int
        var column: Int
    }

    var content: Content
    var mark: Mark
    /// Tagged `!secret`: the text is the name of a secret.
    var isSecret = false

    /// Nodes in this tree with aliases expanded, itself included: the bound on what an alias bomb can cost a reader.
    let size: Int

    init(_ content: Content, mark: Mark, isSecret: Bool = false) {
        self.content = content
        self.mark = mark
        self.isSecret = isSecret
        size =
            switch content {
            case .scalar: 1
            case .mapping(let entries): entries.reduce(1) { $0 + 1 + $1.value.size }
            case .sequence(let items): items.reduce(1) { $0 + $1.size }
            }
    }

    /// An empty value, `~` or `null`.
    var isNull: Bool {
        guard case .scalar(let text, isPlain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// What this node is, for messages.
    var kind: String {
        switch content {
        case .scalar: isNull ? "nothing" : "a single value"
        case .mapping: "a mapping"
        case .sequence: "a list"
        }
    }
}
