package import Domain

/// Decides, frame by frame, which segment a frame belongs to.
///
/// Owns the place in the session: the next segment's index, the next frame's number, the boundaries that are wanted.
/// Invariants: while a session runs, every video frame gets the next number; a frame that is not kept uses its number
/// up, so a hole in the numbers is a gap and a gap is a hole; a segment begins at a key frame and has no hole inside.
/// The pipeline calls it on the source's thread for every frame, so it neither allocates nor copies. It knows nothing
/// of files; `Opening` says what the writer must begin.
package struct SegmentCutter: Hashable, Sendable {
    /// One video frame, as far as cutting is concerned.
    package struct Frame: Hashable, Sendable {
        package var isKey: Bool
        /// The frame's moment on the stream's clock: its arrival, or for a source faster than life its media time.
        package var time: MonotonicTime
        /// Its place on the source's own repaired timeline.
        package var media: Duration
        /// The parameter sets or the picture size differ from the frame before.
        package var beginsFormat: Bool

        package init(isKey: Bool, time: MonotonicTime, media: Duration, beginsFormat: Bool = false) {
            self.isKey = isKey
            self.time = time
            self.media = media
            self.beginsFormat = beginsFormat
        }
    }

    /// Boundaries that return by themselves.
    package struct Schedule: Hashable, Sendable {
        package var next: MonotonicTime
        package var interval: Duration

        package init(next: MonotonicTime, interval: Duration) {
            self.next = next
            self.interval = interval
        }

        /// Whether both name the same boundaries, give or take `slack`.
        package func agrees(with other: Schedule, slack: Duration) -> Bool {
            guard interval == other.interval else { return false }
            let step = interval.nanoseconds
            let rest = (next - other.next).nanoseconds - (next - other.next).nanoseconds.floorDivided(by: step) * step
            return min(rest, step - rest) <= slack.nanoseconds
        }

        /// The first boundary later than `time`.
        package mutating func advance(beyond time: MonotonicTime) {
            guard next <= time else { return }
            let step = interval.nanoseconds
            next = next + .nanoseconds(((time - next).nanoseconds / step + 1) * step)
        }
    }

    /// Where a session stands when it begins or is taken up again.
    package struct Place: Hashable, Sendable {
        package var session: SessionID
        /// When the session began, on this machine's monotonic clock.
        package var startedAt: MonotonicTime
        package var nextIndex: Int
        package var nextFrame: UInt64
        package var gap: PendingGap?

        package init(
            session: SessionID, startedAt: MonotonicTime, nextIndex: Int = 0, nextFrame: UInt64 = 0,
            gap: PendingGap? = nil
        ) {
            self.session = session
            self.startedAt = startedAt
            self.nextIndex = nextIndex
            self.nextFrame = nextFrame
            self.gap = gap
        }
    }

    /// A gap that has begun and not ended.
    package struct PendingGap: Hashable, Sendable {
        package var from: MonotonicTime
        package var cause: GapCause
        /// The number that the first lost frame had or would have had.
        package var firstLost: UInt64
        /// Whether every lost frame was seen and numbered.
        package var isCounted: Bool

        package init(from: MonotonicTime, cause: GapCause, firstLost: UInt64, isCounted: Bool) {
            self.from = from
            self.cause = cause
            self.firstLost = firstLost
            self.isCounted = isCounted
        }

        /// One gap from two that nothing that was kept lies between; the first says why it began.
        func joined(to earlier: PendingGap) -> PendingGap {
            PendingGap(
                from: min(from, earlier.from), cause: earlier.cause, firstLost: min(firstLost, earlier.firstLost),
                isCounted: isCounted && earlier.isCounted)
        }
    }

    /// A segment to begin with the frame at hand.
    package struct Opening: Hashable, Sendable {
        package var session: SessionID
        package var index: Int
        package var firstFrame: UInt64
        package var time: MonotonicTime
        /// The first frame's place on the session's timeline.
        package var sessionOffset: Duration
        /// The boundary that this segment answers, if one did.
        package var wish: MonotonicTime?
        package var gap: EndedGap?

        package init(
            session: SessionID, index: Int, firstFrame: UInt64, time: MonotonicTime, sessionOffset: Duration,
            wish: MonotonicTime?, gap: EndedGap?
        ) {
            self.session = session
            self.index = index
            self.firstFrame = firstFrame
            self.time = time
            self.sessionOffset = sessionOffset
            self.wish = wish
            self.gap = gap
        }

        /// Cut minus wish.
        package var offset: Duration? { wish.map { time - $0 } }
    }

    package struct EndedGap: Hashable, Sendable {
        package var from: MonotonicTime
        package var to: MonotonicTime
        package var cause: GapCause
        /// Nil where nobody can know.
        package var framesLost: UInt64?

        package init(from: MonotonicTime, to: MonotonicTime, cause: GapCause, framesLost: UInt64?) {
            self.from = from
            self.to = to
            self.cause = cause
            self.framesLost = framesLost
        }
    }

    package enum Decision: Hashable, Sendable {
        /// No segment takes the frame.
        case skip
        case append
        /// No segment is open: begin one.
        case open(Opening)
        /// Begin the next, then end the present one.
        case cut(Opening)
    }

    /// Wishes that wait for their key frame; more are refused.
    package static let wishesMax = 16
    /// More gaps than this do not end while the recorder's queue lasts.
    static let toldMax = 16

    private struct Open: Hashable, Sendable {
        var sessionOffset: Duration
        var firstMedia: Duration
    }

    /// A gap that a segment ended, and that segment's first frame.
    private struct Told: Hashable, Sendable {
        var gap: PendingGap
        var openedWith: UInt64
    }

    private var place: Place?
    private var open: Open?
    /// The newest gaps, oldest first, at most `toldMax`: their segments may still be lost.
    private var told: [Told] = []
    private var lastFrameTime: MonotonicTime?
    private var wishes: [MonotonicTime] = []
    private var mayOpen = true
    package private(set) var schedule: Schedule?

    package init() { wishes.reserveCapacity(Self.wishesMax) }

    package var session: SessionID? { place?.session }
    package var isOpen: Bool { open != nil }
    package var nextFrame: UInt64 { place?.nextFrame ?? 0 }
    /// The next boundary that somebody wants, for a source that can make a key frame for it.
    package var nextWish: MonotonicTime? {
        guard isOpen else { return nil }
        guard let wish = wishes.min() else { return schedule?.next }
        return schedule.map { min($0.next, wish) } ?? wish
    }
}

