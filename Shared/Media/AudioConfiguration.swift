/// Decoder configurations of audio that a container left out, made from what the packets say. Pure.
enum AudioConfiguration {
    /// The length of an ADTS header in front of an AAC frame (ISO/IEC 13818-7, 6.2); nil if there is none.
    static func adtsHeaderLength(_ bytes: UnsafeRawBufferPointer) -> Int? {
        guard bytes.count > 9, bytes[0] == 0xff, bytes[1] & 0xf6 == 0xf0 else { return nil }
        return bytes[1] & 1 == 1 ? 7 : 9
    }

    /// AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1) from an ADTS header.
    static func audioSpecificConfig(adts bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        guard adtsHeaderLength(bytes) != nil else { return nil }
        let objectType = bytes[2] >> 6 + 1
        let rate = bytes[2] >> 2 & 0xf
        let channels = (bytes[2] & 1) << 2 | bytes[3] >> 6
        return [objectType << 3 | rate >> 1, rate << 7 | channels << 3]
    }

    /// `OpusHead` (RFC 7845, 5.1) for a stream over RTP, which has none.
    static func opusHead(channels: Int) -> [UInt8] {
        Array("OpusHead".utf8) + [1, UInt8(clamping: max(1, channels)), 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0]
    }
}
