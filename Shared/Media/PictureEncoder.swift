internal import CAVFormat
internal import CAVShim
internal import Domain

/// Encodes pictures to H.264, for every source that does not deliver coded video of its own.
///
/// Owns the encoder. Invariants: each picture comes back as one packet and in order, from libx264 at once; a key frame
/// is an IDR picture and comes where it was asked for, else every `gop`; the parameter sets are in the format. Pictures
/// are 4:2:0 in limited range and in the colours of BT.601, and the stream says so. Timestamps are the source's
/// business: inside, pictures are counted. One thread uses it.
final class PictureEncoder {
    private static let presets = [
        "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow",
    ]

    private let width: Int
    private let height: Int
    let library: EncoderLibrary
    private var codec: UnsafeMutablePointer<AVCodecContext>?
    private let coded: CodedPicture
    private var upload: PictureUpload?
    private var pictures: Int64 = 0
    private var output: EncoderOutput

    /// libavcodec's name.
    var name: String { library.rawValue }
    /// Empty if they come with its key frames only; nothing but a trial shows those.
    var parameterSets: [UInt8] { output.parameterSets }

    /// `frame`: from one picture to the next, as far as that is known; rate control and `gop` count by it.
    /// `parameterSets`: those that a trial has shown.
    init(
        _ library: EncoderLibrary, _ settings: EncoderSettings, width: Int, height: Int, frame: TimeBase,
        parameterSets: [UInt8] = []
    ) throws(CodedError) {
        // libx264 itself prints what it does not know to stderr.
        guard Self.presets.contains(settings.preset) else {
            throw CodedError(.invalidArgument, "preset: one of \(Self.presets.joined(separator: ", "))")
        }
        guard library.mayBeThere else {
            throw CodedError(.sourceUnavailable, "this machine has no such encoder")
        }
        guard let found = avcodec_find_encoder_by_name(library.rawValue), let made = avcodec_alloc_context3(found)
        else { throw CodedError(.sourceUnavailable, "libavcodec has no \(library.rawValue)") }
        self.library = library
        self.width = width
        self.height = height
        output = EncoderOutput(parameterSets: parameterSets)
        coded = try CodedPicture()
        codec = made
        made.pointee.width = Int32(width)
        made.pointee.height = Int32(height)
        made.pointee.pix_fmt = AV_PIX_FMT_YUV420P
        made.pointee.color_range = AVCOL_RANGE_MPEG
        made.pointee.colorspace = AVCOL_SPC_SMPTE170M
        made.pointee.time_base = AVRational(num: frame.numerator, den: frame.denominator)
        made.pointee.framerate = AVRational(num: frame.denominator, den: frame.numerator)
        made.pointee.gop_size = Int32(clamping: max(1, frame.ticks(in: settings.gop)))
        made.pointee.max_b_frames = 0
        made.pointee.flags |= AV_CODEC_FLAG_GLOBAL_HEADER
        if let bitrate = settings.bitrate ?? library.bitrateDefault(width: width, height: height, frame: frame) {
            made.pointee.bit_rate = Int64(bitrate)
        }
        // One thread: a worker per camera is the parallelism, and slices of a small picture cost more than they save.
        made.pointee.thread_count = 1
        for (key, value) in library.options(settings) {
            let code = av_opt_set(made.pointee.priv_data, key, value, 0)
            guard code >= 0 else {
                throw LibavError.internal(code, "\(library.rawValue) does not know \(key)=\(value)")
            }
        }
        if library == .vaapi { upload = try PictureUpload(made, width: width, height: height) }
        let code = avcodec_open2(made, found, nil)
        guard code >= 0 else {
            throw CodedError(.invalidArgument, "the encoder settings do not work", cause: LibavError.text(code))
        }
        guard parameterSets.isEmpty else { return }
        output = EncoderOutput(
            parameterSets: Array(
                UnsafeBufferPointer(start: made.pointee.extradata, count: Int(made.pointee.extradata_size))))
    }

    deinit { avcodec_free_context(&codec) }

    /// The stream that comes out, with the timestamps of the source and its audio, if it has any.
    func format(
        timeBase: TimeBase, frameRate: Double?, audioOf source: StreamFormat? = nil
    ) throws(CodedError) -> StreamFormat {
        guard let codec, let parameters = avcodec_parameters_alloc() else {
            throw CodedError(.internal, "no memory for codec parameters")
        }
        defer {
            var used: UnsafeMutablePointer<AVCodecParameters>? = parameters
            avcodec_parameters_free(&used)
        }
        let code = avcodec_parameters_from_context(parameters, codec)
        guard code >= 0 else { throw LibavError.internal(code, "the encoder does not describe itself") }
        let track = TrackFormat(
            kind: .video, codecName: "h264", timeBase: timeBase, width: width, height: height, frameRate: frameRate,
            parameterSets: parameterSets)
        return try StreamFormat(
            video: track, videoParameters: parameters, audio: source?.audio,
            audioParameters: source?.audioParameters.map { UnsafePointer($0) })
    }

    /// A coded picture that waits for its timestamps.
    struct Coded {
        fileprivate let picture: CodedPicture

        func packet(
            pts: Int64?, dts: Int64?, duration: Int64, arrival: MonotonicTime
        ) throws(CodedError) -> Packet {
            let packet = try Packet(moving: picture.raw, track: .video, arrival: arrival)
            packet.setTimestamps(pts: pts, dts: dts, duration: duration)
            return packet
        }
    }

    /// Good until the next call; nil if the encoder keeps the picture for now, which libx264 never does. Writes the
    /// picture's timestamp and type, and nothing else of it.
    func encode(_ picture: UnsafeMutablePointer<AVFrame>, forcesKey: Bool) throws(CodedError) -> Coded? {
        let picture = try upload?.upload(picture) ?? picture
        picture.pointee.pts = pictures
        picture.pointee.pict_type = forcesKey ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE
        pictures += 1
        var code = avcodec_send_frame(codec, picture)
        guard code >= 0 else { throw LibavError.internal(code, "the encoder refused a picture") }
        guard library == .x264 else {
            let hasPicture = try output.takePicture(into: coded) { avcodec_receive_packet(codec, $0.raw) }
            return hasPicture ? Coded(picture: coded) : nil
        }
        code = avcodec_receive_packet(codec, coded.raw)
        guard code >= 0 else { throw LibavError.internal(code, "the encoder returned nothing") }
        return Coded(picture: coded)
    }
}
