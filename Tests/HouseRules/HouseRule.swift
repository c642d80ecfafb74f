import Testing

/// A rule that a scan of the source can check, with samples that break it: a rule that cannot fire is no rule.
struct HouseRule: CustomTestStringConvertible, Sendable {
    struct Sample: Sendable {
        let path: String
        let text: String

        init(_ path: String, _ text: String) {
            self.path = path
            self.text = text
        }

        init(_ text: String) { self.init("Shared/Bus/Sample.swift", text) }
    }

    let name: String
    let bad: [Sample]
    let good: [Sample]
    let check: @Sendable (SourceFile) -> [Violation]

    init(
        _ name: String, bad: [Sample], good: [Sample] = [], check: @escaping @Sendable (SourceFile) -> [Violation]
    ) {
        self.name = name
        self.bad = bad
        self.good = good
        self.check = check
    }

    var testDescription: String { name }

    static let all = limits + language + imports + texts
}
