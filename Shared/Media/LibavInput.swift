internal import CAVFormat
internal import CAVShim
internal import Domain

/// One open input of libavformat: an address on the way in, raw packets on the way out.
///
/// Owns the format context. `LibavSource` opens it, and opens another one when a file begins again. What packets mean
/// does not belong here.
final class LibavInput {
    /// What a camera's stream may take to show its tracks, once connected. The first key frame tells the rest.
    private static let rtspAnalysisMicroseconds: Int64 = 500_000

    /// In nanoseconds, the finest unit that containers use, the year 2116; of one packet, 104 days.
    private static let ticksMax: UInt64 = 1 << 62
    private static let durationTicksMax: UInt64 = 1 << 53

    let context: UnsafeMutablePointer<AVFormatContext>
    let videoIndex: Int32
    let audioIndex: Int32?
    /// Why a track of the source is left out; nil where none is.
    let note: String?

    private static let audioCodecs: Set<String> = ["aac", "opus", "pcm_alaw", "pcm_mulaw"]

    /// `name` stands for the address in errors; the address itself may hold a password. `jpeg`: MJPEG will do.
    init(
        url: String, name: String, isFile: Bool, audio: Bool, jpeg: Bool = false, wake: WakeSignal
    ) throws(CodedError) {
        MediaLibrary.prepare()
        let context = try Self.open(url: url, name: name, isFile: isFile, wake: wake)
        do {
            let video = try Self.findTracks(context, name: name, jpeg: jpeg, wake: wake)
            let best = av_find_best_stream(context, AVMEDIA_TYPE_AUDIO, -1, video, nil, 0)
            let audioName = best >= 0 ? Self.codecName(Self.parameters(context, best)) : ""
            let isUsable = audio && Self.audioCodecs.contains(audioName)
            note = audio && best >= 0 && !isUsable ? "audio \(audioName) is not copied" : nil
            videoIndex = video
            audioIndex = isUsable ? best : nil
        } catch {
            var opened: UnsafeMutablePointer<AVFormatContext>? = context
            avformat_close_input(&opened)
            throw error
        }
        self.context = context
        for index in 0..<Int(context.pointee.nb_streams)
        where index != Int(videoIndex) && index != audioIndex.map(Int.init) {
            context.pointee.streams[index]?.pointee.discard = AVDISCARD_ALL
        }
    }

    deinit {
        var opened: UnsafeMutablePointer<AVFormatContext>? = context
        avformat_close_input(&opened)
    }

    func stream(_ index: Int32) -> UnsafeMutablePointer<AVStream>? { context.pointee.streams[Int(index)] }

    /// A raw elementary stream has no clock at all; its packets are timed by counting.
    var hasNoTimestamps: Bool {
        ["h264", "hevc", "mjpeg"].contains(String(cString: context.pointee.iformat.pointee.name))
    }

    /// As `av_read_frame`, but numbers that no clock reaches count as not stated: nothing bounds what a container may
    /// claim, and whoever takes the packet adds to it.
    func read(_ packet: UnsafeMutablePointer<AVPacket>) -> Int32 {
        let code = av_read_frame(context, packet)
        guard code >= 0 else { return code }
        if packet.pointee.pts.magnitude > Self.ticksMax { packet.pointee.pts = cav_nopts_value() }
        if packet.pointee.dts.magnitude > Self.ticksMax { packet.pointee.dts = cav_nopts_value() }
        if packet.pointee.duration.magnitude > Self.durationTicksMax { packet.pointee.duration = 0 }
        return code
    }

    static func codecName(_ parameters: UnsafePointer<AVCodecParameters>?) -> String {
        parameters.map { String(cString: avcodec_get_name($0.pointee.codec_id)) } ?? ""
    }

    private static func parameters(
        _ context: UnsafeMutablePointer<AVFormatContext>, _ index: Int32
    ) -> UnsafePointer<AVCodecParameters>? {
        context.pointee.streams[Int(index)].flatMap { UnsafePointer($0.pointee.codecpar) }
    }

    private static func open(
        url: String, name: String, isFile: Bool, wake: WakeSignal
    ) throws(CodedError) -> UnsafeMutablePointer<AVFormatContext> {
        guard let made = avformat_alloc_context() else { throw CodedError(.internal, "no memory for a source") }
        made.pointee.interrupt_callback.callback = { opaque in
            guard let opaque else { return 0 }
            return Unmanaged<WakeSignal>.fromOpaque(opaque).takeUnretainedValue().shouldStop ? 1 : 0
        }
        // The source that opens the input owns the signal and outlives the context.
        made.pointee.interrupt_callback.opaque = Unmanaged.passUnretained(wake).toOpaque()
        var options: OpaquePointer?
        defer { av_dict_free(&options) }
        if isFile {
            // A playlist or a concat script in a file must not reach out to the network.
            av_dict_set(&options, "protocol_whitelist", "file", 0)
        } else {
            av_dict_set(&options, "rtsp_transport", "tcp", 0)
            made.pointee.max_analyze_duration = rtspAnalysisMicroseconds
            made.pointee.fps_probe_size = 0
            // Otherwise it reads up to 50 frames to learn the first decode time, which a camera does not send.
            made.pointee.max_ts_probe = 1
        }
        var context: UnsafeMutablePointer<AVFormatContext>? = made
        // On failure it frees the context.
        let code = avformat_open_input(&context, isFile ? "file:\(url)" : url, nil, &options)
        guard code >= 0, let context else {
            throw wake.shouldStop ? wake.reason : LibavError.source(code, "cannot open \(name)")
        }
        return context
    }

    private static func findTracks(
        _ context: UnsafeMutablePointer<AVFormatContext>, name: String, jpeg: Bool, wake: WakeSignal
    ) throws(CodedError) -> Int32 {
        let code = avformat_find_stream_info(context, nil)
        guard !wake.shouldStop else { throw wake.reason }
        guard code >= 0 else { throw LibavError.source(code, "cannot read \(name)") }
        let video = av_find_best_stream(context, AVMEDIA_TYPE_VIDEO, -1, -1, nil, 0)
        guard video >= 0 else { throw CodedError(.sourceUnavailable, "\(name) has no video") }
        let codec = codecName(parameters(context, video))
        guard ParameterSets.Codec(name: codec) != nil || (jpeg && codec == "mjpeg") else {
            let known = jpeg ? "H.264, H.265 nor MJPEG" : "H.264 nor H.265"
            throw CodedError(.sourceUnavailable, "\(name) has video that is neither \(known): \(codec)")
        }
        let disposition = context.pointee.streams[Int(video)]?.pointee.disposition ?? 0
        guard disposition & AV_DISPOSITION_ATTACHED_PIC == 0 else {
            throw CodedError(.sourceUnavailable, "\(name) has a cover picture and no video")
        }
        return video
    }
}
