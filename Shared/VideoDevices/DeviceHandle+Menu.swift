internal import CV4L2
internal import CV4LShim
internal import Domain

/// What a device offers.
extension DeviceHandle {
    /// Drivers that never end a list exist.
    private static let formatsMax: UInt32 = 64
    private static let sizesMax: UInt32 = 256
    private static let ratesMax: UInt32 = 256

    /// Every format and size, with its rates; of a range of sizes, the one nearest to `wish`.
    func modes(near wish: ModeWish) -> [VideoMode] {
        var modes: [VideoMode] = []
        for index in 0..<Self.formatsMax {
            var raw = v4l2_fmtdesc()
            raw.index = index
            raw.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
            guard cv4l_enumerate_formats(descriptor, &raw) == 0 else { break }
            let isEmulated = raw.flags & UInt32(V4L2_FMT_FLAG_EMULATED) != 0
            modes += self.modes(of: PixelFormat(code: raw.pixelformat), isEmulated: isEmulated, near: wish)
        }
        return modes
    }

    private func modes(of format: PixelFormat, isEmulated: Bool, near wish: ModeWish) -> [VideoMode] {
        var modes: [VideoMode] = []
        for index in 0..<Self.sizesMax {
            var raw = v4l2_frmsizeenum()
            raw.index = index
            raw.pixel_format = format.code
            guard cv4l_enumerate_sizes(descriptor, &raw) == 0 else { break }
            var size = (width: Int(raw.discrete.width), height: Int(raw.discrete.height))
            var range: SizeRange?
            if raw.type != V4L2_FRMSIZE_TYPE_DISCRETE.rawValue {
                let steps = raw.stepwise
                guard steps.min_width <= steps.max_width, steps.min_height <= steps.max_height else { break }
                let found = SizeRange(
                    width: Int(steps.min_width)...Int(steps.max_width),
                    height: Int(steps.min_height)...Int(steps.max_height), widthStep: Int(steps.step_width),
                    heightStep: Int(steps.step_height))
                range = found
                size = found.nearest(width: wish.width, height: wish.height)
            }
            modes.append(
                VideoMode(
                    format: format, isEmulated: isEmulated, width: size.width, height: size.height, range: range,
                    rates: rates(of: format, size.width, size.height)))
            if range != nil { break }
        }
        // A device that does not list its sizes has the one that it is set to.
        if modes.isEmpty, let present = try? self.format(), present.width > 0, present.height > 0 {
            modes.append(
                VideoMode(
                    format: format, isEmulated: isEmulated, width: present.width, height: present.height,
                    rates: .unknown))
        }
        return modes
    }

    private func rates(of format: PixelFormat, _ width: Int, _ height: Int) -> RateMenu {
        var rates: [FrameRate] = []
        for index in 0..<Self.ratesMax {
            var raw = v4l2_frmivalenum()
            raw.index = index
            raw.pixel_format = format.code
            raw.width = UInt32(width)
            raw.height = UInt32(height)
            guard cv4l_enumerate_intervals(descriptor, &raw) == 0 else { break }
            guard raw.type != V4L2_FRMIVAL_TYPE_DISCRETE.rawValue else {
                if let rate = Self.rate(raw.discrete) { rates.append(rate) }
                continue
            }
            // The longest interval is the slowest rate.
            guard let slowest = Self.rate(raw.stepwise.max), let fastest = Self.rate(raw.stepwise.min) else { break }
            return .range(min(slowest, fastest), max(slowest, fastest))
        }
        return rates.isEmpty ? .unknown : .discrete(rates)
    }

    private static func rate(_ interval: v4l2_fract) -> FrameRate? {
        // An interval of nothing stands for as fast as it can.
        if interval.numerator == 0, interval.denominator > 0 {
            return FrameRate(UInt32(SourceAddress.fpsRange.upperBound))
        }
        return FrameRate(frames: interval.denominator, seconds: interval.numerator)
    }
}
