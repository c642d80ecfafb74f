/// One thing that is wrong with the configuration, said so that a person finds it: where, which key, what, and what was
/// probably meant.
package struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A path, or `--broker`, or `$FRAMEKEEPER_NODE`: whatever supplied the value.
    package var file: String
    /// From 1; 0: no place within the file.
    package var line: Int
    /// From 1; 0: no place within the line.
    package var column: Int
    /// `cameras.front.preroll`; empty: the file as a whole.
    package var keyPath: String
    package var message: String
    /// The nearest known key or word.
    package var suggestion: String?

    package init(
        file: String, line: Int = 0, column: Int = 0, keyPath: String = "", message: String, suggestion: String? = nil
    ) {
        self.file = file
        self.line = line
        self.column = column
        self.keyPath = keyPath
        self.message = message
        self.suggestion = suggestion
    }

    /// As a compiler prints it: `framekeeper.yml:12:7: cameras.front.prerol: no such key; did you mean "preroll"?`
    package var description: String {
        let place = line > 0 ? "\(file):\(line):\(column)" : file
        let key = keyPath.isEmpty ? "" : " \(keyPath):"
        return "\(place):\(key) \(message)" + (suggestion.map { "; did you mean \"\($0)\"?" } ?? "")
    }
}

/// Everything that is wrong, in the order of the file; never empty.
package struct ConfigurationErrors: Error, Sendable, Hashable, CustomStringConvertible {
    package let errors: [ConfigurationError]

    package init(_ errors: [ConfigurationError]) { self.errors = errors }

    package var description: String { errors.map(\.description).joined(separator: "\n") }
}
