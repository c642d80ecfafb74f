package import Domain

/// A camera that can be unplugged, go silent and come back. It numbers the pictures that it delivers, so that what was
/// delivered and what was kept can be compared picture by picture.
package struct SimulatedCamera: Sendable {
    package struct Picture: Hashable, Sendable {
        /// Counts what was delivered, from 0, without a hole.
        package var number: Int
        package var isKey: Bool
        package var time: MonotonicTime
        /// Its place on the camera's own timeline.
        package var media: Duration
    }

    package let interval: Duration
    package let picturesPerGroup: Int
    /// Answers connections and keeps those that it has.
    package var isPlugged = true
    /// Sends nothing over the connections that it has.
    package var isSilent = false { didSet { if !isSilent { awaitsKey = true } } }
    /// Whether somebody takes the pictures.
    package private(set) var isConnected = false
    /// Pictures delivered so far.
    package private(set) var delivered = 0
    private let start: MonotonicTime
    private var tick = 0
    private var awaitsKey = false

    package init(interval: Duration, picturesPerGroup: Int, start: MonotonicTime) {
        self.interval = interval
        self.picturesPerGroup = picturesPerGroup
        self.start = start
        nextTick = start
    }

    private var nextTick: MonotonicTime

    /// When the next picture comes, if somebody takes it.
    package var nextPicture: MonotonicTime? { isConnected && isPlugged && !isSilent ? nextTick : nil }

    /// The connection begins with the next key frame.
    package mutating func connect(at now: MonotonicTime) {
        isConnected = true
        awaitsKey = true
        skip(to: now)
    }

    package mutating func disconnect() { isConnected = false }

    /// Pictures that nobody takes are taken all the same.
    package mutating func skip(to now: MonotonicTime) {
        tick = max(tick, Int((now - start).nanoseconds / interval.nanoseconds) + 1)
        nextTick = start + .nanoseconds(interval.nanoseconds * Int64(tick))
    }

    /// The picture that is due; nil while a connection waits for its key frame.
    package mutating func take() -> Picture? {
        let isKey = tick.isMultiple(of: picturesPerGroup)
        let time = nextTick
        tick += 1
        nextTick = start + .nanoseconds(interval.nanoseconds * Int64(tick))
        if awaitsKey, !isKey { return nil }
        awaitsKey = false
        delivered += 1
        return Picture(number: delivered - 1, isKey: isKey, time: time, media: time - start)
    }
}
