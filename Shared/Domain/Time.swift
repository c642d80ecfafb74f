/// Two clocks, two types. Deadlines and durations come from `MonotonicTime`, which no one can set; `WallTime` names
/// moments to people and in files. Neither is read here: the Shell reads a clock and passes the value in.

/// A moment on this machine's monotonic clock (Linux `CLOCK_MONOTONIC`).
package struct MonotonicTime: Hashable, Sendable, Comparable, Codable {
    /// Nanoseconds since an arbitrary start, in practice the boot.
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = MonotonicTime(nanoseconds: 0)
    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    package static func + (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds + span.nanoseconds)
    }
    package static func - (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds - span.nanoseconds)
    }
    package static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
}

/// A moment in UTC. Printed in RFC 3339 with milliseconds; years 1970 to 2261.
package struct WallTime: Hashable, Sendable, Comparable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }
    package init(milliseconds: Int64) { nanoseconds = milliseconds * 1_000_000 }

    package var milliseconds: Int64 { nanoseconds.floorDivided(by: 1_000_000) }
    package static func < (left: Self, right: Self) -> Bool { left.nanoseconds < right.nanoseconds }
    package static func + (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds + span.nanoseconds)
    }
    package static func - (time: Self, span: Duration) -> Self {
        Self(nanoseconds: time.nanoseconds - span.nanoseconds)
    }
    package static func - (left: Self, right: Self) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
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
    package var publishedSeconds: Double { Double((nanoseconds + 500_000).floorDivided(by: 1_000_000)) / 1000 }
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
