internal import Domain

/// Columns of text for a terminal: as wide as their widest cell, two spaces apart, numbers to the right.
package struct TextTable: Sendable, Hashable {
    package private(set) var rows: [[String]] = []
    private enum Side: Sendable, Hashable { case left, right }

    private struct Title: Sendable, Hashable {
        var title: String
        var side: Side
    }
    private let titles: [Title]

    /// A title that begins with `>` heads a column of numbers.
    package init(_ titles: String...) {
        self.titles = titles.map { title in
            title.hasPrefix(">")
                ? Title(title: String(title.dropFirst()), side: .right) : Title(title: title, side: .left)
        }
    }

    /// What came over the bus may hold anything; a cell holds one line of it.
    package mutating func add(_ cells: String...) { rows.append(cells.map(\.withoutControls)) }

    /// Without the lines' ends; no trailing spaces.
    package var lines: [String] { lines(width: nil) { $0 } }

    /// - Parameters:
    ///   - width: of the terminal, in characters; what does not fit is cut, with `…` for it. Nil: as wide as it is.
    ///   - paint: puts colour around a cell, which changes nothing of where it stands.
    package func lines(width: Int?, paint: (String) -> String) -> [String] {
        let all = [titles.map(\.title)] + rows
        let widths = titles.indices.map { column in all.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return all.enumerated().map { number, row in
            line(row, widths, width ?? .max) { number == 0 ? $0 : paint($0) }
        }
    }

    private func line(_ row: [String], _ widths: [Int], _ width: Int, _ paint: (String) -> String) -> String {
        var line = ""
        var column = 0
        // Blanks are owed until something stands behind them.
        var owed = 0
        for (index, title) in titles.enumerated() {
            let cell = row.count > index ? row[index] : ""
            let fill = widths[index] - cell.count
            owed += (index > 0 ? 2 : 0) + (title.side == .right ? fill : 0)
            if !cell.isEmpty {
                let room = width - column - owed
                guard room > 0 else { break }
                let shown = cell.count > room ? cell.prefix(room - 1) + "…" : cell[...]
                line += String(repeating: " ", count: owed) + paint(String(shown))
                column += owed + shown.count
                owed = 0
            }
            owed += title.side == .left ? fill : 0
        }
        return line
    }
}

extension String {
    /// For a terminal: one line, spaces in the place of control characters.
    package var withoutControls: String {
        var flat = ""
        for scalar in unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
            flat.unicodeScalars.append(isControl ? " " : scalar)
        }
        return flat
    }
}

extension Double {
    /// Seconds as a person reads them: `1m30s`.
    package var asTime: String {
        isFinite ? Duration.nanoseconds(Int64(min(max(self, 0), 9e9) * 1e9 + 0.5)).written : "-"
    }
}

extension BinaryInteger {
    /// `1 gap`, `2 gaps`.
    package func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
