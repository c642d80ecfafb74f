package import Domain

/// Pictures per second, as a fraction: devices count in intervals.
package struct FrameRate: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let frames: UInt32
    package let seconds: UInt32

    /// Nil unless both are more than zero.
    package init?(frames: UInt32, seconds: UInt32) {
        guard frames > 0, seconds > 0 else { return nil }
        self.frames = frames
        self.seconds = seconds
    }

    /// - Parameter perSecond: more than zero.
    package init(_ perSecond: UInt32) {
        precondition(perSecond > 0, "a rate is more than zero")
        frames = perSecond
        seconds = 1
    }

    package var perSecond: Double { Double(frames) / Double(seconds) }
    /// A whole number, if it is within a hundredth of one: 29.97 is 30.
    package var whole: Int? {
        let near = perSecond.rounded()
        return near >= 1 && abs(perSecond - near) <= near / 100 ? Int(near) : nil
    }
    package static func < (left: Self, right: Self) -> Bool {
        UInt64(left.frames) * UInt64(right.seconds) < UInt64(right.frames) * UInt64(left.seconds)
    }
    /// Two decimals at most: `30`, `12.5`, `29.97`.
    package var description: String {
        let hundredths = Int((perSecond * 100).rounded())
        guard hundredths % 100 != 0 else { return "\(hundredths / 100)" }
        let decimals = hundredths % 100 < 10 ? "0\(hundredths % 100)" : "\(hundredths % 100)"
        return "\(hundredths / 100).\(decimals.hasSuffix("0") ? String(decimals.dropLast()) : decimals)"
    }
}

/// The rates that a device offers for a format and a size.
package enum RateMenu: Hashable, Sendable {
    case discrete([FrameRate])
    case range(FrameRate, FrameRate)
    /// The device does not say.
    case unknown

    /// The rate nearest to `wish`; of two that are equally near, the faster one. Nil where nothing is known.
    package func nearest(to wish: FrameRate) -> FrameRate? {
        switch self {
        case .unknown: nil
        case .range(let slowest, let fastest): min(max(wish, slowest), max(slowest, fastest))
        case .discrete(let rates):
            rates.min { left, right in
                let (first, second) = (left.ratio(to: wish), right.ratio(to: wish))
                return first == second ? left > right : first < second
            }
        }
    }

    package var fastest: FrameRate? {
        switch self {
        case .unknown: nil
        case .range(_, let fastest): fastest
        case .discrete(let rates): rates.max()
        }
    }
}

extension FrameRate {
    func distance(to other: FrameRate) -> Double { abs(perSecond - other.perSecond) }
    /// Of the faster to the slower: a fifth of a rate is further from it than its double.
    func ratio(to other: FrameRate) -> Double {
        max(perSecond, other.perSecond) / min(perSecond, other.perSecond)
    }
}

/// Sizes that a device makes in steps.
package struct SizeRange: Hashable, Sendable {
    package var width: ClosedRange<Int>
    package var height: ClosedRange<Int>
    package var widthStep: Int
    package var heightStep: Int

    package init(width: ClosedRange<Int>, height: ClosedRange<Int>, widthStep: Int = 1, heightStep: Int = 1) {
        self.width = width
        self.height = height
        self.widthStep = max(1, widthStep)
        self.heightStep = max(1, heightStep)
    }

    package func nearest(width wantedWidth: Int, height wantedHeight: Int) -> (width: Int, height: Int) {
        (
            Self.nearest(wantedWidth, in: width, step: widthStep),
            Self.nearest(wantedHeight, in: height, step: heightStep)
        )
    }

    private static func nearest(_ wanted: Int, in range: ClosedRange<Int>, step: Int) -> Int {
        let inside = min(max(wanted, range.lowerBound), range.upperBound)
        let stepped = range.lowerBound + (inside - range.lowerBound + step / 2) / step * step
        return stepped > range.upperBound ? stepped - step : stepped
    }
}

