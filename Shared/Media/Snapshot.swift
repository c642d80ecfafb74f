package import Domain

/// What a snapshot shall be.
package struct SnapshotWish: Sendable, Hashable {
    /// The newest picture at or before it is taken.
    package var moment: MonotonicTime
    /// By how much the picture may be older than the newest one, to be decoded sooner.
    package var leeway: Duration
    /// In pixels; nil: as the camera has it. Never more than that.
    package var width: Int?
    /// 1 to 100, as people know it from JPEG. Without effect on a picture that the camera has coded as wanted.
    package var quality: Int

    package init(moment: MonotonicTime, leeway: Duration = .zero, width: Int? = nil, quality: Int = 85) {
        self.moment = moment
        self.leeway = leeway
        self.width = width
        self.quality = quality
    }

    package static let widthRange = 16...7680
    package static let qualityRange = JPEGEncoder.qualityRange
}

/// A still picture.
package struct Snapshot: Sendable {
    package var jpeg: [UInt8]
    package var width: Int
    package var height: Int
    /// Of the coded picture that it shows.
    package var arrival: MonotonicTime
    /// In ticks of the track's time base; nil where the source did not say.
    package var pts: Int64?
    /// How many coded pictures were decoded for it when it was wanted; a follower had decoded others before.
    package var decoded: Int
}

/// How large a picture becomes: square pixels, even sides, never larger than the source. Pure.
package struct SnapshotSize: Sendable, Hashable {
    package let width: Int
    package let height: Int

    /// `aspect`: of a pixel, width to height.
    package init(width: Int, height: Int, aspect: (numerator: Int, denominator: Int), wanted: Int?) {
        // The side that its pixels are too short on is stretched, so that nothing is thrown away.
        var shown = (width: Double(width), height: Double(height))
        if aspect.numerator > 0, aspect.denominator > 0 {
            let ratio = Double(aspect.numerator) / Double(aspect.denominator)
            if ratio > 1 { shown.width *= ratio } else { shown.height /= ratio }
        }
        let scale = min(1, wanted.map { Double($0) / shown.width } ?? 1)
        self.width = Self.even(shown.width * scale)
        self.height = Self.even(shown.height * scale)
    }

    private static func even(_ side: Double) -> Int { max(2, Int((side / 2).rounded()) * 2) }
}
