internal import CAVFormat
internal import CAVShim
internal import Domain

/// Follows the decoder configuration of a video track, and knows when a key frame changes it.
///
/// Owned by `LibavSource` and `CameraDeviceSource`. Parameter sets come from the container, from side data, or from
/// inside the key frames; an access unit that only repeats known sets changes nothing. A picture of MJPEG describes
/// itself, and has none.
struct FormatTracker {
    private(set) var extradata: [UInt8]
    private(set) var width: Int
    private(set) var height: Int
    /// Nil for MJPEG.
    private let codec: ParameterSets.Codec?
    private let codecID: AVCodecID
    private var known: Set<[UInt8]>
    let lengthSize: Int?

    init(_ parameters: UnsafePointer<AVCodecParameters>) {
        extradata = Array(
            UnsafeBufferPointer(start: parameters.pointee.extradata, count: Int(parameters.pointee.extradata_size)))
        width = Int(parameters.pointee.width)
        height = Int(parameters.pointee.height)
        codecID = parameters.pointee.codec_id
        codec = ParameterSets.Codec(name: LibavInput.codecName(parameters))
        guard let codec else {
            (extradata, known, lengthSize) = ([], [], nil)
            return
        }
        lengthSize = ParameterSets.lengthSize(extradata: extradata, codec: codec)
        known = Set(ParameterSets.units(inExtradata: extradata, codec: codec))
    }

    /// Whether a decoder can be set up.
    var isComplete: Bool { (codec == nil || !extradata.isEmpty) && width > 0 && height > 0 }

    /// Looks at a key packet; true if it begins a new format.
    mutating func take(_ packet: UnsafePointer<AVPacket>) -> Bool {
        guard let codec else { return takeJPEG(packet) }
        guard let changed = newExtradata(of: packet, codec) else {
            if width == 0 || height == 0 { measure(packet) }
            return false
        }
        extradata = changed
        known = Set(ParameterSets.units(inExtradata: changed, codec: codec))
        measure(packet)
        return true
    }

    private mutating func takeJPEG(_ packet: UnsafePointer<AVPacket>) -> Bool {
        let bytes = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        guard let markers = JPEGMarkers(bytes), (markers.width, markers.height) != (width, height) else {
            return false
        }
        (width, height) = (markers.width, markers.height)
        return true
    }

    private func newExtradata(of packet: UnsafePointer<AVPacket>, _ codec: ParameterSets.Codec) -> [UInt8]? {
        var size = 0
        if let data = av_packet_get_side_data(packet, AV_PKT_DATA_NEW_EXTRADATA, &size) {
            let bytes = Array(UnsafeBufferPointer(start: data, count: size))
            return bytes == extradata ? nil : bytes
        }
        let bytes = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        let found = ParameterSets.units(in: bytes, codec: codec, lengthSize: lengthSize)
        guard found.contains(where: { !known.contains($0.bytes) }) else { return nil }
        var sets = found
        if !found.contains(where: { codec.isSPS($0.type) }) {
            // Only picture parameters changed: they refer to the sequence parameters that hold already.
            let kept = ParameterSets.units(inExtradata: extradata, codec: codec).filter { unit in
                unit.withUnsafeBytes { bytes in
                    let type = codec.type(of: bytes[...])
                    return !found.contains { $0.type == type }
                }
            }
            sets = kept.map { unit in (unit.withUnsafeBytes { codec.type(of: $0[...]) }, unit) } + found
        }
        guard let lengthSize else { return ParameterSets.annexB(sets.map(\.bytes)) }
        // An hvcC record is not rebuilt, nor is an avcC made that cannot hold the sets: they stay in the access units,
        // where decoders find them as well.
        guard codec == .h264 else { return nil }
        return ParameterSets.avcC(sets, lengthSize: lengthSize)
    }

    /// Width and height as libav's own parser reads them from the access unit.
    private mutating func measure(_ packet: UnsafePointer<AVPacket>) {
        guard let parser = PacketParser(codecID: codecID, extradata: extradata) else { return }
        guard let found = parser.parse(packet), found.width > 0, found.height > 0 else { return }
        (width, height) = (found.width, found.height)
    }
}

/// libav's parser for one track, fed with whole access units.
final class PacketParser {
    private let parser: UnsafeMutablePointer<AVCodecParserContext>
    private var codec: UnsafeMutablePointer<AVCodecContext>?

    init?(codecID: AVCodecID, extradata: [UInt8]) {
        guard let parser = av_parser_init(Int32(codecID.rawValue)) else { return nil }
        self.parser = parser
        parser.pointee.flags |= PARSER_FLAG_COMPLETE_FRAMES
        codec = avcodec_alloc_context3(nil)
        codec?.pointee.codec_id = codecID
        codec?.pointee.codec_type = AVMEDIA_TYPE_VIDEO
        guard !extradata.isEmpty, let memory = av_mallocz(extradata.count + Int(AV_INPUT_BUFFER_PADDING_SIZE))
        else { return }
        extradata.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { memory.copyMemory(from: start, byteCount: bytes.count) }
        }
        codec?.pointee.extradata = memory.assumingMemoryBound(to: UInt8.self)
        codec?.pointee.extradata_size = Int32(extradata.count)
    }

    deinit {
        av_parser_close(parser)
        avcodec_free_context(&codec)
    }

    struct Reading {
        var width: Int
        var height: Int
        /// The place of the picture in the order of output since the last IDR picture.
        var outputOrder: Int
    }

    func parse(_ packet: UnsafePointer<AVPacket>) -> Reading? {
        var data: UnsafeMutablePointer<UInt8>?
        var size: Int32 = 0
        let nothing = cav_nopts_value()
        let used = av_parser_parse2(
            parser, codec, &data, &size, packet.pointee.data, packet.pointee.size, nothing, nothing, 0)
        guard used >= 0 else { return nil }
        return Reading(
            width: Int(parser.pointee.width), height: Int(parser.pointee.height),
            outputOrder: Int(parser.pointee.output_picture_number))
    }
}
