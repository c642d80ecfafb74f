internal import Domain

/// One track's timeline inside `TimestampRepair`: where the last packet was placed, and how the source's ticks become
/// the recording's. All arithmetic is in 128 bits and wraps silently; `fits` refuses whatever overflow could make of a
/// value, so no input traps.
struct TrackLine: Sendable {
    typealias Fault = TimestampRepair.Fault

    private let track: TimestampRepair.Track
    private let unit: Int128
    private let perSecond: Int128
    private let period: Int128?
    private var step: Int128
    /// Added to the source's ticks, besides the shift. Changes only when the counter wraps.
    private var base: Int128?
    /// The shift of the shared clock that this track uses, in nanoseconds.
    private var shift: Int128 = 0
    private var last: Int128?
    private var lastArrival: Int128?
    private var newestPTS: Int128 = 0
    private var lastDelay: Int128 = 0
    private var reorder: ReorderWindow

    /// Frames out of order are told from a clock set back by lying no further back than this.
    private static let reorderNanosecondsMax: Int128 = 1_000_000_000
    /// The longest packet, and the longest wait between decoding and presentation.
    private static let stepNanosecondsMax: Int128 = 10_000_000_000
    /// A longer step between two packets is a silence, not the stream's rate.
    private static let learnedNanosecondsMax: Int128 = 1_000_000_000

    init(
        _ track: TimestampRepair.Track, _ timeBase: TimeBase, nominalStep: Duration, wrapBits: Int?, reorderFrames: Int
    ) {
        self.track = track
        unit = Int128(timeBase.numerator) * 1_000_000_000
        perSecond = Int128(timeBase.denominator)
        period = wrapBits.map { Int128(1) << Int128($0) }
        step = max(1, Int128(timeBase.ticks(in: nominalStep)))
        reorder = ReorderWindow(depth: reorderFrames)
    }

    /// Where this track's newest packet ends, in nanoseconds.
    var end: Int128? { last.map { nanoseconds($0 &+ step) } }

    /// Gives the packet its place after the one before.
    mutating func place(
        _ input: TimestampRepair.Input, _ clock: inout SourceClock, otherEnd: Int128?
    ) -> TimestampRepair.Output {
        let stamp = input.dts ?? input.pts
        let needsOrder = input.dts == nil && input.track == .video
        var fault: Fault? = input.dts == nil || input.pts == nil ? .missing : nil
        var time: Int128
        if let stamp {
            let lower = needsOrder ? lowestPTS(isKey: input.isKey) : last
            let found = locate(Int128(stamp), &clock, after: lower, otherEnd: otherEnd)
            time = found.time
            fault = found.fault ?? fault
        } else {
            time = expected(clock)
        }
        let delay = delay(of: input, fault: &fault)
        if needsOrder, stamp != nil { time = ordered(time) }
        return finish(input, dts: time, delay: delay, fault: fault, &clock)
    }

    private mutating func finish(
        _ input: TimestampRepair.Input, dts wanted: Int128, delay: Int128?, fault: Fault?, _ clock: inout SourceClock
    ) -> TimestampRepair.Output {
        let dts = max(wanted, last.map { $0 + 1 } ?? wanted)
        let pts = max(dts, delay.map { dts + $0 } ?? orderedPTS ?? dts)
        if fault == nil || fault == .missing, let last, dts - last <= ticks(Self.learnedNanosecondsMax) {
            step = dts - last
        }
        if let delay { lastDelay = delay }
        last = dts
        lastArrival = clock.arrival
        newestPTS = max(newestPTS, pts)
        orderedPTS = nil
        clock.accepted(nanoseconds(dts))
        let duration = input.duration > 0 && Int128(input.duration) <= limit ? input.duration : 0
        return TimestampRepair.Output(
            pts: Int64(clamping: pts), dts: Int64(clamping: dts), duration: duration, fault: fault)
    }

    // MARK: From the source's ticks to the recording's

