internal import CAVFormat
internal import CAVShim
internal import Domain

/// Times the pictures of an elementary stream, which carries no timestamps: decode times by counting frames,
/// presentation times by the order of output that the coded pictures state. Other tracks pass unchanged.
struct TrackClock {
    let timeBase: TimeBase
    private let countsFrames: Bool
    private let codecID: AVCodecID
    /// At most those of `frameMax`: a damaged stream may state any rate.
    private let frameTicks: Int64
    private var frames: Int64 = 0
    /// The decode count of the last picture whose output order is 0.
    private var origin: Int64 = 0
    private var parser: PacketParser?

    /// What a raw stream without a stated rate plays at.
    private static let framesPerSecondDefault = AVRational(num: 25, den: 1)
    private static let frameMax: Duration = .seconds(3600)
    /// The decoder's delay in frames that presentation is put behind, so that no picture is due before it is decoded.
    private static let delayFrames: Int64 = 2

    init(_ stream: UnsafeMutablePointer<AVStream>, countsFrames: Bool) {
        timeBase = stream.pointee.timeBase
        self.countsFrames = countsFrames
        codecID = stream.pointee.codecpar.pointee.codec_id
        let stated = stream.pointee.avg_frame_rate
        let rate = stated.num > 0 && stated.den > 0 ? stated : Self.framesPerSecondDefault
        let ticks = av_rescale_q(1, AVRational(num: rate.den, den: rate.num), stream.pointee.time_base)
        frameTicks = min(max(1, ticks), timeBase.ticks(in: Self.frameMax))
    }

    mutating func restart() {
        frames = 0
        origin = 0
        parser = nil
    }

    mutating func count(_ packet: UnsafeMutablePointer<AVPacket>, tracker: FormatTracker?) {
        guard countsFrames else { return }
        let nothing = cav_nopts_value()
        guard packet.pointee.dts == nothing, packet.pointee.pts == nothing else { return }
        if parser == nil { parser = PacketParser(codecID: codecID, extradata: tracker?.extradata ?? []) }
        let order = parser?.parse(packet)?.outputOrder ?? 0
        if order == 0, packet.pointee.flags & AV_PKT_FLAG_KEY != 0 { origin = frames }
        // H.264 counts fields, two for each frame.
        let delay = codecID == AV_CODEC_ID_MJPEG ? 0 : Self.delayFrames
        let shown = origin + Int64(codecID == AV_CODEC_ID_H264 ? order / 2 : order) + delay
        packet.pointee.dts = frames.multipliedClamped(by: frameTicks)
        packet.pointee.pts = max(frames, shown).multipliedClamped(by: frameTicks)
        packet.pointee.duration = frameTicks
        frames += 1
    }
}

/// Moves the timestamps of a file that begins again behind those of the turn before. Where the sum of all turns leaves
/// what 64 bits hold, it stays at their edge: the repair of timestamps makes time go on.
struct LoopClock {
    /// The sum of the turns so far, in the video's ticks.
    private var offset: Int64 = 0
    private var first: Int64?
    private var end: Int64 = 0
    private var audioEnd: Duration = .zero
    private var timeBase = TimeBase.mpeg
    private var isFirstTurn = true

    /// Ends a turn; false if it had no length, and the file cannot loop.
    mutating func turn() -> Bool {
        guard let first else { return false }
        let length = max(end, timeBase.ticks(in: audioEnd)).subtractingClamped(first)
        guard length > 0 else { return false }
        offset = offset.addingClamped(length)
        isFirstTurn = false
        return true
    }

    mutating func place(video packet: UnsafeMutablePointer<AVPacket>, timeBase: TimeBase) {
        self.timeBase = timeBase
        let nothing = cav_nopts_value()
        let ticks = packet.pointee.dts != nothing ? packet.pointee.dts : packet.pointee.pts
        if isFirstTurn, ticks != nothing {
            if first == nil { first = ticks }
            end = max(end, ticks.addingClamped(max(packet.pointee.duration, 1)))
        }
        shift(packet, by: offset)
    }

    mutating func place(audio packet: UnsafeMutablePointer<AVPacket>, timeBase audio: TimeBase) {
        if isFirstTurn, packet.pointee.pts != cav_nopts_value() {
            let ticks = packet.pointee.pts.addingClamped(packet.pointee.duration)
            audioEnd = max(audioEnd, audio.duration(ticks: ticks))
        }
        shift(packet, by: audio.ticks(in: timeBase.duration(ticks: offset)))
    }

    private func shift(_ packet: UnsafeMutablePointer<AVPacket>, by ticks: Int64) {
        guard ticks != 0 else { return }
        let nothing = cav_nopts_value()
        if packet.pointee.pts != nothing { packet.pointee.pts = packet.pointee.pts.addingClamped(ticks) }
        if packet.pointee.dts != nothing { packet.pointee.dts = packet.pointee.dts.addingClamped(ticks) }
    }
}

/// When a packet of a file is due, so that the file plays in real time.
struct FilePace {
    /// A packet later than this, or a jump larger than this, begins the count anew.
    private static let jumpMax: Duration = .seconds(5)

    private var origin: (media: Duration, clock: MonotonicTime)?

    mutating func due(_ media: Duration, now: MonotonicTime) -> MonotonicTime {
        if let origin {
            let due = origin.clock + (media - origin.media)
            if due - now < Self.jumpMax, now - due < Self.jumpMax { return due }
        }
        origin = (media, now)
        return now
    }
}
