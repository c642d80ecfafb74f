/// The text that Prometheus reads (exposition format 0.0.4): families with help and type, samples below them.
///
/// Invariants: a family without a sample is left out; names and labels are this project's own and need no check, values
/// of labels are escaped.
struct Exposition {
    enum Kind: String {
        case counter, gauge, histogram
    }

    typealias Labels = [(String, String)]

    private(set) var text = ""

    /// One family. `samples` adds its samples to the family that it is given.
    mutating func family(_ name: String, _ kind: Kind, _ help: String, _ samples: (inout Family) -> Void) {
        var family = Family(name: "framekeeper_\(name)")
        samples(&family)
        guard !family.text.isEmpty else { return }
        text += "# HELP \(family.name) \(help)\n# TYPE \(family.name) \(kind.rawValue)\n"
        text += family.text
    }

    /// A family of one sample.
    mutating func value(_ name: String, _ kind: Kind, _ help: String, _ value: Double?) {
        family(name, kind, help) { family in
            if let value { family.add(value) }
        }
    }

    struct Family {
        let name: String
        fileprivate(set) var text = ""

        init(name: String) { self.name = name }

        mutating func add(_ value: Double, _ labels: Labels = []) {
            text += name + Self.printed(labels) + " " + Self.printed(value) + "\n"
        }

        mutating func add(_ value: UInt64, _ labels: Labels = []) {
            text += name + Self.printed(labels) + " \(value)\n"
        }

        /// One sample per word of a closed list: 1 for the one that holds, 0 for the others.
        mutating func add<Word: RawRepresentable & CaseIterable & Equatable>(
            _ current: Word, _ label: String, _ labels: Labels
        ) where Word.RawValue == String {
            for word in Word.allCases { add(UInt64(word == current ? 1 : 0), labels + [(label, word.rawValue)]) }
        }

        mutating func add(_ histogram: Histogram, _ labels: Labels = []) {
            var total: UInt64 = 0
            for (bound, count) in zip(histogram.bounds, histogram.counts) {
                total += count
                text += "\(name)_bucket\(Self.printed(labels + [("le", Self.printed(bound))])) \(total)\n"
            }
            text += "\(name)_bucket\(Self.printed(labels + [("le", "+Inf")])) \(histogram.count)\n"
            text += "\(name)_sum\(Self.printed(labels)) \(Self.printed(histogram.sum))\n"
            text += "\(name)_count\(Self.printed(labels)) \(histogram.count)\n"
        }

        private static func printed(_ labels: Labels) -> String {
            guard !labels.isEmpty else { return "" }
            return "{" + labels.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",") + "}"
        }

        static func printed(_ value: Double) -> String {
            if value.isNaN { return "NaN" }
            guard value.isFinite else { return value < 0 ? "-Inf" : "+Inf" }
            if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
            return "\(value)"
        }

        private static func escaped(_ text: String) -> String {
            guard text.utf8.contains(where: { $0 == 0x5C || $0 == 0x22 || $0 == 0x0A }) else { return text }
            var escaped = ""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\\": escaped += "\\\\"
                case "\"": escaped += "\\\""
                case "\n": escaped += "\\n"
                default: escaped.unicodeScalars.append(scalar)
                }
            }
            return escaped
        }
    }
}
