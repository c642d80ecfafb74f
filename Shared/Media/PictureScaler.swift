internal import CAVFormat
internal import CAVShim
internal import Domain

/// Brings decoded pictures of any kind to planar YUV 4:2:0 in 8 bits, of a size and range, in the colours of BT.601.
///
/// Owns a context of libswscale and the picture that it fills, both made at the first picture that needs them and made
/// anew when the kind of picture changes. A picture that is already right passes through. One thread uses it.
final class PictureScaler {
    struct Target: Hashable {
        var width: Int32
        var height: Int32
        /// 0 to 255, as JPEG has it, instead of 16 to 235.
        var isFullRange: Bool
    }

    /// Everything that a context is made for.
    private struct Kind: Hashable {
        var width: Int32
        var height: Int32
        var format: AVPixelFormat.RawValue
        var isFullRange: Bool
        /// As libswscale numbers the conversions, which is how `AVColorSpace` does.
        var matrix: Int32
    }

    let target: Target
    private var context: OpaquePointer?
    private var kind: Kind?
    private var scaled: UnsafeMutablePointer<AVFrame>?

    private static let bt601 = Int32(AVCOL_SPC_SMPTE170M.rawValue)
    private static let bt709 = Int32(AVCOL_SPC_BT709.rawValue)
    /// From this height on, players take colours that nobody names for those of BT.709.
    private static let highDefinitionHeight: Int32 = 720

    init(_ target: Target) { self.target = target }

    deinit {
        sws_freeContext(context)
        av_frame_free(&scaled)
    }

    /// The picture as wanted; valid until the next call, and never longer than `picture` if it passed through.
    func scale(_ picture: UnsafeMutablePointer<AVFrame>) throws(CodedError) -> UnsafeMutablePointer<AVFrame> {
        let kind = try Self.kind(of: picture)
        if kind == wantedKind { return picture }
        if kind != self.kind || context == nil { try begin(kind) }
        guard let context, let scaled else { throw CodedError(.internal, "no picture to scale into") }
        var code = av_frame_make_writable(scaled)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a picture") }
        let format = picture.pointee.format
        // The context knows the range by its own field, and says so in the log if the format says it again.
        picture.pointee.format = kind.format
        code = sws_scale_frame(context, scaled, picture)
        picture.pointee.format = format
        guard code >= 0 else { throw LibavError.internal(code, "a picture does not convert") }
        return scaled
    }

    private var wantedKind: Kind {
        Kind(
            width: target.width, height: target.height, format: AV_PIX_FMT_YUV420P.rawValue,
            isFullRange: target.isFullRange, matrix: Self.bt601)
    }

    private static func kind(of picture: UnsafePointer<AVFrame>) throws(CodedError) -> Kind {
        let plain = plainFormat(AVPixelFormat(picture.pointee.format))
        guard sws_isSupportedInput(AVPixelFormat(plain.format)) > 0 else {
            throw CodedError(.sourceUnavailable, "pictures of a kind that does not convert")
        }
        var matrix = Int32(picture.pointee.colorspace.rawValue)
        if picture.pointee.colorspace == AVCOL_SPC_UNSPECIFIED {
            matrix = picture.pointee.height >= highDefinitionHeight && !plain.isFullRange ? bt709 : bt601
        }
        // Two names for one matrix.
        if picture.pointee.colorspace == AVCOL_SPC_BT470BG { matrix = bt601 }
        return Kind(
            width: picture.pointee.width, height: picture.pointee.height, format: plain.format,
            isFullRange: plain.isFullRange || picture.pointee.color_range == AVCOL_RANGE_JPEG, matrix: matrix)
    }

    /// The formats of JPEG are the plain ones with another range, and always of BT.601.
    private static func plainFormat(
        _ format: AVPixelFormat
    ) -> (format: AVPixelFormat.RawValue, isFullRange: Bool) {
        switch format {
        case AV_PIX_FMT_YUVJ420P: (AV_PIX_FMT_YUV420P.rawValue, true)
        case AV_PIX_FMT_YUVJ422P: (AV_PIX_FMT_YUV422P.rawValue, true)
        case AV_PIX_FMT_YUVJ444P: (AV_PIX_FMT_YUV444P.rawValue, true)
        case AV_PIX_FMT_YUVJ440P: (AV_PIX_FMT_YUV440P.rawValue, true)
        case AV_PIX_FMT_YUVJ411P: (AV_PIX_FMT_YUV411P.rawValue, true)
        default: (format.rawValue, false)
        }
    }

    private func begin(_ kind: Kind) throws(CodedError) {
        self.kind = nil
        sws_freeContext(context)
        context = sws_alloc_context()
        guard let context else { throw CodedError(.internal, "no memory for a scaler") }
        let raw = UnsafeMutableRawPointer(context)
        for (name, value) in [
            ("srcw", Int64(kind.width)), ("srch", Int64(kind.height)), ("src_format", Int64(kind.format)),
            ("src_range", kind.isFullRange ? 1 : 0), ("dstw", Int64(target.width)), ("dsth", Int64(target.height)),
            ("dst_format", Int64(AV_PIX_FMT_YUV420P.rawValue)), ("dst_range", target.isFullRange ? 1 : 0),
            ("sws_flags", Int64(flags(for: kind))),
        ] {
            let code = av_opt_set_int(raw, name, value, 0)
            guard code >= 0 else { throw LibavError.internal(code, "libswscale does not know \(name)") }
        }
        var code = sws_init_context(context, nil, nil)
        guard code >= 0 else { throw LibavError.internal(code, "pictures of this kind do not convert") }
        let one: Int32 = 1 << 16
        code = sws_setColorspaceDetails(
            context, sws_getCoefficients(kind.matrix), kind.isFullRange ? 1 : 0, sws_getCoefficients(Self.bt601),
            target.isFullRange ? 1 : 0, 0, one, one)
        guard code >= 0 else { throw LibavError.internal(code, "colours of this kind do not convert") }
        try makePicture()
        self.kind = kind
    }

    /// Averages where sizes differ; keeps samples where they stay as they are.
    private func flags(for kind: Kind) -> Int32 {
        if kind.width != target.width || kind.height != target.height { return SWS_AREA }
        let keepsChroma = [AV_PIX_FMT_YUV420P.rawValue, AV_PIX_FMT_YUV420P10LE.rawValue].contains(kind.format)
        return keepsChroma ? SWS_POINT : SWS_BILINEAR
    }

    private func makePicture() throws(CodedError) {
        guard scaled == nil else { return }
        guard let made = av_frame_alloc() else { throw CodedError(.internal, "no memory for a picture") }
        made.pointee.width = target.width
        made.pointee.height = target.height
        made.pointee.format = AV_PIX_FMT_YUV420P.rawValue
        made.pointee.color_range = target.isFullRange ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG
        made.pointee.colorspace = AVCOL_SPC_SMPTE170M
        scaled = made
        let code = av_frame_get_buffer(made, 0)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a picture") }
    }
}
