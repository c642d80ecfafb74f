package import Domain

/// Makes the timestamps of one source fit to be stored.
///
/// Owns the offset between the source's clock and the recording's. Invariants: per track the decoding times (dts) grow
/// strictly; no presentation time (pts) lies before its dts; a stream without faults passes unchanged but for one
/// constant; a jump of the source's clock moves both tracks by the same span, so that sound and picture stay in step;
/// for a source that plays in real time, no result runs more than `leadMax` ahead of the arrivals. One value among good
/// ones that makes no sense is replaced and shifts nothing: a new offset holds only when the packet after it agrees.
///
/// The pipeline calls it for every packet, on the source's thread, before anyone else sees the packet; it allocates
/// nothing. Gaps and segments are not its business: a silent camera's time follows the arrivals, and the cutter
/// decides.
package struct TimestampRepair: Sendable {
    package enum Track: Sendable {
        case video, audio
    }

    /// What was wrong with a packet.
    package enum Fault: Int, Sendable, CaseIterable {
        /// The clock went back: the camera rebooted, its clock was set, a file began again.
        case backwardJump
        /// The clock ran ahead of the arrivals by more than `leadMax`.
        case forwardJump
        /// The clock fell behind the arrivals by more than `lagMax`.
        case behind
        /// The same dts as the packet before.
        case repeated
        /// The counter of 32 or 33 bits began again at zero.
        case wrapped
        /// No pts, no dts, or neither.
        case missing
        /// A pts before its dts or too far after it.
        case presentation
    }

    /// One packet, in ticks of its track's time base.
    package struct Input: Hashable, Sendable {
        package var track: Track
        package var pts: Int64?
        package var dts: Int64?
        /// 0: unknown.
        package var duration: Int64
        package var isKey: Bool
        package var arrival: MonotonicTime

        package init(
            track: Track, pts: Int64?, dts: Int64?, duration: Int64 = 0, isKey: Bool, arrival: MonotonicTime
        ) {
            self.track = track
            self.pts = pts
            self.dts = dts
            self.duration = duration
            self.isKey = isKey
            self.arrival = arrival
        }
    }

    package struct Output: Hashable, Sendable {
        package var pts: Int64
        package var dts: Int64
        /// As it came, if it makes sense; else 0.
        package var duration: Int64
        /// The first thing that was wrong, if anything.
        package var fault: Fault?

        package init(pts: Int64, dts: Int64, duration: Int64, fault: Fault?) {
            self.pts = pts
            self.dts = dts
            self.duration = duration
            self.fault = fault
        }
    }

    /// How far the source's clock may run ahead of the arrivals; a source in real time sends a burst at most this long.
    package static let leadMax: Duration = .seconds(10)
    /// How far it may fall behind: a network that stalls delivers late, in a burst, and is right.
    package static let lagMax: Duration = .seconds(30)
    /// Clocks may differ in rate by one part in this many; what they gain is forgotten at that pace.
    static let driftDivisor: Int128 = 20
    /// Silence as long as this belongs to the recording's time even if the source's clock broke in it.
    static let silenceMin: Duration = .seconds(1)
    /// A single silence counts at most this long.
    static let silenceMax: Duration = .seconds(86_400)

    private var video: TrackLine
    private var audio: TrackLine
    private var clock: SourceClock
    private var counts = [UInt64](repeating: 0, count: Fault.allCases.count)

    /// - Parameters:
    ///   - nominalFrame: between two video packets, until the stream has shown it; more than zero.
    ///   - wrapBits: of the source's counters: 32 for RTP, 33 for MPEG transport streams; nil: they do not wrap.
    ///   - reorderFrames: how many frames a decoder of the stream holds back, where dts are missing (`video_delay`).
    ///   - keepsTime: packets come at the pace of real time, so that arrivals can be trusted.
    package init(
        video: TimeBase, audio: TimeBase? = nil, nominalFrame: Duration = .milliseconds(40), wrapBits: Int? = nil,
        reorderFrames: Int = 0, keepsTime: Bool = true
    ) {
        precondition(wrapBits.map { (8...62).contains($0) } ?? true, "a counter has 8 to 62 bits")
        self.video = TrackLine(
            .video, video, nominalStep: nominalFrame, wrapBits: wrapBits, reorderFrames: reorderFrames)
        self.audio = TrackLine(
            .audio, audio ?? video, nominalStep: .milliseconds(20), wrapBits: wrapBits, reorderFrames: 0)
        clock = SourceClock(keepsTime: keepsTime)
    }

    package mutating func repair(_ input: Input) -> Output {
        clock.advance(to: input.arrival)
        let output: Output
        switch input.track {
        case .video: output = video.place(input, &clock, otherEnd: audio.end)
        case .audio: output = audio.place(input, &clock, otherEnd: video.end)
        }
        if let fault = output.fault { counts[fault.rawValue] &+= 1 }
        return output
    }

    /// Packets that had this fault so far.
    package func count(of fault: Fault) -> UInt64 { counts[fault.rawValue] }
}

/// What the tracks of a source share: the arrivals, and the shift that its clock has needed so far. In nanoseconds, in
/// 128 bits, because nothing bounds what a source may claim.
struct SourceClock: Sendable {
    let keepsTime: Bool
    /// Where the recording's time should be by the arrivals; for a source that does not keep time, where it is.
    private(set) var reference: Int128 = 0
    private(set) var arrival: Int128?
    /// Adds to the source's time to make the recording's, for the track that came first.
    var origin: Int128?
    /// The sum of all jumps that were made up for.
    var shift: Int128 = 0
    /// A shift that the next packet will confirm or not, and the track that wants it.
    var suspect: Int128?
    var suspectTrack: TimestampRepair.Track?
    private var drift: Int128 = 0

    init(keepsTime: Bool) { self.keepsTime = keepsTime }

    mutating func advance(to time: MonotonicTime) {
        let now = Int128(time.nanoseconds)
        guard let before = arrival else {
            arrival = now
            return
        }
        let elapsed = min(max(now - before, 0), Int128(TimestampRepair.silenceMax.nanoseconds))
        arrival = max(now, before)
        guard keepsTime else { return }
        reference += elapsed
        drift += elapsed / TimestampRepair.driftDivisor
    }

    var earliest: Int128 { reference - Int128(TimestampRepair.lagMax.nanoseconds) }
    var latest: Int128 { reference + Int128(TimestampRepair.leadMax.nanoseconds) }

    /// Lets the reference follow what was accepted, as fast as honest clocks may differ.
    mutating func accepted(_ time: Int128) {
        guard keepsTime else {
            reference = max(reference, time)
            return
        }
        reference += min(max(time - reference, 0 - drift), drift)
        drift = 0
    }
}
