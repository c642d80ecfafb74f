internal import Domain

extension CommandReading {
    /// A source that a camera can have, or the reason why it cannot: the same check that the configuration makes.
    /// - Parameter isLiteral: a `$` in it is one, and no variable.
    func checkedSource(_ source: String, remarks: [String] = [], isLiteral: Bool = false) -> Outcome {
        guard isLiteral || !source.contains("$") else {
            return .notTranslated("its input has a variable in it, which only the media server can fill in")
        }
        do throws(CodedError) {
            _ = try SourceAddress(source)
            return .source(source, remarks: remarks)
        } catch {
            return .notTranslated("its input does not fit: \(error.message)")
        }
    }
}
