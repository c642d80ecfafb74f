internal import CAVFormat
internal import Domain

/// Packets of a device's pictures.
extension Packet {
    /// The picture itself: its memory goes back to the device with the last reference to it.
    convenience init(lending picture: CameraPicture) throws(CodedError) {
        let held = Unmanaged.passRetained(picture)
        let buffer = av_buffer_create(
            picture.bytes.start.assumingMemoryBound(to: UInt8.self), picture.bytes.count,
            { owner, _ in
                guard let owner else { return }
                Unmanaged<CameraPicture>.fromOpaque(owner).release()
            }, held.toOpaque(), AV_BUFFER_FLAG_READONLY)
        guard let buffer else {
            held.release()
            throw CodedError(.internal, "no memory for a packet")
        }
        guard let packet = av_packet_alloc() else {
            var unused: UnsafeMutablePointer<AVBufferRef>? = buffer
            av_buffer_unref(&unused)
            throw CodedError(.internal, "no memory for a packet")
        }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        packet.pointee.buf = buffer
        packet.pointee.data = buffer.pointee.data
        packet.pointee.size = Int32(picture.bytes.count)
        packet.pointee.flags = AV_PKT_FLAG_KEY
        try self.init(moving: packet, track: .video, arrival: picture.arrival)
    }

    /// A copy, with room for what decoders read beyond the end.
    convenience init(
        copying bytes: UnsafeRawBufferPointer, isKey: Bool, arrival: MonotonicTime
    ) throws(CodedError) {
        guard let packet = av_packet_alloc() else { throw CodedError(.internal, "no memory for a packet") }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        let code = av_new_packet(packet, Int32(bytes.count))
        guard code >= 0, let start = bytes.baseAddress else {
            throw LibavError.internal(code, "no memory for a packet")
        }
        UnsafeMutableRawPointer(packet.pointee.data).copyMemory(from: start, byteCount: bytes.count)
        if isKey { packet.pointee.flags |= AV_PKT_FLAG_KEY }
        try self.init(moving: packet, track: .video, arrival: arrival)
    }
}
