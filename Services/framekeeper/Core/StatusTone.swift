/// How a state is coloured: by the word that it begins with.
package enum StatusTone: Sendable, Hashable, CaseIterable {
    case good, passing, bad

    private static let words: [StatusTone: Set<String>] = [
        .good: ["active", "recording", "online", "ok", "complete", "applied"],
        .passing: ["starting", "stopping", "closing", "degraded", "low", "open", "pending"],
        .bad: [
            "failed", "failing", "offline", "full", "unreachable", "worker offline", "no worker", "missing", "BROKEN",
            "rejected",
        ],
    ]

    /// Nil for what is neither good nor bad: `idle`, a name, a number.
    package init?(cell: String) {
        let word = cell.prefix { $0 != ":" && $0 != "," }
        let first = String(word.prefix { $0 != " " })
        let found = Self.allCases.first { tone in
            Self.words[tone].map { $0.contains(String(word)) || $0.contains(first) } ?? false
        }
        guard let found else { return nil }
        self = found
    }
}
