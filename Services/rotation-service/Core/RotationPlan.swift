package import BusContract
package import Domain

/// When one camera's segments turn over. Owns the next boundary; knows no other camera.
///
/// Invariants: while a session goes on there is a next boundary, later than now and at most one and a half intervals
/// away; a boundary is commanded at most once and never after its moment, since a worker that heard nothing has cut it
/// by itself. Boundaries lie on the same grid that the worker uses alone. After a step of the clock the grid's next
/// moment counts, unless it comes within half an interval of the boundary before: a minute that is lived through twice
/// is not cut twice. Called by `RotationCore` for each event of its camera and at each wake.
package struct RotationPlan: Hashable, Sendable {
    package enum Step: Hashable, Sendable {
        case publish(RotationState)
        case command(at: WallTime, expiry: Duration)
    }

    /// How long before a boundary its command is sent; a quarter of the interval if that is shorter.
    package static let leadMax: Duration = .seconds(1)
    /// How much later than its boundary a command may still arrive.
    package static let commandExpiry: Duration = .seconds(2)
    /// A change of wall against monotonic clock beyond this is a step, not a drift.
    package static let stepMin: Duration = .milliseconds(200)
    /// How often the clocks are compared while a session goes on.
    package static let clockCheckInterval: Duration = .seconds(5)

    private struct Session: Hashable, Sendable {
        var id: SessionID
        var startedAt: WallTime
        var isRecording: Bool
    }

    private struct Boundary: Hashable, Sendable {
        var at: WallTime
        /// The same moment by the clocks' offset at planning.
        var monotonic: MonotonicTime
        var isCommanded = false
    }

    private let settings: RotationSettings
    private let shift: Duration
    private var session: Session?
    private var next: Boundary?
    /// The boundary of this session that passed or was commanded last.
    private var passed: MonotonicTime?
    private var last: RotationState.Last?
    private var published: RotationState?

    /// - Parameter shift: this camera's share of the stagger.
    package init(_ settings: RotationSettings, shift: Duration) {
        self.settings = settings
        self.shift = shift
    }

    /// Camera `index` of `count` waits its share of the stagger, which never reaches a whole interval.
    package static func shift(_ settings: RotationSettings, index: Int, of count: Int) -> Duration {
        guard count > 1, index > 0 else { return .zero }
        return min(settings.stagger, settings.interval) * index / count
    }

    package var isPlanning: Bool { session != nil }

    /// When `advance` has something to do.
    package var wakeAt: MonotonicTime? {
        guard let next, session != nil else { return nil }
        return next.isCommanded ? next.monotonic : next.monotonic - lead
    }

    private var lead: Duration { min(Self.leadMax, settings.interval / 4) }

    package mutating func started() -> [Step] { publishIfChanged() }

    package mutating func recordingReported(_ state: RecordingState, at now: Now) -> [Step] {
        guard state.state != .off, state.state != .stopping, let id = state.session else {
            session = nil
            next = nil
            passed = nil
            return publishIfChanged()
        }
        let since = state.since ?? now.wall
        let preroll = state.prerollSeconds.flatMap { Duration(wholeSeconds: $0) } ?? .zero
        let reported = Session(id: id, startedAt: since - preroll, isRecording: state.state == .recording)
        if reported.id != session?.id { passed = nil }
        let isSameGrid = reported.id == session?.id && reported.startedAt == session?.startedAt
        session = reported
        if !isSameGrid || next == nil { replan(at: now) }
        return advance(at: now)
    }

    /// Learns how well the last boundary was met.
    package mutating func segmentOpened(_ event: SegmentEvent) -> [Step] {
        guard event.event == .opened, let offset = event.offsetSeconds, event.startedAt >= last?.at ?? event.startedAt
        else { return [] }
        last = RotationState.Last(at: event.startedAt, offsetSeconds: offset)
        return publishIfChanged()
    }

    /// Does what is due; call it at `wakeAt` and whenever the clocks are read.
    package mutating func advance(at now: Now) -> [Step] {
        guard let session, var boundary = next else { return publishIfChanged() }
        if (now.monotonic(at: boundary.at) - boundary.monotonic).isBeyond(Self.stepMin) {
            replan(at: now)
        } else if boundary.monotonic <= now.monotonic {
            passed = boundary.monotonic
            replan(at: now)
        }
        guard let planned = next else { return publishIfChanged() }
        boundary = planned
        var steps = publishIfChanged()
        let isDue = boundary.monotonic - lead <= now.monotonic && now.monotonic < boundary.monotonic
        if isDue, !boundary.isCommanded {
            next?.isCommanded = true
            // The worker will cut there, even if the clock steps before the moment comes.
            passed = boundary.monotonic
            if session.isRecording { steps.append(.command(at: boundary.at, expiry: lead + Self.commandExpiry)) }
        }
        return steps
    }

    private mutating func replan(at now: Now) {
        guard let session else { return }
        let grid = BoundaryGrid(settings, sessionStart: session.startedAt, shift: shift)
        var at = grid.boundary(after: now.wall)
        if let passed, now.monotonic(at: at) - passed < settings.interval / 2 { at = grid.boundary(after: at) }
        guard at != next?.at || now.monotonic(at: at) != next?.monotonic else { return }
        let wasCommanded = next?.at == at && next?.isCommanded == true
        next = Boundary(at: at, monotonic: now.monotonic(at: at), isCommanded: wasCommanded)
    }

    private mutating func publishIfChanged() -> [Step] {
        let state = RotationState(
            intervalSeconds: settings.interval.publishedSeconds, align: settings.align,
            staggerSeconds: shift.publishedSeconds, nextAt: session == nil ? nil : next?.at, last: last)
        guard state != published else { return [] }
        published = state
        return [.publish(state)]
    }
}

extension Duration {
    fileprivate func isBeyond(_ limit: Duration) -> Bool { self > limit || self < .zero - limit }
}
