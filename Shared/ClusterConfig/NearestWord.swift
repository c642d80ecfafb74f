/// Finds what was probably meant by a word that is not known.
enum NearestWord {
    /// The candidate with the fewest edits (insert, delete, replace, swap of neighbours), if they are few enough for a
    /// slip: one in three letters, at least one. The earlier candidate wins a tie.
    static func of(_ word: String, in candidates: [String]) -> String? {
        let word = Array(word.lowercased().utf8.prefix(64))
        var best: (word: String, edits: Int)?
        for candidate in candidates {
            let letters = Array(candidate.utf8)
            guard abs(letters.count - word.count) <= max(letters.count, word.count) / 3 + 1 else { continue }
            let edits = edits(from: word, to: letters)
            if edits <= max(1, max(letters.count, word.count) / 3), edits < (best?.edits ?? .max) {
                best = (candidate, edits)
            }
        }
        return best?.word
    }

    /// Optimal string alignment distance.
    private static func edits(from: [UInt8], to: [UInt8]) -> Int {
        var rows = [Array(0...to.count)]
        for (i, a) in from.enumerated() {
            var row = [i + 1]
            for (j, b) in to.enumerated() {
                var least = min(row[j] + 1, rows[i][j + 1] + 1, rows[i][j] + (a == b ? 0 : 1))
                if i > 0, j > 0, a == to[j - 1], from[i - 1] == b { least = min(least, rows[i - 1][j - 1] + 1) }
                row.append(least)
            }
            rows.append(row)
        }
        return rows[from.count][to.count]
    }
}