// MARK: What is asked for

extension SegmentCutter {
    /// Begins a session, or takes one up again. The next key frame opens its first segment.
    package mutating func begin(_ place: Place, schedule: Schedule?) {
        precondition(open == nil, "a session begins after the one before has ended")
        self.place = place
        self.schedule = schedule
        lastFrameTime = nil
        told.removeAll(keepingCapacity: true)
        mayOpen = true
        wishes.removeAll(keepingCapacity: true)
    }

    /// Ends the session; returns the gap that was open then, up to `time`.
    package mutating func end(at time: MonotonicTime) -> EndedGap? {
        defer {
            place = nil
            open = nil
            schedule = nil
            wishes.removeAll(keepingCapacity: true)
        }
        guard let place, let gap = place.gap else { return nil }
        return ended(gap, at: time, nextFrame: place.nextFrame)
    }

    package mutating func setSchedule(_ schedule: Schedule?) { self.schedule = schedule }

    /// Asks for a boundary at `time`. False if too many wait already.
    package mutating func rotate(at time: MonotonicTime) -> Bool {
        guard wishes.count < Self.wishesMax else { return false }
        wishes.append(time)
        return true
    }

    /// No more frames for now. The open segment has ended; the session waits for the next key frame.
    ///
    /// - Parameters:
    ///   - time: when the frames stopped, or the moment of the first one that was not kept, whichever is earlier.
    ///   - firstLost: the number of the first frame that is not safe, if it was numbered already.
    ///   - mayOpen: false if the disk is to be waited for; a loss for another reason meanwhile does not end that.
    package mutating func lose(
        _ cause: GapCause, at time: MonotonicTime, firstLost: UInt64? = nil, mayOpen: Bool = true
    ) {
        if !mayOpen { self.mayOpen = false }
        open = nil
        guard var place else { return }
        let from = lastFrameTime.map { min($0, time) } ?? time
        var begun = place.gap
        // Gaps that were ended by segments that were never written go on.
        while let firstLost, let newest = told.last, firstLost <= newest.openedWith {
            begun = begun.map { $0.joined(to: newest.gap) } ?? newest.gap
            told.removeLast()
        }
        if var gap = begun {
            gap.from = min(gap.from, from)
            gap.firstLost = min(gap.firstLost, firstLost ?? gap.firstLost)
            gap.isCounted = gap.isCounted && cause.countsFrames
            place.gap = gap
        } else if place.nextIndex > 0 {
            place.gap = PendingGap(
                from: from, cause: cause, firstLost: firstLost ?? place.nextFrame, isCounted: cause.countsFrames)
        }
        self.place = place
    }

