package import Domain
package import Media
internal import Synchronization

/// The test pattern as fast as it is taken, with every frame of it. By the real clock a pattern waits for its frames,
/// and leaves some out where a machine is a second late.
package enum NumberedPattern {
    package static func source(
        width: Int = 320, height: Int = 180, fps: Int = 120, encoder: EncoderSettings = EncoderSettings()
    ) -> any MediaSource {
        let clock = CountingClock(step: .seconds(1) / (2 * fps))
        return MediaSources.make(
            .testPattern(.init(width: width, height: height, fps: fps)), encoder: encoder, audio: false,
            openTimeout: .seconds(5), stallTimeout: .seconds(5), clock: clock.next)
    }

    /// A frame takes two looks at the clock: whether it is due, and when it came.
    private final class CountingClock: Sendable {
        private let looks = Atomic<Int>(0)
        private let step: Duration

        init(step: Duration) { self.step = step }

        func next() -> MonotonicTime { .zero + step * looks.add(1, ordering: .relaxed).newValue }
    }
}
