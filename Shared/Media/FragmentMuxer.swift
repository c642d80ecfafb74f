internal import CAVFormat
internal import CAVShim
internal import Domain

/// Turns packets into the bytes of fragmented MP4, part by part, through libavformat's `mov` muxer.
///
/// Owns the format context and its output, a `PartBuffer`. Invariants: a part begins with a `moof` and ends with its
/// `mdat`, except for the first, which has `ftyp` and `moov` before them; decode times are relative to the first video
/// frame of the file. `SegmentWriter` calls it; when a part is due and where it goes is not decided here.
final class FragmentMuxer {
    let buffer = PartBuffer()
    private let context: UnsafeMutablePointer<AVFormatContext>
    private let scratch: UnsafeMutablePointer<AVPacket>
    private var output: UnsafeMutablePointer<AVIOContext>?
    private let videoTimeBase: TimeBase
    private let audioTimeBase: TimeBase?

    /// `comment` goes into the file's metadata, `createdAt` into its header.
    init(format: StreamFormat, comment: String, createdAt: WallTime) throws(CodedError) {
        MediaLibrary.prepare()
        var made: UnsafeMutablePointer<AVFormatContext>?
        let code = avformat_alloc_output_context2(&made, nil, Self.muxerName(for: format), nil)
        guard let made, let scratch = av_packet_alloc() else {
            throw LibavError.internal(code, "no muxer for fragmented MP4")
        }
        context = made
        self.scratch = scratch
        videoTimeBase = format.video.timeBase
        audioTimeBase = format.audio?.timeBase
        do {
            try openOutput()
            try addTrack(format.videoParameters, format.video.timeBase, frameRate: format.video.frameRate)
            if let audio = format.audio, let parameters = format.audioParameters {
                try addTrack(parameters, audio.timeBase, frameRate: nil)
            }
            try writeHeader(comment: comment, createdAt: createdAt)
        } catch {
            release()
            throw error
        }
    }

    deinit { release() }

    /// MP4 has no G.711; its older relative, QuickTime, has, and players take it under the same name.
    private static func muxerName(for format: StreamFormat) -> String {
        format.audio?.codecName.hasPrefix("pcm_") == true ? "mov" : "mp4"
    }

    /// Hands a packet to the muxer. Times are ticks of the track's time base since the file's first video frame.
    func write(_ packet: Packet, dts: Int64, pts: Int64, duration: Int64) throws(CodedError) {
        let index = packet.track == .video ? 0 : 1
        guard let timeBase = packet.track == .video ? videoTimeBase : audioTimeBase,
            let stream = context.pointee.streams[index]
        else { throw CodedError(.internal, "a packet of a track that the file does not have") }
        let from = AVRational(num: timeBase.numerator, den: timeBase.denominator)
        let to = stream.pointee.time_base
        scratch.pointee.data = packet.raw.pointee.data
        scratch.pointee.size = packet.raw.pointee.size
        scratch.pointee.flags = packet.raw.pointee.flags
        scratch.pointee.stream_index = Int32(index)
        scratch.pointee.dts = av_rescale_q(dts, from, to)
        scratch.pointee.pts = av_rescale_q(pts, from, to)
        scratch.pointee.duration = av_rescale_q(duration, from, to)
        let code = av_write_frame(context, scratch)
        guard code >= 0 else { throw LibavError.internal(code, "the muxer refused a \(packet.track.rawValue) packet") }
    }

    /// Puts everything written so far into the buffer, as one `moof` and `mdat`.
    func endPart() throws(CodedError) {
        let code = av_write_frame(context, nil)
        guard code >= 0 else { throw LibavError.internal(code, "the muxer could not end a part") }
        avio_flush(output)
    }

    private func openOutput() throws(CodedError) {
        let size: Int32 = 64 * 1024
        let memory = av_malloc(Int(size))
        output = avio_alloc_context(
            memory?.assumingMemoryBound(to: UInt8.self), size, 1, Unmanaged.passUnretained(buffer).toOpaque(), nil,
            { opaque, bytes, count in
                guard let opaque, let bytes else { return cav_error_invalid_data() }
                Unmanaged<PartBuffer>.fromOpaque(opaque).takeUnretainedValue().write(bytes, count: Int(count))
                return count
            },
            { opaque, offset, whence in
                guard let opaque else { return -1 }
                let buffer = Unmanaged<PartBuffer>.fromOpaque(opaque).takeUnretainedValue()
                switch whence {
                case AVSEEK_SIZE: return buffer.size
                case SEEK_SET: return buffer.seek(to: offset) ? offset : -1
                case SEEK_CUR: return buffer.seek(to: buffer.offset + offset) ? buffer.offset : -1
                default: return -1
                }
            })
        guard let output else {
            av_free(memory)
            throw CodedError(.internal, "no memory for the muxer's output")
        }
        context.pointee.pb = output
        context.pointee.flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT
        // Shifting timestamps is the pipeline's business; the muxer must take them as they are.
        context.pointee.avoid_negative_ts = 0
        context.pointee.strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL
    }

    private func addTrack(
        _ parameters: UnsafePointer<AVCodecParameters>, _ timeBase: TimeBase, frameRate: Double?
    ) throws(CodedError) {
        guard let stream = avformat_new_stream(context, nil),
            avcodec_parameters_copy(stream.pointee.codecpar, parameters) >= 0
        else { throw CodedError(.internal, "no memory for a track") }
        stream.pointee.time_base = AVRational(num: timeBase.numerator, den: timeBase.denominator)
        if let frameRate { stream.pointee.avg_frame_rate = av_d2q(frameRate, 1_000_000) }
    }

    private func writeHeader(comment: String, createdAt: WallTime) throws(CodedError) {
        av_dict_set(&context.pointee.metadata, "comment", comment, 0)
        av_dict_set(&context.pointee.metadata, "creation_time", createdAt.rfc3339, 0)
        var options: OpaquePointer?
        defer { av_dict_free(&options) }
        // frag_custom: parts end where we say. empty_moov: the header goes first and needs no second visit.
        // frag_discont: audio may begin later than the video. skip_trailer: a closed file is its parts, nothing else.
        av_dict_set(
            &options, "movflags", "frag_custom+empty_moov+default_base_moof+frag_discont+skip_trailer", 0)
        av_dict_set(&options, "use_editlist", "0", 0)
        let code = avformat_write_header(context, &options)
        guard code >= 0 else {
            throw CodedError(.sourceUnavailable, "MP4 cannot hold this stream", cause: LibavError.text(code))
        }
        avio_flush(output)
    }

    private func release() {
        if let output { av_freep(&output.pointee.buffer) }
        avio_context_free(&output)
        avformat_free_context(context)
        var packet: UnsafeMutablePointer<AVPacket>? = scratch
        // It only borrowed its data, and so holds nothing to release.
        av_packet_free(&packet)
    }
}