    /// The place of `stamp`, and what was wrong with it.
    private mutating func locate(
        _ stamp: Int128, _ clock: inout SourceClock, after lower: Int128?, otherEnd: Int128?
    ) -> (time: Int128, fault: Fault?) {
        guard let base = base ?? firstBase(stamp, &clock) else { return (expected(clock), nil) }
        self.base = base
        let own = stamp &+ base &+ ticks(shift)
        let newest = stamp &+ base &+ ticks(clock.shift)
        // The other track may have seen the jump first; what it needed, this one gets too.
        if fits(newest, clock, after: lower) { return (keep(clock.shift, &clock, newest), nil) }
        if fits(own, clock, after: lower) { return (keep(shift, &clock, own), nil) }
        if let turns = turns(newest, clock), fits(newest &+ turns, clock, after: lower) {
            self.base = base &+ turns
            return (keep(clock.shift, &clock, newest &+ turns), turns > 0 ? .wrapped : nil)
        }
        if let suspect = clock.suspect {
            let time = stamp &+ base &+ ticks(suspect)
            if fits(time, clock, after: lower) {
                clock.shift = suspect
                return (keep(suspect, &clock, time), nil)
            }
        }
        return doubt(own, stamp: stamp, base: base, &clock, otherEnd: otherEnd)
    }

    private mutating func keep(_ shift: Int128, _ clock: inout SourceClock, _ time: Int128) -> Int128 {
        // What the other track suspects stays open: packets from before its jump may still come on this one.
        if clock.suspectTrack == track || clock.suspect == shift { clock.suspect = nil }
        self.shift = shift
        return time
    }

    /// A value that fits nowhere: it gets the place that is next, and a shift waits for the packet after it to agree.
    private mutating func doubt(
        _ time: Int128, stamp: Int128, base: Int128, _ clock: inout SourceClock, otherEnd: Int128?
    ) -> (time: Int128, fault: Fault) {
        let fault = fault(of: time, clock)
        var place = expected(clock)
        switch fault {
        case .repeated: place = min(place, (last ?? place) + 1)
        case .behind: place = max(place, ticks(clock.reference))
        case .backwardJump, .forwardJump, .wrapped, .missing, .presentation: break
        }
        place = max(min(place, ticks(clock.latest)), ticks(clock.earliest), last.map { $0 + 1 } ?? .min)
        // The new timeline begins after all that either track has stored.
        let start = otherEnd.map { max(place, min(ticks($0), place + limit)) } ?? place
        clock.suspect = nanoseconds(start &- stamp &- base)
        clock.suspectTrack = track
        return (place, fault)
    }

    private func fault(of time: Int128, _ clock: SourceClock) -> Fault {
        guard let last else { return time < 0 ? .backwardJump : .forwardJump }
        if time == last { return .repeated }
        if time < last { return .backwardJump }
        return nanoseconds(time) < clock.earliest ? .behind : .forwardJump
    }

    /// The first stamp decides what the source's zero is: for both tracks if they agree, else for this one.
    private mutating func firstBase(_ stamp: Int128, _ clock: inout SourceClock) -> Int128? {
        guard let origin = clock.origin else {
            let place = last.map { $0 + step } ?? 0
            clock.origin = nanoseconds(place &- stamp)
            return place &- stamp
        }
        let shared = ticks(origin)
        let time = stamp &+ shared &+ ticks(clock.shift)
        if fits(time, clock, after: last) || clock.suspect != nil { return shared }
        if let turns = turns(time, clock), fits(time &+ turns, clock, after: last) { return shared &+ turns }
        return max(last.map { $0 + step } ?? .min, ticks(clock.reference)) &- stamp &- ticks(clock.shift)
    }

    private func fits(_ time: Int128, _ clock: SourceClock, after lower: Int128?) -> Bool {
        guard lower.map({ time > $0 }) ?? true, time.magnitude < 1 << 66 else { return false }
        let moment = nanoseconds(time)
        return moment <= clock.latest && moment >= clock.earliest
    }

