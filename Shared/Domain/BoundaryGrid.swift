/// Where rotation boundaries lie in wall time. The rotation-service plans with it; a worker that hears nothing uses
/// the same grid, so both name the same moments.
package struct BoundaryGrid: Hashable, Sendable {
    package let interval: Duration
    /// A boundary that all others are whole intervals away from.
    package let origin: WallTime

    /// - Parameters:
    ///   - sessionStart: where the grid begins with `align: session`.
    ///   - shift: this camera's share of the stagger, 0 up to the interval.
    package init(_ settings: RotationSettings, sessionStart: WallTime, shift: Duration = .zero) {
        interval = max(settings.interval, RotationSettings.intervalMin)
        let start =
            switch settings.align {
            case .clock: WallTime(nanoseconds: 0)
            case .session: sessionStart
            }
        origin = start + shift
    }

    /// The first boundary later than `time`; the end of `WallTime` where that holds none.
    package func boundary(after time: WallTime) -> WallTime {
        let step = interval.nanoseconds
        // Two moments may lie further apart than 64 bits of nanoseconds reach.
        let rest = Int64((Int128(time.nanoseconds) - Int128(origin.nanoseconds)) % Int128(step))
        return time + .nanoseconds(step - (rest < 0 ? rest + step : rest))
    }
}
