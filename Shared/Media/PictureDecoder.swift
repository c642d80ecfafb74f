internal import CAVFormat
internal import CAVShim
internal import Domain

/// Decodes video packets one by one: to see whether they can be, or for their pictures.
///
/// Owns a libavcodec decoder. One thread uses it.
final class PictureDecoder {
    private var codec: UnsafeMutablePointer<AVCodecContext>?
    private var frame: UnsafeMutablePointer<AVFrame>?
    private(set) var pictures = 0
    /// Pictures that came out with errors marked in them.
    private(set) var faultyPictures = 0
    private let onPicture: ((UnsafeMutablePointer<AVFrame>) -> Void)?

    /// `isStrict`: takes for an error what a player would overlook.
    init(
        _ parameters: UnsafePointer<AVCodecParameters>, threads: Int32 = 1, isStrict: Bool = true,
        onPicture: ((UnsafeMutablePointer<AVFrame>) -> Void)? = nil
    ) throws(CodedError) {
        self.onPicture = onPicture
        guard let library = avcodec_find_decoder(parameters.pointee.codec_id) else {
            throw CodedError(.internal, "libavcodec cannot decode this video")
        }
        codec = avcodec_alloc_context3(library)
        frame = av_frame_alloc()
        avcodec_parameters_to_context(codec, parameters)
        codec?.pointee.thread_count = threads
        if isStrict {
            codec?.pointee.err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER
        } else {
            // Pictures before the first one that is certain to be whole: better than none.
            codec?.pointee.flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT
        }
        let code = avcodec_open2(codec, library, nil)
        guard code >= 0 else { throw LibavError.internal(code, "the decoder does not open") }
    }

    deinit {
        avcodec_free_context(&codec)
        av_frame_free(&frame)
    }

    /// Nil drains what the decoder still holds. False if the packet does not decode.
    func decode(_ packet: UnsafePointer<AVPacket>?) -> Bool {
        let sent = avcodec_send_packet(codec, packet)
        var code = avcodec_receive_frame(codec, frame)
        while code >= 0, let frame {
            pictures += 1
            if frame.pointee.decode_error_flags != 0 || frame.pointee.flags & AV_FRAME_FLAG_CORRUPT != 0 {
                faultyPictures += 1
            }
            onPicture?(frame)
            code = avcodec_receive_frame(codec, frame)
        }
        return sent >= 0 && (code == cav_error_from_errno(11) || code == cav_error_eof())
    }
}
