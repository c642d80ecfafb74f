internal import CAVFormat
internal import CAVShim
internal import Domain

/// Takes packets from an encoder until a picture is among them.
///
/// An encoder in hardware may hand its parameter sets over in packets of their own
/// (`V4L2_MPEG_VIDEO_HEADER_MODE_SEPARATE`). Invariant: those are kept here and never delivered as pictures.
struct EncoderOutput {
    /// Without a picture, for one that was put in.
    private static let packetsMax = 16

    /// Annex B; empty where the encoder puts them into its key frames or nowhere.
    private(set) var parameterSets: [UInt8]
    /// Those that came since the last picture.
    private var fresh: [[UInt8]] = []

    init(parameterSets: [UInt8]) { self.parameterSets = parameterSets }

    /// False if the encoder has no picture yet. Afterwards the picture lies in `coded`.
    ///
    /// - Parameter receive: `avcodec_receive_packet` into the packet, with its answer.
    mutating func takePicture(
        into coded: CodedPicture, receive: (CodedPicture) -> Int32
    ) throws(CodedError) -> Bool {
        for _ in 0..<Self.packetsMax {
            let code = receive(coded)
            if code == cav_error_from_errno(11) { return false }
            guard code >= 0 else { throw LibavError.internal(code, "the encoder returned nothing") }
            let bytes = UnsafeRawBufferPointer(start: coded.raw.pointee.data, count: Int(coded.raw.pointee.size))
            guard !CameraFormat.Coding.h264.look(at: bytes).hasPicture else {
                if !fresh.isEmpty { parameterSets = ParameterSets.annexB(fresh) }
                fresh = []
                return true
            }
            fresh += ParameterSets.units(in: bytes, codec: .h264, lengthSize: nil).map(\.bytes)
        }
        throw CodedError(.internal, "the encoder returns packets without pictures")
    }
}
