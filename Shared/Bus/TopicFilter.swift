/// Subscription filters (MQTT 5.0 section 4.7): `+` is one level, `#` at the end is the rest, also none of it.
package enum TopicFilter {
    /// Whether a broker takes it: a wildcard is a whole level, and `#` the last one.
    package static func isValid(_ filter: String) -> Bool {
        let levels = filter.split(separator: "/", omittingEmptySubsequences: false)
        return !filter.isEmpty
            && levels.enumerated().allSatisfy { place, level in
                switch level {
                case "+": true
                case "#": place == levels.count - 1
                default: !level.contains { "+#".contains($0) }
                }
            }
    }

    package static func matches(_ filter: String, _ topic: String) -> Bool {
        // A wildcard in front does not cover the broker's own topics.
        if topic.hasPrefix("$"), let first = filter.first, "+#".contains(first) { return false }
        var levels = topic.split(separator: "/", omittingEmptySubsequences: false)[...]
        for wanted in filter.split(separator: "/", omittingEmptySubsequences: false) {
            if wanted == "#" { return true }
            guard let level = levels.popFirst(), wanted == "+" || wanted == level else { return false }
        }
        return levels.isEmpty
    }
}
