/// What an operator should know of an open source, as a sentence for the log.
package struct SourceRemark: Hashable, Sendable {
    package var text: String
    /// Somebody asked for something else than what came.
    package var isWarning: Bool

    package init(_ text: String, isWarning: Bool) {
        self.text = text
        self.isWarning = isWarning
    }
}