    /// Frames that came and that the source had no time for. They end the open segment, and their numbers are used up.
    package mutating func leaveOut(_ frames: Int, at time: MonotonicTime) {
        if isOpen { lose(.overrun, at: time) }
        guard frames > 0, let gap = place?.gap, gap.isCounted else { return }
        place?.nextFrame += UInt64(frames)
    }

    /// The disk takes files again.
    package mutating func allowOpening() { mayOpen = true }
}

extension GapCause {
    /// Whether the frames of such a gap reached the worker and were numbered.
    var countsFrames: Bool {
        switch self {
        case .overrun, .storageFull, .storageFailed: true
        case .sourceLost, .sourceStalled, .workerDied, .timestampFault: false
        }
    }
}

// MARK: What each frame leads to

extension SegmentCutter {
    package mutating func accept(_ frame: Frame) -> Decision {
        guard place != nil else { return .skip }
        defer { lastFrameTime = frame.time }
        guard open != nil else {
            return frame.isKey && mayOpen ? .open(opening(with: frame)) : skip()
        }
        guard frame.isKey, let wish = dueWish(at: frame.time) ?? formatWish(frame) else {
            place?.nextFrame += 1
            return .append
        }
        return .cut(opening(with: frame, wish: wish.time))
    }

    /// A frame of the session that no file takes: before the first key frame it was never part of it, in a gap it is
    /// lost.
    private mutating func skip() -> Decision {
        if let gap = place?.gap, gap.isCounted { place?.nextFrame += 1 }
        return .skip
    }

    private struct Wish {
        var time: MonotonicTime?
    }

    /// The earliest boundary that has come; all that have come are used up by one cut.
    private mutating func dueWish(at time: MonotonicTime) -> Wish? {
        var earliest: MonotonicTime?
        if let next = schedule?.next, next <= time {
            earliest = next
            schedule?.advance(beyond: time)
        }
        if let first = wishes.min(), first <= time {
            earliest = earliest.map { min($0, first) } ?? first
            wishes.removeAll { $0 <= time }
        }
        return earliest.map { Wish(time: $0) }
    }

    private func formatWish(_ frame: Frame) -> Wish? { frame.beginsFormat ? Wish(time: nil) : nil }

    private mutating func opening(with frame: Frame, wish: MonotonicTime? = nil) -> Opening {
        guard var place else { preconditionFailure("an opening needs a session") }
        var ended: EndedGap?
        if let gap = place.gap {
            // A gap without a hole in the numbers could not be told from continuity.
            place.nextFrame = max(place.nextFrame, gap.firstLost + 1)
            ended = self.ended(gap, at: frame.time, nextFrame: place.nextFrame)
            if told.count >= Self.toldMax { told.removeFirst() }
            told.append(Told(gap: gap, openedWith: place.nextFrame))
            place.gap = nil
        }
        // Pre-roll lies before the wish: the session begins with its first frame.
        if place.nextIndex == 0 { place.startedAt = frame.time }
        let offset =
            open.map { $0.sessionOffset + (frame.media - $0.firstMedia) } ?? (frame.time - place.startedAt)
        let opening = Opening(
            session: place.session, index: place.nextIndex, firstFrame: place.nextFrame, time: frame.time,
            sessionOffset: max(offset, .zero), wish: wish, gap: ended)
        open = Open(sessionOffset: opening.sessionOffset, firstMedia: frame.media)
        place.nextIndex += 1
        place.nextFrame += 1
        self.place = place
        // A boundary that passed while nothing was open asks for nothing any more.
        schedule?.advance(beyond: frame.time)
        wishes.removeAll { $0 <= frame.time }
        return opening
    }

    private func ended(_ gap: PendingGap, at time: MonotonicTime, nextFrame: UInt64) -> EndedGap {
        // The last frame before may be said to last a little beyond the first one after.
        EndedGap(
            from: min(gap.from, time), to: time, cause: gap.cause,
            framesLost: gap.isCounted ? nextFrame - gap.firstLost : nil)
    }
}
