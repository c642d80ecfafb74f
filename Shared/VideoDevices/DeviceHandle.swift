internal import CV4L2
internal import CV4LShim
internal import Domain
internal import Glibc

/// An open device node. Owns the descriptor; `DeviceStream` and every picture that is lent out hold it, so that it is
/// closed when nobody needs it any more. Its calls may come from any thread: libv4l2 guards itself.
final class DeviceHandle: Sendable {
    let descriptor: Int32
    let path: String

    /// Does not disturb whoever streams from the device. Errors: those of `DeviceFault.opening`.
    init(_ path: String) throws(CodedError) {
        let opened = cv4l_open(path)
        guard opened >= 0 else { throw DeviceFault.opening(path, -opened) }
        descriptor = opened
        self.path = path
    }

    deinit { v4l2_close(descriptor) }

    struct Capability: Sendable {
        var card: String
        var driver: String
        var busInfo: String
        /// Whether it gives pictures to whoever asks: not metadata, not an output, not a codec.
        var isCamera: Bool
    }

    func capability() throws(CodedError) -> Capability {
        var raw = v4l2_capability()
        let code = cv4l_query_capability(descriptor, &raw)
        guard code == 0 else { throw DeviceFault.call("\(path) is no video device", code) }
        let all = UInt32(raw.capabilities)
        let own = all & UInt32(V4L2_CAP_DEVICE_CAPS) != 0 ? UInt32(raw.device_caps) : all
        let wanted = UInt32(V4L2_CAP_VIDEO_CAPTURE) | UInt32(V4L2_CAP_STREAMING)
        return Capability(
            card: text(of: raw.card), driver: text(of: raw.driver), busInfo: text(of: raw.bus_info),
            isCamera: own & wanted == wanted)
    }

    /// Whether somebody else streams from the device. Asks for no buffers, which only who has them may.
    var isBusy: Bool {
        var request = v4l2_requestbuffers()
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        request.memory = V4L2_MEMORY_MMAP.rawValue
        return cv4l_request_buffers(descriptor, &request) == EBUSY
    }

    // MARK: The format

    struct Format: Sendable {
        var format: PixelFormat
        var width: Int
        var height: Int
        /// Bytes from one row to the next in the first plane; 0 for what has no rows.
        var stride: Int
    }

    func format() throws(CodedError) -> Format {
        var raw = v4l2_format()
        raw.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        let code = cv4l_get_format(descriptor, &raw)
        guard code == 0 else { throw DeviceFault.call("\(path) does not say its format", code) }
        return Self.format(raw)
    }

    /// Answers what the device made of it.
    func setFormat(_ choice: ModeChoice) throws(CodedError) -> Format {
        var raw = v4l2_format()
        raw.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        raw.fmt.pix.width = UInt32(choice.width)
        raw.fmt.pix.height = UInt32(choice.height)
        raw.fmt.pix.pixelformat = choice.format.code
        raw.fmt.pix.field = V4L2_FIELD_ANY.rawValue
        let code = cv4l_set_format(descriptor, &raw)
        guard code == 0 else { throw DeviceFault.streaming(path, code, "does not take its format") }
        return Self.format(raw)
    }

    private static func format(_ raw: v4l2_format) -> Format {
        Format(
            format: PixelFormat(code: raw.fmt.pix.pixelformat), width: Int(raw.fmt.pix.width),
            height: Int(raw.fmt.pix.height), stride: Int(raw.fmt.pix.bytesperline))
    }

    /// Asks for a rate; answers what the device made of it, nil where it does not say.
    func setRate(_ rate: FrameRate?) -> FrameRate? {
        var raw = v4l2_streamparm()
        raw.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        guard cv4l_get_parameters(descriptor, &raw) == 0 else { return nil }
        if let rate, raw.parm.capture.capability & UInt32(V4L2_CAP_TIMEPERFRAME) != 0 {
            raw.parm.capture.timeperframe = v4l2_fract(numerator: rate.seconds, denominator: rate.frames)
            guard cv4l_set_parameters(descriptor, &raw) == 0 else { return nil }
        }
        let interval = raw.parm.capture.timeperframe
        return FrameRate(frames: interval.denominator, seconds: interval.numerator)
    }
}

/// The characters of a C array of bytes up to its zero. What is not printable shows as `?`.
func text<Bytes>(of bytes: Bytes) -> String {
    withUnsafeBytes(of: bytes) { raw in
        String(decoding: raw.prefix { $0 != 0 }.map { $0 < 0x20 || $0 == 0x7f ? UInt8(ascii: "?") : $0 }, as: UTF8.self)
    }
}
