/// What a configuration decides for a camera, with the defaults that hold where it is silent.

/// How one use case treats the stream (DESIGN's table of leases and policies is the default).
package struct UseCasePolicy: Hashable, Sendable, Codable {
    /// How long the stream stays open after the last lease of this use case has ended.
    package var closeAfter: Duration
    /// Whether a source that fails while leased is started again.
    package var restart: Bool
    /// How long a source may take to its first key frame.
    package var startTimeout: Duration

    package init(closeAfter: Duration, restart: Bool, startTimeout: Duration) {
        self.closeAfter = closeAfter
        self.restart = restart
        self.startTimeout = startTimeout
    }
}

package struct LifecyclePolicies: Hashable, Sendable, Codable {
    package var recording = UseCasePolicy(closeAfter: .zero, restart: true, startTimeout: .seconds(10))
    package var viewing = UseCasePolicy(closeAfter: .seconds(300), restart: true, startTimeout: .seconds(10))
    package var snapshot = UseCasePolicy(closeAfter: .seconds(60), restart: false, startTimeout: .seconds(5))
    package init() {}
}

package struct RotationSettings: Hashable, Sendable, Codable {
    /// 1 s to 24 h.
    package var interval: Duration
    package var align: RotationAlignment
    /// The span over which the cameras of a node spread their boundaries; zero: all at once.
    package var stagger: Duration

    package init(
        interval: Duration = .seconds(1800), align: RotationAlignment = .clock, stagger: Duration = .zero
    ) {
        self.interval = interval
        self.align = align
        self.stagger = stagger
    }

    package static let intervalMin: Duration = .seconds(1)
    package static let intervalMax: Duration = .seconds(86_400)
}

/// What may be kept. Nil: no limit of that kind.
package struct RetentionLimits: Hashable, Sendable, Codable {
    package var maxAge: Duration?
    package var maxSize: ByteCount?
    /// Free space of the file system to keep; the oldest segments go first.
    package var minFree: ByteCount?

    package init(maxAge: Duration? = nil, maxSize: ByteCount? = nil, minFree: ByteCount? = nil) {
        self.maxAge = maxAge
        self.maxSize = maxSize
        self.minFree = minFree
    }
}

/// What encodes pictures that a camera delivers raw or as MJPEG.
package enum EncoderKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// The machine's own encoder if it has one that works, else libx264.
    case auto
    /// libx264.
    case software
    /// As `auto`, and it is worth a warning if there is none.
    case hardware
}

package struct EncoderSettings: Hashable, Sendable, Codable {
    package var kind: EncoderKind
    /// An x264 preset name; of no meaning to hardware.
    package var preset: String
    /// Bits per second; nil: constant quality.
    package var bitrate: Int?
    /// Between key frames that nobody asked for.
    package var gop: Duration

    /// x264's own names (x264.h, x264_preset_names).
    package static let presets = [
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    ]
    /// Bits per second.
    package static let bitrateRange = 1e4...1e9
    package static let gopRange = Duration.milliseconds(100)...Duration.seconds(60)

    package init(
        kind: EncoderKind = .auto, preset: String = "ultrafast", bitrate: Int? = nil, gop: Duration = .seconds(2)
    ) {
        self.kind = kind
        self.preset = preset
        self.bitrate = bitrate
        self.gop = gop
    }
}

/// Waiting times that double from `first` to `most`, each spread by up to `jitter` of itself.
package struct Backoff: Hashable, Sendable {
    package var first: Duration
    package var most: Duration
    /// 0 to 1.
    package var jitter: Double

    package init(first: Duration, most: Duration, jitter: Double = 0.2) {
        self.first = first
        self.most = most
        self.jitter = jitter
    }

    /// The wait before attempt `attempt` (from 1). `chance` in 0..<1 comes from the Shell's generator.
    package func delay(attempt: Int, chance: Double) -> Duration {
        let doublings = Swift.min(max(attempt, 1), 31) - 1
        let grown = min(first.nanoseconds.multipliedReportingOverflow(by: 1 << doublings), most.nanoseconds)
        return .nanoseconds(Int64(Double(grown) * (1 + jitter * (2 * chance - 1))))
    }

    private func min(_ product: (partialValue: Int64, overflow: Bool), _ limit: Int64) -> Int64 {
        product.overflow ? limit : Swift.min(product.partialValue, limit)
    }
}
