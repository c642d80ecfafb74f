internal import CAVFormat
internal import Domain

/// The tracks of a stream with libav's own description of each, from which writers make their headers.
///
/// Owns copies of `AVCodecParameters`, made in `init` and freed in `deinit`. Sources create it, one for each set of
/// parameter sets; `SegmentWriter` reads it. What changes from packet to packet does not belong here.
///
/// Unchecked Sendable because nothing in it changes after `init`: libav reads the parameters through const pointers.
package final class StreamFormat: @unchecked Sendable {
    package let video: TrackFormat
    package let audio: TrackFormat?
    let videoParameters: UnsafeMutablePointer<AVCodecParameters>
    let audioParameters: UnsafeMutablePointer<AVCodecParameters>?

    /// Copies the parameters; `extradata` in `video.parameterSets` replaces what they carry.
    init(
        video: TrackFormat, videoParameters: UnsafePointer<AVCodecParameters>,
        audio: TrackFormat?, audioParameters: UnsafePointer<AVCodecParameters>?
    ) throws(CodedError) {
        self.video = video
        self.audio = audio
        self.videoParameters = try Self.copy(videoParameters, track: video)
        if let audio, let audioParameters {
            self.audioParameters = try Self.copy(audioParameters, track: audio)
        } else {
            self.audioParameters = nil
        }
    }

    deinit {
        var video: UnsafeMutablePointer<AVCodecParameters>? = videoParameters
        avcodec_parameters_free(&video)
        var audio = audioParameters
        avcodec_parameters_free(&audio)
    }

    func track(_ kind: TrackKind) -> TrackFormat? {
        switch kind {
        case .video: video
        case .audio: audio
        }
    }

    private static func copy(
        _ source: UnsafePointer<AVCodecParameters>, track: TrackFormat
    ) throws(CodedError) -> UnsafeMutablePointer<AVCodecParameters> {
        guard let copy = avcodec_parameters_alloc(), avcodec_parameters_copy(copy, source) >= 0 else {
            throw CodedError(.internal, "no memory for codec parameters")
        }
        // The tag names the codec inside the source's own container; in another container it may mean nothing.
        copy.pointee.codec_tag = 0
        copy.pointee.width = Int32(track.width)
        copy.pointee.height = Int32(track.height)
        try setExtradata(of: copy, to: track.parameterSets)
        return copy
    }

    private static func setExtradata(
        of parameters: UnsafeMutablePointer<AVCodecParameters>, to bytes: [UInt8]
    ) throws(CodedError) {
        av_freep(&parameters.pointee.extradata)
        parameters.pointee.extradata_size = 0
        guard !bytes.isEmpty else { return }
        guard let memory = av_mallocz(bytes.count + Int(AV_INPUT_BUFFER_PADDING_SIZE)) else {
            throw CodedError(.internal, "no memory for parameter sets")
        }
        bytes.withUnsafeBytes {
            memory.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(memory), byteCount: $0.count)
        }
        parameters.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
        parameters.pointee.extradata_size = Int32(bytes.count)
    }
}
