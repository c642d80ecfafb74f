/// What history keeps: spans of time of one camera or one node, in three resolutions.

/// A resolution, and how long samples of it are kept.
package enum HistoryStep: Int, Hashable, Sendable, Codable, CaseIterable {
    case tenSeconds = 10
    case minute = 60
    case hour = 3600

    package var duration: Duration { .seconds(rawValue) }

    package var kept: Duration {
        switch self {
        case .tenSeconds: .seconds(86_400)
        case .minute: .seconds(30 * 86_400)
        case .hour: .seconds(730 * 86_400)
        }
    }

    /// As the HTTP interface writes it.
    package var text: String {
        switch self {
        case .tenSeconds: "10s"
        case .minute: "1m"
        case .hour: "1h"
        }
    }

    package init?(text: String) {
        guard let step = Self.allCases.first(where: { $0.text == text }) else { return nil }
        self = step
    }

    /// The beginning of the span that holds `time`: a multiple of the step since 1970.
    package func start(of time: WallTime) -> WallTime {
        WallTime(nanoseconds: time.nanoseconds.roundedDown(toMultipleOf: duration.nanoseconds))
    }
}

/// Whose history it is.
package enum HistorySubject: Hashable, Sendable {
    case camera(CameraID)
    case node(NodeID)

    /// As it stands in the database: `camera/front`, `node/attic`.
    package var text: String {
        switch self {
        case .camera(let camera): "camera/\(camera)"
        case .node(let node): "node/\(node)"
        }
    }
}

/// One span. Values are nil where nothing was measured. `merged(with:)` is commutative and associative, so that a
/// minute may be put together from its parts in any order and over a restart.
package struct HistorySample: Hashable, Sendable {
    package var subject: HistorySubject
    /// The beginning of the span.
    package var at: WallTime
    /// Measurements behind the means; 0 where there is no mean.
    package var count: Int
    /// Mean, in frames per second.
    package var fps: Double?
    /// Mean, in bits per second.
    package var bitrateBps: Double?
    /// The slowest of the periods' 99th percentiles.
    package var partWriteSeconds: Double?
    /// Sum of frames that were received and not kept.
    package var droppedFrames: Double?
    /// Sum of the time in which the camera recorded.
    package var recordingSeconds: Double?
    /// Least, of the file system that holds the recordings.
    package var freeBytes: Double?
    /// Most, by recordings.
    package var usedBytes: Double?
    /// The slowest way to the broker and back.
    package var busRoundtripSeconds: Double?

    package init(_ subject: HistorySubject, at: WallTime, count: Int = 0) {
        self.subject = subject
        self.at = at
        self.count = count
    }

    /// Whether anything was measured.
    package var isEmpty: Bool {
        [
            fps, bitrateBps, partWriteSeconds, droppedFrames, recordingSeconds, freeBytes, usedBytes,
            busRoundtripSeconds,
        ].allSatisfy { $0 == nil }
    }

    /// Two parts of one span as one; subject and beginning are this one's.
    package func merged(with other: HistorySample) -> HistorySample {
        var whole = self
        whole.count = count.addingClamped(other.count)
        whole.fps = mean(fps, other.fps, other.count)
        whole.bitrateBps = mean(bitrateBps, other.bitrateBps, other.count)
        whole.partWriteSeconds = Self.join(partWriteSeconds, other.partWriteSeconds, max)
        whole.droppedFrames = Self.join(droppedFrames, other.droppedFrames, +)
        whole.recordingSeconds = Self.join(recordingSeconds, other.recordingSeconds, +)
        whole.freeBytes = Self.join(freeBytes, other.freeBytes, min)
        whole.usedBytes = Self.join(usedBytes, other.usedBytes, max)
        whole.busRoundtripSeconds = Self.join(busRoundtripSeconds, other.busRoundtripSeconds, max)
        return whole
    }

    private func mean(_ mine: Double?, _ other: Double?, _ otherCount: Int) -> Double? {
        Self.join(mine, other) { mine, other in
            let weights = (Double(max(count, 1)), Double(max(otherCount, 1)))
            return (mine * weights.0 + other * weights.1) / (weights.0 + weights.1)
        }
    }

    private static func join(_ left: Double?, _ right: Double?, _ both: (Double, Double) -> Double) -> Double? {
        guard let left, let right else { return left ?? right }
        return both(left, right)
    }
}
