package import Domain

/// One text of the configuration as the history keeps it.
package struct RevisionRecord: Hashable, Sendable {
    package enum Origin: String, Hashable, Sendable, Codable, CaseIterable {
        /// Somebody changed the file.
        case file
        /// `config/set`.
        case command
        case rollback
    }

    package enum State: String, Hashable, Sendable, Codable, CaseIterable {
        /// In force.
        case applied
        /// Was in force, or was replaced before it came to that.
        case superseded
        /// Waits for recordings to end.
        case pending
        /// Never fit to be in force; it has no number.
        case rejected
    }

    /// Nil for a text that never was fit.
    package var number: Int?
    package var at: WallTime
    package var text: [UInt8]
    package var origin: Origin
    package var state: State
    package var who: String?
    package var why: String?

    package init(
        number: Int?, at: WallTime, text: [UInt8], origin: Origin, state: State, who: String? = nil, why: String? = nil
    ) {
        self.number = number
        self.at = at
        self.text = text
        self.origin = origin
        self.state = state
        self.who = who
        self.why = why
    }
}
