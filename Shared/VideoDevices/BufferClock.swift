package import Domain

/// When a camera took a picture, from what its driver says and from when the picture came. Pure.
///
/// A driver's stamp is better than our clock by the time that the picture lay in its buffer, but some drivers guess and
/// some count on another clock. Invariants: moments grow; none lies in the future, but for a microsecond per picture
/// where a driver's stamps stand still.
package struct BufferClock: Hashable, Sendable {
    /// Older pictures than this are none: buffers hold less, even while a process is held.
    package static let ageMax: Duration = .seconds(30)
    /// A stamp that is this far ahead is a reading of the same clock on another processor.
    private static let aheadMax: Duration = .milliseconds(1)

    private var last: MonotonicTime?

    package init() {}

    /// - Parameter stamp: of the driver, on the monotonic clock; nil if it is on another.
    package mutating func moment(stamp: MonotonicTime?, now: MonotonicTime) -> MonotonicTime {
        var moment = now
        if let stamp, stamp <= now + Self.aheadMax, now - stamp <= Self.ageMax, last.map({ stamp > $0 }) ?? true {
            moment = min(stamp, now)
        }
        if let last, moment <= last { moment = last + .microseconds(1) }
        last = moment
        return moment
    }
}

/// How many pictures a driver lost, from the numbers that it gives them. Pure.
package struct SequenceWatch: Hashable, Sendable {
    /// A larger step is not a loss: the driver counts anew, or does not count.
    package static let lostMax: UInt32 = 100_000

    private var next: UInt32?

    package init() {}

    /// The pictures between this one and the one before it.
    package mutating func lost(before sequence: UInt32) -> Int {
        defer { next = sequence &+ 1 }
        guard let next else { return 0 }
        let step = sequence &- next
        return step <= Self.lostMax ? Int(step) : 0
    }
}
