package import Domain

/// Lets the same message through at most once a second and counts the others, so that a broken camera cannot fill the
/// log. Pure: `LineLogHandler` owns one and passes the time in.
package struct FloodLimiter: Sendable {
    package enum Decision: Sendable, Hashable {
        /// Write it; `repeated` equal ones were left out since the last.
        case write(repeated: Int)
        case leaveOut
    }

    package static let period: Duration = .seconds(1)
    /// Different messages that are watched at once; beyond it the ones that have been quiet the longest are forgotten.
    package static let keysMax = 256

    private struct Count {
        var writtenAt: MonotonicTime
        var leftOut: Int
    }

    private var counts: [String: Count] = [:]

    package init() {}

    package mutating func decide(_ key: String, at now: MonotonicTime) -> Decision {
        guard let count = counts[key] else {
            if counts.count >= Self.keysMax { forgetOldest() }
            counts[key] = Count(writtenAt: now, leftOut: 0)
            return .write(repeated: 0)
        }
        guard now - count.writtenAt >= Self.period else {
            counts[key] = Count(writtenAt: count.writtenAt, leftOut: count.leftOut + 1)
            return .leaveOut
        }
        counts[key] = Count(writtenAt: now, leftOut: 0)
        return .write(repeated: count.leftOut)
    }

    /// Half of them at once, so that a flood of different messages does not search the table every time.
    private mutating func forgetOldest() {
        let kept = counts.sorted { $0.value.writtenAt > $1.value.writtenAt }.prefix(Self.keysMax / 2)
        counts = Dictionary(uniqueKeysWithValues: kept.map { ($0.key, $0.value) })
    }
}
