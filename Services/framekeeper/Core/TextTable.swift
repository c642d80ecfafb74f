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

    package mutating func add(_ cells: String...) { rows.append(cells) }

    /// Without the lines' ends; no trailing spaces.
    package var lines: [String] {
        let all = [titles.map(\.title)] + rows
        let widths = titles.indices.map { column in all.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, title) in titles.enumerated() {
                let cell = row.count > column ? row[column] : ""
                let fill = String(repeating: " ", count: widths[column] - cell.count)
                line += (column > 0 ? "  " : "") + (title.side == .right ? fill + cell : cell + fill)
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}

extension BinaryInteger {
    /// `1 gap`, `2 gaps`.
    package func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
