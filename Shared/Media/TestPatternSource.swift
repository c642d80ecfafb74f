internal import CAVFormat
internal import CAVShim
internal import Domain
internal import Synchronization

/// A camera without a camera: paints frames at a steady pace and encodes them with libx264.
///
/// Owns the encoder. Frame n is due at start + n / fps by the monotonic clock, so that nothing drifts; the time base is
/// one frame. A process that was held for longer than `latenessMax` goes on at the present moment, and the numbers
/// show what was skipped, as a real camera would.
///
/// Unchecked Sendable because of `MediaSource`'s rule: one thread opens, reads and closes; the calls from elsewhere
/// touch the wake signal and an atomic flag alone.
final class TestPatternSource: MediaSource, @unchecked Sendable {
    private static let latenessMax: Duration = .seconds(1)

    private static let presets = [
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    ]

    private let pattern: SourceAddress.TestPattern
    private let encoder: EncoderSettings
    private let clock: MonotonicClock
    private let wake = WakeSignal()
    private let wantsKey = Atomic<Bool>(false)
    private let painter: TestPatternPainter
    private var codec: UnsafeMutablePointer<AVCodecContext>?
    private var frame: UnsafeMutablePointer<AVFrame>?
    private var started: MonotonicTime?
    private var frameNumber: Int64 = 0

    init(_ pattern: SourceAddress.TestPattern, encoder: EncoderSettings, clock: @escaping MonotonicClock) {
        self.pattern = pattern
        self.encoder = encoder
        self.clock = clock
        painter = TestPatternPainter(width: pattern.width, height: pattern.height)
    }

    deinit { close() }

    var paces: Bool { true }
    var notes: [String] { [] }

    func requestKeyFrame() { wantsKey.store(true, ordering: .releasing) }
    func interrupt() { wake.interrupt() }

    func close() {
        avcodec_free_context(&codec)
        av_frame_free(&frame)
    }

    func open() throws(CodedError) -> StreamFormat {
        MediaLibrary.prepare()
        guard !wake.isInterrupted else { throw wake.reason }
        let codec = try openEncoder()
        try openFrame()
        guard let parameters = avcodec_parameters_alloc() else { throw CodedError(.internal, "no memory") }
        defer {
            var used: UnsafeMutablePointer<AVCodecParameters>? = parameters
            avcodec_parameters_free(&used)
        }
        let code = avcodec_parameters_from_context(parameters, codec)
        guard code >= 0 else { throw LibavError.internal(code, "the encoder does not describe itself") }
        let extradata = UnsafeBufferPointer(start: codec.pointee.extradata, count: Int(codec.pointee.extradata_size))
        let track = TrackFormat(
            kind: .video, codecName: "h264", timeBase: TimeBase(1, Int32(pattern.fps)), width: pattern.width,
            height: pattern.height, frameRate: Double(pattern.fps), parameterSets: Array(extradata))
        return try StreamFormat(video: track, videoParameters: parameters, audio: nil, audioParameters: nil)
    }

    func next() throws(CodedError) -> SourceItem {
        guard let codec, let frame else { throw CodedError(.internal, "the test pattern is not open") }
        try waitForTurn()
        let code = av_frame_make_writable(frame)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a picture") }
        paint(frame)
        frame.pointee.pts = frameNumber
        let isForced = wantsKey.exchange(false, ordering: .acquiring)
        frame.pointee.pict_type = isForced ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        frameNumber += 1
        return .packet(try encode(frame, codec))
    }

    private func waitForTurn() throws(CodedError) {
        let now = clock()
        let start = started ?? now
        started = start
        let due = start + offset(of: frameNumber)
        if now - due > Self.latenessMax {
            let behind = (now - due).nanoseconds
            frameNumber += behind / (1_000_000_000 / Int64(pattern.fps))
            requestKeyFrame()
        }
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

    private func encode(
        _ frame: UnsafeMutablePointer<AVFrame>, _ codec: UnsafeMutablePointer<AVCodecContext>
    ) throws(CodedError) -> Packet {
        var code = avcodec_send_frame(codec, frame)
        guard code >= 0, let packet = av_packet_alloc() else {
            throw LibavError.internal(code, "the encoder refused a picture")
        }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        // With zerolatency every picture comes back at once.
        code = avcodec_receive_packet(codec, packet)
        guard code >= 0 else { throw LibavError.internal(code, "the encoder returned nothing") }
        packet.pointee.duration = 1
        return try Packet(moving: packet, track: .video, arrival: clock())
    }

    private func openEncoder() throws(CodedError) -> UnsafeMutablePointer<AVCodecContext> {
        // libx264 itself prints what it does not know to stderr.
        guard Self.presets.contains(encoder.preset) else {
            throw CodedError(.invalidArgument, "preset: one of \(Self.presets.joined(separator: ", "))")
        }
        guard let library = avcodec_find_encoder_by_name("libx264"), let made = avcodec_alloc_context3(library)
        else { throw CodedError(.sourceUnavailable, "libavcodec has no libx264") }
        codec = made
        made.pointee.width = Int32(pattern.width)
        made.pointee.height = Int32(pattern.height)
        made.pointee.pix_fmt = AV_PIX_FMT_YUV420P
        made.pointee.time_base = AVRational(num: 1, den: Int32(pattern.fps))
        made.pointee.framerate = AVRational(num: Int32(pattern.fps), den: 1)
        let gop = max(1, TimeBase(1, Int32(pattern.fps)).ticks(in: encoder.gop))
        made.pointee.gop_size = Int32(clamping: gop)
        made.pointee.max_b_frames = 0
        made.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER
        if let bitrate = encoder.bitrate { made.pointee.bit_rate = Int64(bitrate) }
        // One thread: a worker per camera is the parallelism, and slices of a small picture cost more than they save.
        made.pointee.thread_count = 1
        for (key, value) in [
            ("preset", encoder.preset), ("tune", "zerolatency"), ("forced-idr", "1"), ("x264-params", "scenecut=0"),
        ] {
            let code = av_opt_set(made.pointee.priv_data, key, value, 0)
            guard code >= 0 else { throw LibavError.internal(code, "libx264 does not know \(key)=\(value)") }
        }
        let code = avcodec_open2(made, library, nil)
        guard code >= 0 else {
            throw CodedError(.invalidArgument, "the encoder settings do not work", cause: LibavError.text(code))
        }
        return made
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
