package import Domain
internal import Media

/// A device's code for the way its pictures are written: four characters (linux/videodev2.h, `V4L2_PIX_FMT_…`).
package struct PixelFormat: Hashable, Sendable, CustomStringConvertible {
    package let code: UInt32

    package init(code: UInt32) { self.code = code }

    /// From its characters; shorter ones end in spaces.
    package init(_ text: String) {
        let bytes = Array(text.utf8.prefix(4)) + Array(repeating: UInt8(ascii: " "), count: 4)
        code = (0..<4).reduce(0) { $0 | UInt32(bytes[$1]) << UInt32(8 * $1) }
    }

    /// The four characters, without spaces at the end; what is none of ASCII shows as `?`. The highest bit only says
    /// which end of a number comes first.
    package var description: String {
        var text = ""
        for place in 0..<4 {
            let byte = UInt8(truncatingIfNeeded: code >> UInt32(8 * place)) & 0x7f
            text.unicodeScalars.append(byte < 0x20 || byte == 0x7f ? "?" : Unicode.Scalar(byte))
        }
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }

    /// What is read here, the cheapest to record first.
    private static let known: [(format: PixelFormat, coding: CameraFormat.Coding)] = [
        (PixelFormat("H264"), .h264), (PixelFormat("HEVC"), .h265), (PixelFormat("MJPG"), .mjpeg),
        (PixelFormat("JPEG"), .mjpeg), (PixelFormat("YU12"), .raw(.yuv420p)), (PixelFormat("NV12"), .raw(.nv12)),
        (PixelFormat("NV21"), .raw(.nv21)), (PixelFormat("YUYV"), .raw(.yuyv422)),
        (PixelFormat("UYVY"), .raw(.uyvy422)), (PixelFormat("YVYU"), .raw(.yvyu422)),
        (PixelFormat("RGB3"), .raw(.rgb24)), (PixelFormat("BGR3"), .raw(.bgr24)), (PixelFormat("GREY"), .raw(.gray)),
    ]

    /// Its place in the order of preference; nil for what nothing here reads.
    package var rank: Int? { Self.known.firstIndex { $0.format == self } }

    var coding: CameraFormat.Coding? { Self.known.first { $0.format == self }?.coding }

    package var kind: PictureKind? {
        switch coding {
        case .h264?: .h264
        case .h265?: .h265
        case .mjpeg?: .mjpeg
        case .raw?: .raw
        case nil: nil
        }
    }
}
