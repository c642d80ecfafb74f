/// The pictures of an honest camera behind a busy network, from a seed: every interval jitters, every few seconds one
/// takes as long as `hiccup`, and some times an hour one takes as long as `pause`.
package struct JitteringCamera: Sendable {
    package let fps: Double
    package let hiccup: Double
    package let pause: Double
    package private(set) var pauses = 0
    private var random: SeededRandom
    private var seconds = 0.0

    /// What a camera is like has to be seen before it pauses.
    private static let knownAfterSeconds = 300.0

    /// - Parameters:
    ///   - hiccup: seconds, at most.
    ///   - pause: seconds, at most; less than three hiccups is honest.
    package init(fps: Double, hiccup: Double, pause: Double, seed: UInt64 = 20) {
        self.fps = fps
        self.hiccup = hiccup
        self.pause = pause
        random = SeededRandom(seed: seed)
    }

    /// Until the next picture, in seconds.
    package mutating func interval() -> Double {
        let next = drawn()
        seconds += next
        return next
    }

    private mutating func drawn() -> Double {
        let nominal = 1 / fps
        if random.chance(nominal / 900), seconds > Self.knownAfterSeconds {
            pauses += 1
            return pause * (0.9 + 0.1 * random.unit())
        }
        if random.chance(nominal / 5) { return hiccup * (0.5 + 0.5 * random.unit()) }
        return nominal * (0.5 + random.unit())
    }
}
