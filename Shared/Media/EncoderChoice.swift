internal import CAVFormat
internal import CAVShim
internal import Domain
internal import Synchronization

/// The encoders of H.264 that are known here, by libavcodec's names.
enum EncoderLibrary: String, CaseIterable {
    case x264 = "libx264"
    /// The encoder of a small computer, behind a V4L2 memory-to-memory device.
    case v4l2 = "h264_v4l2m2m"
    /// The encoder of a graphics processor.
    case vaapi = "h264_vaapi"

    func options(_ settings: EncoderSettings) -> [(String, String)] {
        switch self {
        case .x264:
            [
                ("preset", settings.preset), ("tune", "zerolatency"), ("forced-idr", "1"),
                ("x264-params", "scenecut=0"),
            ]
        case .v4l2: []
        case .vaapi: [("async_depth", "1"), ("idr_interval", "0")]
        }
    }

    /// False where an attempt would be in vain, or worse.
    var mayBeThere: Bool { self != .v4l2 || cav_has_memory_to_memory() == 1 }

    /// In bits per second, where an encoder has no constant quality: a tenth of a bit for each sample.
    func bitrateDefault(width: Int, height: Int, frame: TimeBase) -> Int? {
        guard self != .x264 else { return nil }
        return width * height * Int(frame.denominator) / max(1, Int(frame.numerator)) / 10
    }
}

/// Picks the encoder that the settings ask for.
///
/// Hardware has to prove itself before a recording depends on it: it encodes one grey picture, which must come out as a
/// key frame with parameter sets. What fails is not tried again by this process, and libx264 takes its place.
enum EncoderChoice {
    /// How many pictures hardware may swallow before the first one comes out.
    private static let trialPicturesMax = 8
    private static let refused = Mutex<[EncoderLibrary: String]>([:])

    /// `remarks`: why it is libx264, where hardware was welcome.
    static func make(
        _ settings: EncoderSettings, width: Int, height: Int, frame: TimeBase,
        hardware: [EncoderLibrary] = [.v4l2, .vaapi]
    ) throws(CodedError) -> (encoder: PictureEncoder, remarks: [SourceRemark]) {
        var reasons: [String] = []
        for library in hardware where settings.kind != .software {
            if let reason = refused.withLock({ $0[library] }) {
                reasons.append(reason)
                continue
            }
            do throws(CodedError) {
                return (try proven(library, settings, width: width, height: height, frame: frame), [])
            } catch {
                refuse(library, because: error)
                reasons.append("\(library.rawValue): \(error)")
            }
        }
        let software = try PictureEncoder(.x264, settings, width: width, height: height, frame: frame)
        guard settings.kind != .software else { return (software, []) }
        let text = "no hardware encoder works, libx264 is used (\(reasons.joined(separator: "; ")))"
        return (software, [SourceRemark(text, isWarning: settings.kind == .hardware)])
    }

    /// Hardware that failed; libx264 is always taken again.
    static func refuse(_ library: EncoderLibrary, because error: CodedError) {
        guard library != .x264 else { return }
        refused.withLock { $0[library] = "\(library.rawValue): \(error)" }
    }

    private static func proven(
        _ library: EncoderLibrary, _ settings: EncoderSettings, width: Int, height: Int, frame: TimeBase
    ) throws(CodedError) -> PictureEncoder {
        let trial = try PictureEncoder(library, settings, width: width, height: height, frame: frame)
        let sets = try parameterSets(of: trial, width: width, height: height)
        // A new one begins with a picture of the camera, and owes none of the trial.
        return try PictureEncoder(
            library, settings, width: width, height: height, frame: frame, parameterSets: sets)
    }

    private static func parameterSets(
        of encoder: PictureEncoder, width: Int, height: Int
    ) throws(CodedError) -> [UInt8] {
        let grey = GreyPicture(width: width, height: height)
        for index in 0..<trialPicturesMax {
            guard let frame = try grey.next() else { break }
            guard let coded = try encoder.encode(frame, forcesKey: index == 0) else { continue }
            let packet = try coded.packet(pts: 0, dts: 0, duration: 0, arrival: .zero)
            let found = packet.withBytes { ParameterSets.units(in: $0, codec: .h264, lengthSize: nil) }
            let sets = encoder.parameterSets.isEmpty ? ParameterSets.annexB(found.map(\.bytes)) : encoder.parameterSets
            let known = ParameterSets.units(inExtradata: sets, codec: .h264)
            guard packet.isKey, known.count >= 2 else { break }
            return sets
        }
        throw CodedError(.sourceUnavailable, "it does not begin with a key frame and its parameter sets")
    }

