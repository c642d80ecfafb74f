internal import CAVFormat
internal import CAVShim
internal import Domain

/// A packet of libav that borrows the data of one `Packet` after the other, with timestamps of its own: the packets of
/// the pipeline are shared and must not be written to.
///
/// Owns the `AVPacket`. One thread uses it.
final class CodedPicture {
    let raw: UnsafeMutablePointer<AVPacket>

    init() throws(CodedError) {
        guard let raw = av_packet_alloc() else { throw CodedError(.internal, "no memory for a packet") }
        self.raw = raw
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = raw
        av_packet_free(&packet)
    }

    func refer(to packet: Packet, pts: Int64?, dts: Int64?) throws(CodedError) {
        av_packet_unref(raw)
        let code = av_packet_ref(raw, packet.raw)
        guard code >= 0 else { throw LibavError.internal(code, "no memory for a packet") }
        raw.pointee.pts = pts ?? cav_nopts_value()
        raw.pointee.dts = dts ?? cav_nopts_value()
    }

    /// Takes over bytes made for it, with room for what decoders read beyond the end.
    func hold(_ bytes: [UInt8], pts: Int64?, dts: Int64?, isKey: Bool) throws(CodedError) {
        av_packet_unref(raw)
        let code = av_new_packet(raw, Int32(bytes.count))
        guard code >= 0, let data = raw.pointee.data else {
            throw LibavError.internal(code, "no memory for a packet")
        }
        data.update(from: bytes, count: bytes.count)
        raw.pointee.pts = pts ?? cav_nopts_value()
        raw.pointee.dts = dts ?? cav_nopts_value()
        if isKey { raw.pointee.flags |= AV_PKT_FLAG_KEY }
    }
}