/// One format and size that a device offers, with its rates.
package struct VideoMode: Hashable, Sendable {
    package var format: PixelFormat
    /// Made by libv4l2 from another format, at the cost of this machine.
    package var isEmulated: Bool
    package var width: Int
    package var height: Int
    /// Where the size is one of many.
    package var range: SizeRange?
    package var rates: RateMenu

    package init(
        format: PixelFormat, isEmulated: Bool = false, width: Int, height: Int, range: SizeRange? = nil,
        rates: RateMenu
    ) {
        self.format = format
        self.isEmulated = isEmulated
        self.width = width
        self.height = height
        self.range = range
        self.rates = rates
    }
}

/// What the configuration asks of a device.
package struct ModeWish: Hashable, Sendable {
    /// Of a wish that does not say: what nearly every camera has.
    package static let widthDefault = 1280
    package static let heightDefault = 720
    package static let rateDefault = FrameRate(30)

    package var width: Int
    package var height: Int
    package var rate: FrameRate
    /// Nil: any.
    package var kind: PictureKind?
    /// Whether size and rate were asked for; what was not is not missed.
    package var namesSize: Bool
    package var namesRate: Bool

    package init(_ source: SourceAddress.V4L2Source) {
        width = source.width ?? Self.widthDefault
        height = source.height ?? Self.heightDefault
        rate = source.fps.map { FrameRate(UInt32($0)) } ?? Self.rateDefault
        kind = source.kind
        namesSize = source.width != nil
        namesRate = source.fps != nil
    }
}

/// What is asked of the device after looking at its menu.
package struct ModeChoice: Hashable, Sendable, CustomStringConvertible {
    package var format: PixelFormat
    package var width: Int
    package var height: Int
    /// Nil where the device does not say what it can do.
    package var rate: FrameRate?

    /// `MJPG 1280x720 at 30 fps`.
    package var description: String { "\(format) \(width)x\(height)" + (rate.map { " at \($0) fps" } ?? "") }

    package init(format: PixelFormat, width: Int, height: Int, rate: FrameRate?) {
        self.format = format
        self.width = width
        self.height = height
        self.rate = rate
    }

    /// The best of the modes for a wish; nil if none is of a kind that is read here and wished for.
    ///
    /// In this order: the nearest size (the sum of what the sides differ by), the nearest rate (to a whole picture per
    /// second, since 29.97 is 30), the cheapest to record (H.264, H.265, MJPEG, raw; what libv4l2 would convert comes
    /// last), the larger and the faster one. The order of the modes does not matter.
    package static func best(for wish: ModeWish, among modes: [VideoMode]) -> ModeChoice? {
        let candidates = modes.compactMap { Candidate($0, wish: wish) }
        return candidates.min { $0.order.lexicographicallyPrecedes($1.order) }?.choice
    }

    /// A mode with what it is judged by; the least is the best.
    private struct Candidate {
        var choice: ModeChoice
        var order: [Int]

        init?(_ mode: VideoMode, wish: ModeWish) {
            guard let rank = mode.format.rank, wish.kind.map({ $0 == mode.format.kind }) ?? true else { return nil }
            let size =
                mode.range?.nearest(width: wish.width, height: wish.height) ?? (width: mode.width, height: mode.height)
            let rate = mode.rates.nearest(to: wish.rate)
            choice = ModeChoice(format: mode.format, width: size.width, height: size.height, rate: rate)
            let distance = abs(size.width - wish.width) + abs(size.height - wish.height)
            let slowness = rate.map { Int((($0.ratio(to: wish.rate) - 1) * 20).rounded()) } ?? 0
            let millihertz = rate.map { Int(($0.perSecond * 1000).rounded()) } ?? 0
            order = [
                distance, slowness, mode.isEmulated ? 1 : 0, rank, -size.width * size.height, -millihertz,
                Int(mode.format.code), size.width,
            ]
        }
    }
}
