package import BusContract

/// Follows a revision that waits through what its node's config-writer says: until it is in force, or another change
/// has taken its place. Pure.
///
/// Invariant: what was said before the revision was known decides nothing. A state that the broker kept from before is
/// told by its number, which grows with every word of a config-writer.
package struct ChangePursuit: Hashable, Sendable {
    package enum Verdict: Hashable, Sendable {
        case waits(ConfigState.Pending)
        /// The state is older than the wish.
        case unknown
        case inForce
        /// By the revision that is in force in its place, or that waits in its place.
        case replaced(by: Int)
    }

    private let revision: Int
    /// Of the youngest state that knew the revision.
    private var number: UInt64?
    private var isCurrent = false

    package init(of revision: Int) { self.revision = revision }

    /// From here on everything is younger than the wish.
    package mutating func caughtUp() { isCurrent = true }

    package mutating func take(_ state: ConfigState, number: UInt64) -> Verdict {
        if state.revision == revision { return .inForce }
        if state.revision > revision { return .replaced(by: state.revision) }
        if let pending = state.pending, pending.revision >= revision {
            guard pending.revision == revision else { return .replaced(by: pending.revision) }
            self.number = max(number, self.number ?? 0)
            return .waits(pending)
        }
        // It waits no more, and an earlier one is in force.
        let isYounger = self.number.map { $0 < number } ?? isCurrent
        return isYounger ? .replaced(by: state.revision) : .unknown
    }
}
