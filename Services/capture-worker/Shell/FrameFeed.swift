internal import CaptureWorkerCore
internal import Domain
internal import Media

/// One run of a source: turns its packets into frames with sound timestamps and a moment each.
struct FrameFeed {
    let run: Int
    /// Whether arrival tells when a frame was taken. Else media time runs on from the first frame's arrival.
    private let paces: Bool
    private let timeBase: TimeBase
    private var repair: TimestampRepair
    private var origin: (arrival: MonotonicTime, dts: Int64)?
    var beginsFormat = false
    var hasKeyFrame = false
    /// Whether it was told that the memory holds less than the pre-roll that is wanted.
    var hasShortPreroll = false
    private(set) var lastTime = MonotonicTime.zero
    /// What was wrong with the timestamps of the last packet.
    private(set) var lastFault: TimestampRepair.Fault?

    init(_ format: StreamFormat, run: Int, paces: Bool) {
        self.run = run
        self.paces = paces
        timeBase = format.video.timeBase
        repair = TimestampRepair(format, keepsTime: paces)
    }

    /// Repairs the packet's timestamps; nil for audio, which no boundary depends on.
    mutating func place(_ packet: Packet) -> SegmentCutter.Frame? {
        let stamps = repair.repair(packet)
        packet.setTimestamps(pts: stamps.pts, dts: stamps.dts, duration: stamps.duration)
        lastFault = stamps.fault
        guard packet.track == .video else { return nil }
        let first = origin ?? (packet.arrival, stamps.dts)
        origin = first
        let media = timeBase.duration(ticks: stamps.dts - first.dts)
        let time = paces ? packet.arrival : first.arrival + media
        lastTime = max(lastTime, time)
        let frame = SegmentCutter.Frame(
            isKey: packet.isKey, time: lastTime, media: media, beginsFormat: packet.isKey && beginsFormat)
        if packet.isKey { beginsFormat = false }
        return frame
    }

    /// What was repaired, for the log.
    var notes: [String] {
        let faults = TimestampRepair.Fault.allCases.map { (fault: $0, count: repair.count(of: $0)) }
        let texts = faults.filter { $0.count > 0 }.map { "\($0.count) \($0.fault)" }
        return texts.isEmpty ? [] : ["timestamps repaired: \(texts.joined(separator: ", "))"]
    }
}

/// Counts of the pipeline, for the published statistics.
struct PipelineStats: Sendable {
    var frames: UInt64 = 0
    var bytes: UInt64 = 0
    var dropped: UInt64 = 0
    /// Packets whose timestamps did not hold.
    var repaired: UInt64 = 0
    /// Groups of pictures that the ring had no room for.
    var prerollCut: UInt64 = 0
    private(set) var gop: Duration = .zero
    private(set) var maxInterarrival: Duration = .zero
    private var lastKey: MonotonicTime?
    private var last: MonotonicTime?

    mutating func count(_ frame: SegmentCutter.Frame, bytes: Int) {
        frames += 1
        self.bytes += UInt64(bytes)
        if let last { maxInterarrival = max(maxInterarrival, frame.time - last) }
        last = frame.time
        guard frame.isKey else { return }
        if let lastKey { gop = frame.time - lastKey }
        lastKey = frame.time
    }

    mutating func beginPeriod() { maxInterarrival = .zero }
}

extension TimestampRepair {
    init(_ format: StreamFormat, keepsTime: Bool) {
        let interval = format.video.frameRate.map { $0 > 0 ? Duration.seconds(1 / $0) : .milliseconds(40) }
        self.init(
            video: format.video.timeBase, audio: format.audio?.timeBase,
            nominalFrame: interval ?? .milliseconds(40),
            // Counters in ticks of 90 kHz are those of transport streams (ISO/IEC 13818-1) or were made from RTP's.
            wrapBits: format.video.timeBase == .mpeg ? 33 : nil, keepsTime: keepsTime)
    }

    mutating func repair(_ packet: Packet) -> Output {
        repair(
            Input(
                track: packet.track == .video ? .video : .audio, pts: packet.pts, dts: packet.dts,
                duration: packet.duration, isKey: packet.isKey, arrival: packet.arrival))
    }
}
