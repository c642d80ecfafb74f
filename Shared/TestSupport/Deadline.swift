/// Waiting in tests: for a condition, never for a time. A wait ends as soon as its condition holds and fails, with
/// the sentence that says what was awaited, when its deadline passes. Deadlines are generous: a slow machine makes a
/// test slow and not red.

/// What was awaited did not happen in time.
package struct DeadlinePassed: Error, CustomStringConvertible {
    package let awaited: String
    package let deadline: Duration
    package var description: String { "within \(deadline): \(awaited)" }
}

/// Looks every 5 ms until `look` finds a value.
@discardableResult
package func eventually<Value>(
    _ awaited: String, within deadline: Duration = .seconds(20), isolation: isolated (any Actor)? = #isolation,
    _ look: () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + deadline
    while true {
        if let found = try await look() { return found }
        guard ContinuousClock.now < end else { throw DeadlinePassed(awaited: awaited, deadline: deadline) }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// Looks every 5 ms until `condition` holds.
package func eventually(
    _ awaited: String, within deadline: Duration = .seconds(20), isolation: isolated (any Actor)? = #isolation,
    that condition: () async throws -> Bool
) async throws {
    try await eventually(awaited, within: deadline) { try await condition() ? true : nil }
}
