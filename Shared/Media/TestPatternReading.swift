internal import CAVFormat
internal import CAVShim
package import Domain

/// Reads back the frame numbers that a recording of the test pattern shows: the last proof that no picture was lost.
package enum TestPatternReading {
    /// The number in every decoded picture of a file, in the order of presentation.
    package static func numbers(in path: String) throws(CodedError) -> [UInt32] {
        let input = try LibavInput(url: path, name: path, isFile: true, audio: false, wake: WakeSignal.never)
        guard let parameters = input.stream(input.videoIndex)?.pointee.codecpar, let packet = av_packet_alloc() else {
            throw CodedError(.internal, "no memory for a packet")
        }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        let painter = TestPatternPainter(width: Int(parameters.pointee.width), height: Int(parameters.pointee.height))
        var numbers: [UInt32] = []
        let decoder = try PictureDecoder(parameters) { frame in
            guard let luma = frame.pointee.data.0 else { return }
            numbers.append(painter.number(luma: luma, stride: Int(frame.pointee.linesize.0)))
        }
        while input.read(packet) >= 0 {
            if packet.pointee.stream_index == input.videoIndex { _ = decoder.decode(packet) }
            av_packet_unref(packet)
        }
        _ = decoder.decode(nil)
        return numbers
    }
}
