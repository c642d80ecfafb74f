/// Two clocks, two types. Deadlines and durations come from `MonotonicTime`, which no one can set; `WallTime` names
/// moments to people and in files. Neither is read here: the Shell reads a clock and passes the value in.
///
/// Both hold 292 years to either side of their zero. Moments come from files, ledgers and the bus too, so arithmetic
/// that leaves that range ends at its edge and never traps: what lies centuries off is as late as can be told.

/// A moment on this machine's monotonic clock (Linux `CLOCK_MONOTONIC`).
package struct MonotonicTime: Hashable, Sendable, Comparable, Codable {
    /// Nanoseconds since an arbitrary start, in practice the boot.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = MonotonicTime(nanoseconds: 0)
    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    package static func + (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds.addingClamped(span.nanoseconds))
    }
    package static func - (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds.subtractingClamped(span.nanoseconds))
    }
    package static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds.subtractingClamped(right.nanoseconds))
    }
}

/// A moment in UTC. Printed in RFC 3339 with milliseconds; years 1970 to 2261.
package struct WallTime: Hashable, Sendable, Comparable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    /// Clamped to what `nanoseconds` holds: September 1677 to April 2262. A file's time of change may be any number.
    package init(milliseconds: Int64) { nanoseconds = milliseconds.multipliedClamped(by: 1_000_000) }
    /// Nil outside `millisecondsRange`.
    package init?(exactlyMilliseconds milliseconds: Int64) {
        guard Self.millisecondsRange.contains(milliseconds) else { return nil }
        self.init(milliseconds: milliseconds)
    }

    /// What `nanoseconds` holds.
    package static let millisecondsRange = Int64.min / 1_000_000...Int64.max / 1_000_000

    package var milliseconds: Int64 { nanoseconds.floorDivided(by: 1_000_000) }
    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    package static func + (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds.addingClamped(span.nanoseconds))
    }
    package static func - (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds.subtractingClamped(span.nanoseconds))
    }
    package static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds.subtractingClamped(right.nanoseconds))
    }
}

/// One reading of both clocks. Shells take it once per event and hand it to the Core as `now`.
package struct Now: Hashable, Sendable {
    package var monotonic: MonotonicTime
    package var wall: WallTime

    package init(monotonic: MonotonicTime, wall: WallTime) {
        self.monotonic = monotonic
        self.wall = wall
    }

    /// The monotonic moment of a wall time, by the offset between the two clocks at this reading.
    package func monotonic(at wall: WallTime) -> MonotonicTime { monotonic + (wall - self.wall) }

    /// The wall time of a monotonic moment, by the offset between the two clocks at this reading.
    package func wall(at monotonic: MonotonicTime) -> WallTime { wall + (monotonic - self.monotonic) }

    package static func + (now: Self, span: Duration) -> Self {
        Self(monotonic: now.monotonic + span, wall: now.wall + span)
    }
}

extension Int64 {
    /// Division that rounds towards minus infinity, so that moments before 1970 or an origin keep their order.
    package func floorDivided(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }

    /// The sum, or the nearest number that there is. Not that of every integer: what counts time calls it all the time.
    package func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }

    /// As `addingClamped`.
    package func subtractingClamped(_ other: Int64) -> Int64 {
        let (difference, overflow) = subtractingReportingOverflow(other)
        return overflow ? (other < 0 ? .max : .min) : difference
    }

    /// As `addingClamped`.
    package func multipliedClamped(by factor: Int64) -> Int64 {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? ((self < 0) == (factor < 0) ? .max : .min) : product
    }

    /// The greatest multiple of `step` that is not above; clamped, so it is none within a step of the least `Int64`.
    /// - Parameter step: more than zero.
    package func roundedDown(toMultipleOf step: Int64) -> Int64 {
        floorDivided(by: step).multipliedClamped(by: step)
    }
}

extension Duration {
    /// Whole nanoseconds, rounded towards zero; clamped to what `Int64` holds (292 years).
    package var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        let (sum, carried) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// As a number of seconds, for JSON fields that end in `_seconds`.
    package var seconds: Double { Double(nanoseconds) / 1e9 }

    /// Rounded to a whole millisecond, as published.
    package var publishedSeconds: Double { Double(wholeMilliseconds) / 1000 }

    /// Rounded to the nearest millisecond; clamped as `nanoseconds` is.
    package var wholeMilliseconds: Int64 { nanoseconds.addingClamped(500_000).floorDivided(by: 1_000_000) }
}

/// The unit of a track's timestamps, as a fraction of a second (libav `AVRational time_base`).
package struct TimeBase: Hashable, Sendable, Codable {
    package let numerator: Int32
    package let denominator: Int32

    /// Both positive; anything else is a programming error.
    package init(_ numerator: Int32, _ denominator: Int32) {
        precondition(numerator > 0 && denominator > 0, "a time base is a positive fraction")
        self.numerator = numerator
        self.denominator = denominator
    }

    /// The unit of RTP video and of MPEG transport streams (RFC 3551, ISO/IEC 13818-1).
    package static let mpeg = TimeBase(1, 90_000)

    package func duration(ticks: Int64) -> Duration {
        let whole = ticks.multipliedFullWidth(by: Int64(numerator) * 1_000_000_000)
        let value = Int128(whole.high) << 64 | Int128(whole.low)
        return .nanoseconds(Int64(clamping: value / Int128(denominator)))
    }

    /// The nearest number of ticks.
    package func ticks(in duration: Duration) -> Int64 {
        let scaled = Int128(duration.nanoseconds) * Int128(denominator)
        let unit = Int128(numerator) * 1_000_000_000
        let half = scaled < 0 ? -unit / 2 : unit / 2
        return Int64(clamping: (scaled + half) / unit)
    }
}
