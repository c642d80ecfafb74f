/// How long things may be.
extension HouseRule {
    static let functionLinesMax = 70
    static let fileLinesMax = 400
    static let lineColumnsMax = 120
    static let mainLinesMax = 40

    static let limits: [HouseRule] = [
        HouseRule(
            "a function has at most 70 lines",
            bad: [
                Sample("func long() {\n" + String(repeating: "    work()\n", count: 70) + "}\n"),
                Sample(
                    "struct A {\n    init(\n        a: Int\n    ) {\n" + String(repeating: "\n", count: 70) + "    }\n}"
                ),
            ],
            good: [
                Sample("func fits() {\n" + String(repeating: "    work()\n", count: 68) + "}\n"),
                Sample(
                    "protocol P {\n    func a()\n" + String(repeating: "    var b: Int { get }\n", count: 80) + "}\n"),
            ],
            check: functionLengths),
        HouseRule(
            "a file has at most 400 lines",
            bad: [Sample(String(repeating: "let a = 1\n", count: 401))],
            good: [Sample(String(repeating: "let a = 1\n", count: 400))],
            check: { file in
                let count = lineCount(file)
                guard file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h"), count > fileLinesMax
                else { return [] }
                return [Violation(file.path, "\(count) lines")]
            }),
        HouseRule(
            "a line has at most 120 columns",
            bad: [Sample("// " + String(repeating: "x", count: 118))],
            good: [Sample("// " + String(repeating: "ä", count: 117))],
            check: { file in
                guard file.isSwift || file.path.hasSuffix(".c") || file.path.hasSuffix(".h") else { return [] }
                return file.lines.enumerated().filter { $0.element.count > lineColumnsMax }
                    .map { Violation(file.path, $0.offset, "\($0.element.count) columns") }
            }),
        HouseRule(
            "a main.swift has at most 40 lines",
            bad: [Sample("Services/x/Main/main.swift", String(repeating: "run()\n", count: 41))],
            good: [Sample("Services/x/Main/main.swift", String(repeating: "run()\n", count: 40))],
            check: { file in
                guard file.path.hasSuffix("/main.swift"), lineCount(file) > mainLinesMax else { return [] }
                return [Violation(file.path, "\(lineCount(file)) lines")]
            }),
    ]

    private static func lineCount(_ file: SourceFile) -> Int {
        file.lines.last == "" ? file.lines.count - 1 : file.lines.count
    }

    private static func functionLengths(_ file: SourceFile) -> [Violation] {
        guard file.isSwift else { return [] }
        return file.code.indices.compactMap { line in
            let isFunction = file.code[line].firstMatch(
                of: "\\bfunc\\s|\\binit[?]?[(<]|\\bdeinit\\b|\\bsubscript\\s*[(<]")
            guard isFunction != nil, let end = bodyEnd(file.code, from: line), end - line + 1 > functionLinesMax
            else { return nil }
            return Violation(file.path, line, "a function of \(end - line + 1) lines")
        }
    }

    /// The line of the brace that closes the function declared on `start`; nil for a declaration without a body.
    private static func bodyEnd(_ code: [String], from start: Int) -> Int? {
        var parentheses = 0
        var braces = 0
        for line in start..<code.count {
            let isNext = line > start && parentheses == 0 && braces == 0
            if isNext, code[line].firstMatch(of: "^\\s*(?:\\w+ )*(func|var|let|init|case|static|struct|enum)\\b") != nil
            {
                return nil
            }
            for character in code[line].utf8 {
                switch character {
                case UInt8(ascii: "("), UInt8(ascii: "["): parentheses += 1
                case UInt8(ascii: ")"), UInt8(ascii: "]"): parentheses -= 1
                case UInt8(ascii: "{") where parentheses == 0 || braces > 0: braces += 1
                case UInt8(ascii: "}") where braces > 0:
                    braces -= 1
                    if braces == 0 { return line }
                case UInt8(ascii: "}") where parentheses == 0: return nil
                default: continue
                }
            }
        }
        return nil
    }
}
