/// The targets of Package.swift and what each depends on, read from its text: `swift package` cannot be asked while
/// `swift test` holds its lock.
struct PackageGraph {
    private(set) var dependencies: [String: [String]] = [:]

    init(_ manifest: String) {
        let code = manifest.split(separator: "\n").filter { !$0.drop { $0 == " " }.hasPrefix("//") }
            .joined(separator: " ")
        var names: [String: String] = [:]
        for part in code.components(after: "let ") {
            guard let match = part.firstMatch(of: "^(\\w+): Target\\.Dependency = \\.product\\(name: \"(\\w+)\"") else {
                continue
            }
            names[match[1]] = match[2]
        }
        for call in ["library(", "main(", ".target("] {
            for part in code.components(after: call) {
                guard let head = part.firstMatch(of: "^\\s*(?:name: )?\"(\\w+)\"") else { continue }
                dependencies[head[1], default: []] += Self.items(in: part, named: names)
            }
        }
    }

    /// Everything that `target` links, itself included.
    func closure(of target: String) -> Set<String> {
        var found: Set<String> = []
        var open = [target]
        while let next = open.popLast() {
            if found.insert(next).inserted { open += dependencies[next] ?? [] }
        }
        return found
    }

    /// What stands in the first list of the call.
    private static func items(in call: String, named names: [String: String]) -> [String] {
        guard let start = call.firstIndex(of: "["), !call[..<start].contains(")") else { return [] }
        var depth = 0
        var list = ""
        for character in call[start...] {
            if character == "[" { depth += 1 }
            if character == "]" { depth -= 1 }
            if depth == 0 { break }
            list.append(character)
        }
        return list.dropFirst().split(separator: ",").compactMap { item in
            let text = String(item).trimmed
            if let product = text.firstMatch(of: "^\\.product\\(name: \"(\\w+)\"") { return product[1] }
            if let target = text.firstMatch(of: "^\"(\\w+)\"$") { return target[1] }
            return names[text]
        }
    }
}

extension String {
    /// What follows each place where `marker` stands.
    func components(after marker: String) -> [String] {
        ranges(of: marker).map { String(self[$0.upperBound...]) }
    }

    var trimmed: String {
        String(drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }
}
