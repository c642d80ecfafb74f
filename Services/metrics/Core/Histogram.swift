/// Durations sorted into buckets that are known beforehand, as Prometheus adds them up.
package struct Histogram: Hashable, Sendable {
    /// Upper bounds in seconds, growing; what is beyond the last one counts in `count` alone.
    package let bounds: [Double]
    /// Per bound, not added up.
    package private(set) var counts: [UInt64]
    package private(set) var count: UInt64 = 0
    package private(set) var sum: Double = 0

    package init(_ bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count)
    }

    /// What is no number is no measurement; less than nothing counts as nothing.
    package mutating func observe(_ seconds: Double) {
        guard seconds.isFinite else { return }
        let seconds = max(seconds, 0)
        if let bucket = bounds.firstIndex(where: { seconds <= $0 }) { counts[bucket] += 1 }
        count += 1
        sum += seconds
    }

    /// From the request to the first key frame.
    static let activation = Histogram([0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30])
    /// From the beginning of a session to its end.
    static let session = Histogram([10, 60, 300, 900, 3600, 14_400, 43_200, 86_400, 604_800])
    /// Cut minus wish; a source with a key frame every 2 s has offsets of up to 2 s.
    static let offset = Histogram([0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10])
    static let snapshot = Histogram([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5])
    /// To the broker and back.
    static let roundtrip = Histogram([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5])
    static let command = Histogram([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
}
