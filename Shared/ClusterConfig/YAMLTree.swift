/// YAML that is not this product's configuration, such as the media server's file: its values and the places of its
/// keys, for a reader that does not know the keys beforehand. Aliases and merge keys are already followed.
package struct YAMLTree: Sendable, Hashable {
    package indirect enum Content: Sendable, Hashable {
        /// A single value; `isPlain` if it stands without quotes, so that its letters decide what it is.
        case scalar(String, isPlain: Bool)
        /// In the order of the text; a key that is given twice stands here twice.
        case mapping([Entry])
        case sequence([YAMLTree])
        /// Empty, `~` or `null`.
        case null
    }

    package struct Entry: Sendable, Hashable {
        package var key: String
        package var keyPlace: Place
        package var value: YAMLTree
    }

    /// Both from 1; columns count characters.
    package struct Place: Sendable, Hashable {
        package var line: Int
        package var column: Int

        package init(line: Int, column: Int) {
            self.line = line
            self.column = column
        }
    }

    package var content: Content
    package var place: Place

    /// - Parameter name: of the file, for messages.
    package static func parse(_ bytes: [UInt8], name: String) throws(ConfigurationError) -> YAMLTree {
        YAMLTree(try YAMLDocument.parse(bytes, origin: name))
    }

    /// A tree that compares equal to another one if both say the same, wherever it stands.
    package var withoutPlaces: YAMLTree {
        let nowhere = Place(line: 0, column: 0)
        switch content {
        case .mapping(let entries):
            let bare = entries.map { Entry(key: $0.key, keyPlace: nowhere, value: $0.value.withoutPlaces) }
            return YAMLTree(content: .mapping(bare), place: nowhere)
        case .sequence(let items):
            return YAMLTree(content: .sequence(items.map(\.withoutPlaces)), place: nowhere)
        case .scalar, .null: return YAMLTree(content: content, place: nowhere)
        }
    }

    /// Nil unless this is a mapping; none if there is nothing.
    package var entries: [Entry]? {
        switch content {
        case .mapping(let entries): entries
        case .null: []
        case .scalar, .sequence: nil
        }
    }

    package subscript(key: String) -> YAMLTree? { entries?.first { $0.key == key }?.value }

    package init(content: Content, place: Place) {
        self.content = content
        self.place = place
    }

    private init(_ node: YAMLNode) {
        place = Place(line: node.mark.line, column: node.mark.column)
        switch node.content {
        case _ where node.isNull: content = .null
        case .scalar(let text, let isPlain): content = .scalar(text, isPlain: isPlain)
        case .sequence(let items): content = .sequence(items.map(YAMLTree.init))
        case .mapping(let entries):
            content = .mapping(
                entries.map {
                    Entry(
                        key: $0.key, keyPlace: Place(line: $0.keyMark.line, column: $0.keyMark.column),
                        value: YAMLTree($0.value))
                })
        }
    }
}
