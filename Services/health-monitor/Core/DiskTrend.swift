package import Domain

/// When a storage will be full if it goes on as it did: a straight line through its free space.
///
/// Owns at most `samplesMax` samples; when there are more, every second one goes and the rest lie twice as far apart,
/// so that hours fit and minutes are enough to begin with. A disk whose retention keeps up has a line that does not
/// fall. Called for each state of a storage, and with the last one again while nothing new is said: a state that does
/// not change is not repeated.
package struct DiskTrend: Hashable, Sendable {
    package static let samplesMax = 64
    /// Fewer, or over a shorter time, say nothing.
    package static let samplesMin = 4
    package static let spanMin: Duration = .seconds(180)
    package static let spacingFirst: Duration = .seconds(15)
    /// Older samples tell of another day.
    package static let ageMax: Duration = .seconds(6 * 3600)

    private struct Sample: Hashable, Sendable {
        var at: MonotonicTime
        var freeBytes: Int64
    }

    private var samples: [Sample] = []
    private var spacing = Self.spacingFirst
    private var totalBytes: Int64?

    package init() {}

    package mutating func take(freeBytes: Int64, totalBytes: Int64, at now: MonotonicTime) {
        if totalBytes != self.totalBytes {
            // Another disk, or a grown one.
            self = DiskTrend()
            self.totalBytes = totalBytes
        }
        samples.removeAll { now - $0.at > Self.ageMax }
        if let last = samples.last, now - last.at < spacing { return }
        samples.append(Sample(at: now, freeBytes: freeBytes))
        guard samples.count > Self.samplesMax else { return }
        samples = samples.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        spacing = spacing * 2
    }

    package var newestAt: MonotonicTime? { samples.last?.at }

    /// How long from the newest sample; nil where it does not fill or not enough is known. Least squares.
    package var fullIn: Duration? {
        guard samples.count >= Self.samplesMin, let first = samples.first, let last = samples.last,
            last.at - first.at >= Self.spanMin
        else { return nil }
        let points = samples.map { (x: ($0.at - first.at).seconds, y: Double($0.freeBytes)) }
        let count = Double(points.count)
        let meanX = points.reduce(0) { $0 + $1.x } / count
        let meanY = points.reduce(0) { $0 + $1.y } / count
        let spread = points.reduce(0) { $0 + ($1.x - meanX) * ($1.x - meanX) }
        let slope = points.reduce(0) { $0 + ($1.x - meanX) * ($1.y - meanY) } / spread
        guard slope < 0 else { return nil }
        let seconds = Double(last.freeBytes) / -slope
        // Slower than a year says that the line is flat; a disk has no less than nothing free.
        return seconds >= 0 && seconds < 365 * 86_400 ? .seconds(seconds) : nil
    }
}
