/// What any file may say, prose included. The samples are put together from halves, so that this file is none of them.
extension HouseRule {
    private static let todo = "TO" + "DO"

    static let texts: [HouseRule] = [
        HouseRule(
            "what is left to do says what is missing",
            bad: [
                Sample("// \(todo)"), Sample("// \(todo): later"), Sample("// FIX" + "ME: broken"),
                Sample("// XX" + "X"),
            ],
            good: [Sample("// \(todo): the sub-stream of cameras that have two."), Sample("let todoList = 1")],
            check: { file in
                file.lines.enumerated().filter { _, line in
                    if line.firstMatch(of: "\\b(FIX" + "ME|XX" + "X|HA" + "CK)\\b") != nil { return true }
                    guard line.firstMatch(of: "\\b\(todo)\\b") != nil else { return false }
                    return line.firstMatch(of: "\\b\(todo): (\\S+\\s+){2,}\\S+") == nil
                }
                .map { Violation(file.path, $0.offset, "unfinished, and does not say what is missing") }
            }),
        HouseRule(
            "no path of the machine that it was written on",
            bad: [
                Sample("cd /wo" + "rk/main"), Sample("README.md", "see /ro" + "ot/x"),
                Sample("let a = \"/ho" + "me/me/x\""),
            ],
            good: [Sample("let a = \"network/work/x\""), Sample("// ./root/x")],
            check: { file in
                file.lines.enumerated()
                    .filter { $0.element.firstMatch(of: "(^|[^\\w.~*-])/(wo" + "rk|ro" + "ot|ho" + "me/\\w+)/") != nil }
                    .map { Violation(file.path, $0.offset, "a path of one machine") }
            }),
        HouseRule(
            "no mirror or private registry of packages",
            bad: [
                Sample("tests.sh", "curl https://regi" + "stry.example.net/x"),
                Sample("a.yml", "url: http://pypi.mir" + "ror.local/"),
                Sample("Package.swift", ".package(url: \"https://git.exam" + "ple.net/a\", from: \"1.0.0\")"),
            ],
            good: [Sample("Package.swift", ".package(url: \"https://github.com/a/b\", from: \"1.0.0\")")],
            check: { file in
                file.lines.enumerated().filter { _, line in
                    guard let host = line.firstMatch(of: "\\b(?:https?|git|ssh)://([^/\\s\"']+)")?[1] else {
                        return false
                    }
                    if file.path == "Package.swift" { return host != "github.com" }
                    return host.firstMatch(of: "(^|[.-])(regi" + "stry|mir" + "ror|artifactory|nexus|proxy)[.-]") != nil
                }
                .map { Violation(file.path, $0.offset, "a host that only some machines know") }
            }),
    ]
}