    /// Pictures to try an encoder with.
    private final class GreyPicture {
        private var frame: UnsafeMutablePointer<AVFrame>?

        init(width: Int, height: Int) {
            frame = av_frame_alloc()
            frame?.pointee.format = AV_PIX_FMT_YUV420P.rawValue
            frame?.pointee.width = Int32(width)
            frame?.pointee.height = Int32(height)
            if av_frame_get_buffer(frame, 0) < 0 { av_frame_free(&frame) }
        }

        deinit { av_frame_free(&frame) }

        func next() throws(CodedError) -> UnsafeMutablePointer<AVFrame>? {
            guard let frame, av_frame_make_writable(frame) >= 0 else { return nil }
            let heights = [frame.pointee.height, frame.pointee.height / 2, frame.pointee.height / 2]
            let planes = [frame.pointee.data.0, frame.pointee.data.1, frame.pointee.data.2]
            let strides = [frame.pointee.linesize.0, frame.pointee.linesize.1, frame.pointee.linesize.2]
            for index in 0..<3 {
                guard let plane = planes[index] else { return nil }
                plane.update(repeating: 128, count: Int(strides[index] * heights[index]))
            }
            return frame
        }
    }
}

/// Brings pictures into the memory of a graphics processor, for an encoder that reads them there.
///
/// Owns the device, its pool of pictures and the picture that was uploaded last. One thread uses it.
final class PictureUpload {
    private var device: UnsafeMutablePointer<AVBufferRef>?
    private var pool: UnsafeMutablePointer<AVBufferRef>?
    private var frame: UnsafeMutablePointer<AVFrame>?
    private static let poolSize: Int32 = 8

    /// Makes `codec`, not open yet, an encoder of uploaded pictures.
    init(_ codec: UnsafeMutablePointer<AVCodecContext>, width: Int, height: Int) throws(CodedError) {
        var code = av_hwdevice_ctx_create(&device, AV_HWDEVICE_TYPE_VAAPI, nil, nil, 0)
        guard code >= 0 else { throw LibavError.source(code, "no graphics processor that encodes") }
        pool = av_hwframe_ctx_alloc(device)
        guard let pool else { throw CodedError(.internal, "no memory for pictures") }
        pool.pointee.data.withMemoryRebound(to: AVHWFramesContext.self, capacity: 1) { frames in
            frames.pointee.format = AV_PIX_FMT_VAAPI
            frames.pointee.sw_format = AV_PIX_FMT_YUV420P
            frames.pointee.width = Int32(width)
            frames.pointee.height = Int32(height)
            frames.pointee.initial_pool_size = Self.poolSize
        }
        code = av_hwframe_ctx_init(pool)
        guard code >= 0 else { throw LibavError.source(code, "the graphics processor takes no such pictures") }
        codec.pointee.pix_fmt = AV_PIX_FMT_VAAPI
        codec.pointee.hw_frames_ctx = av_buffer_ref(pool)
        frame = av_frame_alloc()
    }

    deinit {
        av_frame_free(&frame)
        av_buffer_unref(&pool)
        av_buffer_unref(&device)
    }

    /// Valid until the next call.
    func upload(_ picture: UnsafeMutablePointer<AVFrame>) throws(CodedError) -> UnsafeMutablePointer<AVFrame> {
        guard let frame else { throw CodedError(.internal, "no memory for a picture") }
        av_frame_unref(frame)
        var code = av_hwframe_get_buffer(pool, frame, 0)
        guard code >= 0 else { throw LibavError.internal(code, "the graphics processor has no room for a picture") }
        code = av_hwframe_transfer_data(frame, picture, 0)
        guard code >= 0 else { throw LibavError.internal(code, "the graphics processor did not take a picture") }
        return frame
    }
}
