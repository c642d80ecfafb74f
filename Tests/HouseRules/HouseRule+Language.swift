/// What the code may say.
extension HouseRule {
    static let language: [HouseRule] = [
        HouseRule(
            "no force unwrap and no try! without the reason why it cannot happen",
            bad: [
                Sample("let a = b!"), Sample("let a = b!.c"), Sample("let a = b[0]!"), Sample("let a = f()!"),
                Sample("try! f()"), Sample("let a = b as! C"), Sample("var a: Int!"),
                Sample("// It is there.\nlet a = b!"),
            ],
            good: [
                Sample("if a != b {}"), Sample("let a = !b"), Sample("f(!a)"), Sample("let a = \"b!\""),
                Sample("// Look!\nlet a = 1"), Sample("// Absent cannot happen: it was set above.\nlet a = b!"),
            ],
            check: { file in
                guard file.isSwift else { return [] }
                return unexplained(file, "[\\w)\\]}\"]!(?!=)", "force unwrap or try!")
            }),
        HouseRule(
            "no fatalError without the reason why it cannot happen",
            bad: [Sample("fatalError(\"no\")"), Sample("func f() -> Never { fatalError() }")],
            good: [Sample("fatalError(\"cannot happen: the list is not empty\")"), Sample("// fatalError()")],
            check: { unexplained($0, "\\bfatalError\\s*\\(", "fatalError") }),
        HouseRule(
            "no error is swallowed by an empty catch",
            bad: [Sample("do { try f() } catch {}"), Sample("do {\n    try f()\n} catch { }")],
            good: [Sample("do { try f() } catch { report(error) }")],
            check: { $0.violations(of: "\\bcatch(\\s+\\w+)*\\s*\\{\\s*\\}", "an empty catch") }),
        HouseRule(
            "a test never sleeps; in Integration only inside a loop with a deadline",
            bad: [
                Sample("Tests/BusTests/A.swift", "try await Task.sleep(for: .seconds(1))"),
                Sample("Tests/BusTests/A.swift", "usleep(5)"), Sample("Tests/Integration/A.swift", "sleep(5)"),
                Sample("Tests/BusTests/A.swift", "Thread.sleep(forTimeInterval: 1)"),
            ],
            good: [
                Sample(
                    "Tests/Integration/A.swift", "while clock.now < deadline {\n    try await Task.sleep(for: pause)\n}"
                ),
                Sample("Tests/BusTests/A.swift", "let text = \"sleep(5)\""),
                Sample("Shared/Bus/A.swift", "Task.sleep(for: a)"),
            ],
            check: sleeps),
        HouseRule(
            "a Core, Domain and BusContract have no clock, no chance, no waiting, no input or output",
            bad: [
                Sample("Services/x/Core/A.swift", "let now = ContinuousClock.now"),
                Sample("Services/x/Core/A.swift", "func a() async {}"), Sample("Services/x/Core/A.swift", "await b()"),
                Sample("Shared/Domain/A.swift", "let a = Int.random(in: 0...5)"),
                Sample("Shared/Domain/A.swift", "let a = list.shuffled()"),
                Sample("Shared/BusContract/A.swift", "print(a)"),
                Sample("Services/x/Core/A.swift", "Task { a() }"),
                Sample("Services/x/Core/A.swift", "let a = SystemRandomNumberGenerator()"),
            ],
            good: [
                Sample("Services/x/Core/A.swift", "list.shuffled(using: &generator)"),
                Sample("Services/x/Shell/A.swift", "await b()"),
                Sample("Services/x/Core/A.swift", "// We await nothing."),
            ],
            check: { file in
                guard file.isPure else { return [] }
                return file.violations(
                    of: "\\b(await|async|Task|ContinuousClock|SuspendingClock|SystemRandomNumberGenerator|readLine|"
                        + "FileManager|clock_gettime|getenv|DispatchQueue)\\b|\\b(print|debugPrint|Date)\\s*\\(|"
                        + "\\.random\\(in: [^,]*\\)|\\b(shuffled|randomElement|shuffle)\\(\\)",
                    "not a pure function of its input")
            }),
        HouseRule(
            "what the compiler cannot check about concurrency says right above why it is safe",
            bad: [
                Sample("final class A: @unchecked Sendable {}"), Sample("\nnonisolated(unsafe) var a = 1"),
                Sample("let b = 1\nextension A: @unchecked Sendable {}"),
            ],
            good: [
                Sample("/// Safe: the lock guards it.\npackage final class A: @unchecked Sendable {}"),
                Sample("/// Safe: written once.\n@MainActor\nnonisolated(unsafe) var a = 1"),
            ],
            check: uncheckedConcurrency),
        HouseRule(
            "no type is a Manager, Helper, Util or Handler",
            bad: [Sample("struct StreamManager {}"), Sample("enum Utils {}"), Sample("actor Handler {}")],
            good: [
                Sample("struct StreamMachine {}"), Sample("// class Manager"),
                Sample("struct LineLogHandler: LogHandler {}"),
            ],
            check: {
                $0.violations(
                    of:
                        "\\b(class|struct|enum|actor|protocol|typealias)\\s+"
                        + "\\w*(Manager|Helpers?|Utils?|(?<!Log)Handler)\\b",
                    "a name that says nothing")
            }),
    ]

    private static func unexplained(_ file: SourceFile, _ pattern: String, _ message: String) -> [Violation] {
        file.code.indices.filter { file.code[$0].firstMatch(of: pattern) != nil }
            .filter { !file.explains($0, with: "cannot happen") }
            .map { Violation(file.path, $0, "\(message) without 'cannot happen' and its reason") }
    }

    private static func sleeps(_ file: SourceFile) -> [Violation] {
        guard file.isTest, file.isSwift else { return [] }
        return file.code.indices.filter { file.code[$0].firstMatch(of: "\\b(sleep|usleep|nanosleep)\\s*\\(") != nil }
            .filter { line in
                guard file.path.hasPrefix("Tests/Integration/") else { return true }
                let above = file.code[max(0, line - 12)...line].joined(separator: "\n")
                return above.firstMatch(of: "\\b(while|for|repeat)\\b") == nil
                    || !above.lowercased().contains("deadline")
            }
            .map { Violation(file.path, $0, "a sleep; wait for the event, with a deadline") }
    }

    private static func uncheckedConcurrency(_ file: SourceFile) -> [Violation] {
        file.code.indices.filter { file.code[$0].firstMatch(of: "@unchecked\\s+Sendable|\\w\\(unsafe\\)") != nil }
            .filter { line in
                var above = line - 1
                while above >= 0, file.lines[above].drop(while: { $0 == " " }).hasPrefix("@") { above -= 1 }
                return !file.isComment(above)
            }
            .map { Violation(file.path, $0, "no comment right above says why this is safe") }
    }
}
