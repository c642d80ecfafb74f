internal import CAVFormat
internal import CAVShim
internal import Domain

/// Encodes single pictures to JPEG through libavcodec.
package enum JPEGEncoder {
    /// As people give it to libjpeg, GIMP and cameras.
    package static let qualityRange = 1...100

    /// The quantiser scale of a quality: 2 is the finest that the encoder does well, 31 the coarsest. The upper half,
    /// where people choose, has the finer steps; 85 gives 6. Never grows with the quality.
    package static func quantizer(quality: Int) -> Int {
        let clamped = min(max(quality, qualityRange.lowerBound), qualityRange.upperBound)
        return clamped >= 50 ? 2 + ((100 - clamped) * 14 + 25) / 50 : 16 + ((50 - clamped) * 15 + 25) / 50
    }

    /// `picture` is 4:2:0 in full range, with even sides.
    static func encode(_ picture: UnsafeMutablePointer<AVFrame>, quality: Int) throws(CodedError) -> [UInt8] {
        guard let library = avcodec_find_encoder(AV_CODEC_ID_MJPEG), let made = avcodec_alloc_context3(library),
            let packet = av_packet_alloc()
        else { throw CodedError(.internal, "libavcodec has no JPEG encoder") }
        var codec: UnsafeMutablePointer<AVCodecContext>? = made
        var coded: UnsafeMutablePointer<AVPacket>? = packet
        defer {
            avcodec_free_context(&codec)
            av_packet_free(&coded)
        }
        let lambda = Int32(quantizer(quality: quality)) * cav_quality_scale()
        made.pointee.width = picture.pointee.width
        made.pointee.height = picture.pointee.height
        made.pointee.pix_fmt = AV_PIX_FMT_YUVJ420P
        made.pointee.color_range = AVCOL_RANGE_JPEG
        made.pointee.time_base = AVRational(num: 1, den: 25)
        // With a stated aspect ratio the encoder writes a JFIF header, which viewers look for.
        made.pointee.sample_aspect_ratio = AVRational(num: 1, den: 1)
        made.pointee.flags |= AV_CODEC_FLAG_QSCALE | AV_CODEC_FLAG_BITEXACT
        made.pointee.global_quality = lambda
        made.pointee.thread_count = 1
        // Tables made for the picture save 3% of the bytes and cost a fifth more time.
        av_opt_set(made.pointee.priv_data, "huffman", "default", 0)
        var code = avcodec_open2(made, library, nil)
        guard code >= 0 else { throw LibavError.internal(code, "the JPEG encoder does not open") }
        let format = picture.pointee.format
        picture.pointee.format = AV_PIX_FMT_YUVJ420P.rawValue
        picture.pointee.quality = lambda
        picture.pointee.pts = 0
        code = avcodec_send_frame(made, picture)
        picture.pointee.format = format
        guard code >= 0 else { throw LibavError.internal(code, "the JPEG encoder refused the picture") }
        avcodec_send_frame(made, nil)
        code = avcodec_receive_packet(made, packet)
        guard code >= 0 else { throw LibavError.internal(code, "the JPEG encoder returned nothing") }
        return Array(UnsafeBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size)))
    }
}