    /// Whole turns of the counter that bring `time` nearest to where it is expected; nil if none do.
    private func turns(_ time: Int128, _ clock: SourceClock) -> Int128? {
        guard let period, time.magnitude < 1 << 66 else { return nil }
        let distance = expected(clock) - time
        let count = (distance + (distance < 0 ? -period / 2 : period / 2)) / period
        return count == 0 ? nil : count * period
    }

    /// Where the next packet should be: one step on, or after a silence as much later as it lasted.
    private func expected(_ clock: SourceClock) -> Int128 {
        guard let last, let before = lastArrival, let now = clock.arrival else { return ticks(clock.reference) }
        let silence = min(now - before, Int128(TimestampRepair.silenceMax.nanoseconds))
        let isSilent = clock.keepsTime && silence >= Int128(TimestampRepair.silenceMin.nanoseconds)
        let next = isSilent ? last + max(1, ticks(silence)) : last + step
        return max(last + 1, min(next, ticks(clock.latest)))
    }

    // MARK: Presentation

    /// The pts of a packet without dts, kept while its dts is found.
    private var orderedPTS: Int128?

    /// From dts to pts, where the packet has both; what makes no sense is replaced by what the packet before had.
    private func delay(of input: TimestampRepair.Input, fault: inout Fault?) -> Int128? {
        guard let dts = input.dts else { return nil }
        guard let pts = input.pts else { return 0 }
        var delay = Int128(pts) - Int128(dts)
        if let period, delay.magnitude > (period / 2).magnitude { delay += delay < 0 ? period : -period }
        if delay >= 0, delay <= limit { return delay }
        fault = fault ?? .presentation
        return delay < 0 ? 0 : lastDelay
    }

    /// The lowest pts that frames out of order can have; a key frame is never shown before what came before it.
    private func lowestPTS(isKey: Bool) -> Int128? {
        last.map { isKey ? newestPTS : max($0, newestPTS) - ticks(Self.reorderNanosecondsMax) }
    }

    /// The dts that belongs to a pts, by the frames held back so far.
    private mutating func ordered(_ pts: Int128) -> Int128 {
        orderedPTS = pts
        return reorder.insert(pts, step: step)
    }

    // MARK: Units

    private var limit: Int128 { max(1, ticks(Self.stepNanosecondsMax)) }
    private func nanoseconds(_ ticks: Int128) -> Int128 { ticks &* unit / perSecond }

    /// The nearest whole tick.
    private func ticks(_ nanoseconds: Int128) -> Int128 {
        let scaled = nanoseconds &* perSecond
        return (scaled &+ (scaled < 0 ? -unit / 2 : unit / 2)) / unit
    }
}

/// Finds dts for frames that have a pts only: the smallest pts of the last few frames, as many as a decoder holds back.
/// Begins with what the stream's header said and learns from frames that come too late.
struct ReorderWindow: Sendable {
    /// H.264 and H.265 hold back at most 16 frames (`max_dec_frame_buffering`, `sps_max_num_reorder_pics`).
    static let depthMax = 16

    private var depth: Int
    private var sorted: [Int128] = []

    init(depth: Int) {
        self.depth = min(max(depth, 0), Self.depthMax)
        sorted.reserveCapacity(Self.depthMax + 2)
    }

    /// The dts for the frame with this pts. A frame whose pts has been passed is late: from now on one more is held
    /// back.
    mutating func insert(_ pts: Int128, step: Int128) -> Int128 {
        if sorted.isEmpty {
            for place in 0..<depth { sorted.append(pts - Int128(depth - place) * step) }
        } else if pts < sorted[0], depth < Self.depthMax {
            depth += 1
        } else if sorted.count > depth {
            sorted.removeFirst()
        }
        let place = sorted.firstIndex { $0 > pts } ?? sorted.endIndex
        sorted.insert(pts, at: place)
        return sorted[0]
    }
}
