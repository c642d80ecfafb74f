internal import CAVFormat
internal import CAVShim
internal import Domain
internal import Synchronization

/// A camera without a camera: paints frames at a steady pace and encodes them.
///
/// Owns the encoder. Frame n is due at start + n / fps by the monotonic clock, so that nothing drifts; the time base is
/// one frame. A process that was held for longer than `latenessMax` goes on at the present moment, as a real camera
/// would: it says how many frames are skipped, and the painted numbers show it.
///
/// Unchecked Sendable because of `MediaSource`'s rule: one thread opens, reads and closes; the calls from elsewhere
/// touch the wake signal and an atomic flag alone.
final class TestPatternSource: MediaSource, @unchecked Sendable {
    private static let latenessMax: Duration = .seconds(1)

    private let pattern: SourceAddress.TestPattern
    private let settings: EncoderSettings
    private let clock: MonotonicClock
    private let wake = WakeSignal()
    private let wantsKey = Atomic<Bool>(false)
    private let keyMoment = KeyFrameMoment()
    private let painter: TestPatternPainter
    private var encoder: PictureEncoder?
    private var frame: UnsafeMutablePointer<AVFrame>?
    private var started: MonotonicTime?
    private var frameNumber: Int64 = 0

    init(_ pattern: SourceAddress.TestPattern, encoder: EncoderSettings, clock: @escaping MonotonicClock) {
        self.pattern = pattern
        settings = encoder
        self.clock = clock
        painter = TestPatternPainter(width: pattern.width, height: pattern.height)
    }

    deinit { close() }

    var paces: Bool { true }
    var notes: [String] { [] }

    func requestKeyFrame() { wantsKey.store(true, ordering: .releasing) }
    func requestKeyFrame(from moment: MonotonicTime) { keyMoment.want(from: moment) }
    func interrupt() { wake.interrupt() }

    func close() {
        encoder = nil
        av_frame_free(&frame)
    }

    func open() throws(CodedError) -> StreamFormat {
        MediaLibrary.prepare()
        guard !wake.isInterrupted else { throw wake.reason }
        let made = try PictureEncoder(
            .x264, settings, width: pattern.width, height: pattern.height, frame: TimeBase(1, Int32(pattern.fps)))
        encoder = made
        try openFrame()
        return try made.format(timeBase: TimeBase(1, Int32(pattern.fps)), frameRate: Double(pattern.fps))
    }

    func next() throws(CodedError) -> SourceItem {
        guard let encoder, let frame else { throw CodedError(.internal, "the test pattern is not open") }
        try waitForTurn()
        let code = av_frame_make_writable(frame)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a picture") }
        paint(frame)
        // One reading for both: a frame that was held before it would seem to come after the silence.
        let arrival = clock()
        let skipped = skipMissedTurns(at: arrival)
        guard skipped == 0 else { return .skipped(frames: skipped) }
        let number = frameNumber
        frameNumber += 1
        let isDue = keyMoment.isDue(at: arrival)
        let isAsked = wantsKey.exchange(false, ordering: .acquiring)
        guard let coded = try encoder.encode(frame, forcesKey: isAsked || isDue) else {
            throw CodedError(.internal, "the encoder returned nothing")
        }
        return .packet(try coded.packet(pts: number, dts: number, duration: 1, arrival: arrival))
    }

    /// How many frames there is no sense in any more.
    private func skipMissedTurns(at now: MonotonicTime) -> Int {
        guard let started else { return 0 }
        let behind = now - (started + offset(of: frameNumber))
        guard behind > Self.latenessMax else { return 0 }
        let missed = TimeBase(1, Int32(pattern.fps)).ticks(in: behind)
        frameNumber += missed
        requestKeyFrame()
        return Int(missed)
    }

    private func waitForTurn() throws(CodedError) {
        let start = started ?? clock()
        started = start
        guard wake.wait(until: start + offset(of: frameNumber), clock: clock) else { throw wake.reason }
    }

    private func offset(of frame: Int64) -> Duration { TimeBase(1, Int32(pattern.fps)).duration(ticks: frame) }

    private func paint(_ frame: UnsafeMutablePointer<AVFrame>) {
        guard let luma = frame.pointee.data.0, let u = frame.pointee.data.1, let v = frame.pointee.data.2 else {
            return
        }
        painter.paint(
            UInt32(truncatingIfNeeded: frameNumber),
            luma: .init(bytes: luma, stride: Int(frame.pointee.linesize.0)),
            u: .init(bytes: u, stride: Int(frame.pointee.linesize.1)),
            v: .init(bytes: v, stride: Int(frame.pointee.linesize.2)))
    }

    private func openFrame() throws(CodedError) {
        frame = av_frame_alloc()
        frame?.pointee.format = AV_PIX_FMT_YUV420P.rawValue
        frame?.pointee.width = Int32(pattern.width)
        frame?.pointee.height = Int32(pattern.height)
        let code = av_frame_get_buffer(frame, 0)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a picture") }
    }
}
