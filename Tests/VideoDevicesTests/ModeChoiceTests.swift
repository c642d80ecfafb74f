import Domain
import Testing
import VideoDevices

/// Which of a camera's modes is taken for a wish.
@Suite struct ModeChoiceTests {
    private static func mode(
        _ format: String, _ width: Int, _ height: Int, _ rates: UInt32..., isEmulated: Bool = false
    ) -> VideoMode {
        VideoMode(
            format: PixelFormat(format), isEmulated: isEmulated, width: width, height: height,
            rates: rates.isEmpty ? .unknown : .discrete(rates.map { FrameRate($0) }))
    }

    private static func wish(
        _ width: Int? = nil, _ height: Int? = nil, fps: Int? = nil, kind: PictureKind? = nil
    ) -> ModeWish {
        ModeWish(SourceAddress.V4L2Source(path: "/dev/video0", width: width, height: height, fps: fps, kind: kind))
    }

    private static func best(_ wish: ModeWish, _ modes: VideoMode...) -> String? {
        ModeChoice.best(for: wish, among: modes)?.description
    }

    @Test func theCheapestToRecordIsTakenOfWhatIsEquallyNear() {
        let wish = Self.wish(640, 360, fps: 30)
        let raw = Self.mode("YUYV", 640, 360, 30)
        let jpeg = Self.mode("MJPG", 640, 360, 30)
        let coded = Self.mode("H264", 640, 360, 30)
        #expect(Self.best(wish, raw, jpeg, coded) == "H264 640x360 at 30 fps")
        #expect(Self.best(wish, raw, Self.mode("HEVC", 640, 360, 30), jpeg) == "HEVC 640x360 at 30 fps")
        #expect(Self.best(wish, raw, jpeg) == "MJPG 640x360 at 30 fps")
        #expect(Self.best(wish, raw, Self.mode("NV12", 640, 360, 30)) == "NV12 640x360 at 30 fps")
        #expect(Self.best(wish, Self.mode("YU12", 640, 360, 30, isEmulated: true), raw) == "YUYV 640x360 at 30 fps")
    }

    @Test func theNearestSizeComesBeforeRateAndKind() {
        let coded = Self.mode("H264", 1920, 1080, 30)
        let raw = Self.mode("YUYV", 1280, 720, 10)
        #expect(Self.best(Self.wish(1280, 720, fps: 30), coded, raw) == "YUYV 1280x720 at 10 fps")
        #expect(Self.best(Self.wish(1920, 1080, fps: 10), coded, raw) == "H264 1920x1080 at 30 fps")
    }

    @Test func theNearestRateComesBeforeTheKind() {
        let raw = Self.mode("YUYV", 1280, 720, 10, 5)
        let jpeg = Self.mode("MJPG", 1280, 720, 30, 15)
        #expect(Self.best(Self.wish(1280, 720, fps: 30), raw, jpeg) == "MJPG 1280x720 at 30 fps")
        #expect(Self.best(Self.wish(1280, 720, fps: 10), raw, jpeg) == "YUYV 1280x720 at 10 fps")
        #expect(Self.best(Self.wish(1280, 720, fps: 20), jpeg) == "MJPG 1280x720 at 15 fps")
    }

    @Test func almostTheSameRateIsTheSame() throws {
        let film = VideoMode(
            format: PixelFormat("H264"), width: 640, height: 480,
            rates: .discrete([try #require(FrameRate(frames: 30_000, seconds: 1001))]))
        let exact = Self.mode("MJPG", 640, 480, 30)
        #expect(Self.best(Self.wish(640, 480, fps: 30), exact, film) == "H264 640x480 at 29.97 fps")
    }

    @Test func whoAsksForNothingGetsWhatNearlyEveryCameraHas() {
        let sizes = [(320, 240), (1280, 720), (1920, 1080)].map { Self.mode("MJPG", $0.0, $0.1, 60, 30, 15) }
        #expect(ModeChoice.best(for: Self.wish(), among: sizes)?.description == "MJPG 1280x720 at 30 fps")
    }

    @Test func aKindThatIsAskedForIsTheOnlyOne() {
        let modes = [Self.mode("H264", 640, 360, 30), Self.mode("YUYV", 320, 180, 15)]
        let raw = ModeChoice.best(for: Self.wish(640, 360, kind: .raw), among: modes)
        #expect(raw?.description == "YUYV 320x180 at 15 fps")
        #expect(ModeChoice.best(for: Self.wish(640, 360, kind: .mjpeg), among: modes) == nil)
    }

    @Test func whatNothingHereReadsIsNotTaken() {
        #expect(ModeChoice.best(for: Self.wish(), among: []) == nil)
        #expect(Self.best(Self.wish(), Self.mode("BA81", 1280, 720, 30)) == nil)
    }

    @Test func aFifthOfTheRateIsFurtherFromItThanItsDouble() {
        let modes = [Self.mode("YUYV", 1920, 1080, 5), Self.mode("MJPG", 1920, 1080, 60)]
        #expect(
            ModeChoice.best(for: Self.wish(1920, 1080, fps: 30), among: modes)?.description
                == "MJPG 1920x1080 at 60 fps")
        #expect(RateMenu.discrete([5, 60].map { FrameRate($0) }).nearest(to: FrameRate(30)) == FrameRate(60))
    }

    @Test func aRateThatIsKnownAndRightIsAsNearAsOneThatIsNotKnown() {
        let (coded, raw) = (Self.mode("H264", 640, 360, 30), Self.mode("YU12", 640, 360, isEmulated: true))
        #expect(Self.best(Self.wish(640, 360, fps: 30), raw, coded) == "H264 640x360 at 30 fps")
    }

    @Test func aDeviceThatDoesNotSayItsRateIsTakenAsItIs() {
        let choice = ModeChoice.best(for: Self.wish(640, 360, fps: 30), among: [Self.mode("YUYV", 640, 360)])
        #expect(choice == ModeChoice(format: PixelFormat("YUYV"), width: 640, height: 360, rate: nil))
    }

    @Test func aRangeOfRatesGivesTheWishItself() {
        let mode = VideoMode(
            format: PixelFormat("YUYV"), width: 640, height: 360, rates: .range(FrameRate(1), FrameRate(60)))
        #expect(Self.best(Self.wish(640, 360, fps: 24), mode) == "YUYV 640x360 at 24 fps")
        #expect(Self.best(Self.wish(640, 360, fps: 90), mode) == "YUYV 640x360 at 60 fps")
    }

    @Test(arguments: [
        (16...3840, 16...2160, 2, 2, 1281, 721, 1282, 722), (16...640, 16...480, 8, 8, 1280, 720, 640, 480),
        (32...100, 32...100, 30, 30, 100, 10, 92, 32), (64...64, 64...64, 0, 0, 1, 1, 64, 64),
        (48...1000, 32...1000, 16, 16, 640, 360, 640, 368),
    ]) func aSizeInStepsIsReached(
        width: ClosedRange<Int>, height: ClosedRange<Int>, widthStep: Int, heightStep: Int, wantedWidth: Int,
        wantedHeight: Int, nearestWidth: Int, nearestHeight: Int
    ) {
        let range = SizeRange(width: width, height: height, widthStep: widthStep, heightStep: heightStep)
        let nearest = range.nearest(width: wantedWidth, height: wantedHeight)
        #expect(nearest == (nearestWidth, nearestHeight))
    }

    /// All menus of up to three modes out of these, for every wish: what is taken is what a slow and plain reading of
    /// the rule would take, whatever the order of the menu.
    @Test func allSmallMenus() {
        let all = ["H264", "MJPG", "YUYV", "BA81"].flatMap { format in
            [(320, 180), (640, 360), (640, 480)].flatMap { width, height in
                [Self.mode(format, width, height, 30), Self.mode(format, width, height, 15, 5)]
            }
        }
        let wishes = [(320, 180), (500, 300), (640, 480)].flatMap { width, height in
            [30, 15, 10].flatMap { fps in
                [nil, .mjpeg, .raw].map { Self.wish(width, height, fps: fps, kind: $0) }
            }
        }
        var compared = 0
        for first in all.indices {
            for second in first..<all.count {
                for third in second..<all.count {
                    let menu = Array(Set([first, second, third])).sorted().map { all[$0] }
                    for wish in wishes {
                        let choice = ModeChoice.best(for: wish, among: menu)
                        guard choice == Self.plainly(wish, menu),
                            choice == ModeChoice.best(for: wish, among: menu.reversed())
                        else {
                            Issue.record("\(wish) among \(menu): \(choice.map(\.description) ?? "nothing")")
                            return
                        }
                        compared += 1
                    }
                }
            }
        }
        #expect(compared == 2600 * 27)
    }

    /// The rule again, one condition after the other.
    private static func plainly(_ wish: ModeWish, _ menu: [VideoMode]) -> ModeChoice? {
        var left = menu.filter { $0.format.kind != nil && (wish.kind == nil || $0.format.kind == wish.kind) }
        func keepLeast(_ measure: (VideoMode) -> Int) {
            guard let least = left.map(measure).min() else { return }
            left.removeAll { measure($0) != least }
        }
        func rate(_ mode: VideoMode) -> FrameRate? { mode.rates.nearest(to: wish.rate) }
        keepLeast { abs($0.width - wish.width) + abs($0.height - wish.height) }
        keepLeast { mode in
            rate(mode).map { Int(abs($0.perSecond - wish.rate.perSecond).rounded()) } ?? 0
        }
        keepLeast { ["H264", "MJPG", "YUYV"].firstIndex(of: $0.format.description) ?? 9 }
        keepLeast { -$0.width * $0.height }
        keepLeast { rate($0).map { -Int($0.perSecond * 1000) } ?? 0 }
        return left.first.map {
            ModeChoice(format: $0.format, width: $0.width, height: $0.height, rate: rate($0))
        }
    }

    /// A source can name whole rates only, and one that it names is missed if it does not come.
    @Test(
        arguments: [
            (30, 1, "&fps=30"), (30_000, 1001, "&fps=30"), (25, 2, ""), (15, 2, ""), (1, 2, ""), (5, 1, "&fps=5"),
        ] as [(UInt32, UInt32, String)])
    func theSourceToPasteNamesWholeRates(_ frames: UInt32, _ seconds: UInt32, _ written: String) throws {
        let rate = try #require(FrameRate(frames: frames, seconds: seconds))
        let device = VideoDevice(
            node: "/dev/video0", card: "Cam", driver: "uvcvideo", busInfo: "usb-1", serial: nil, stableNames: [],
            modes: [VideoMode(format: PixelFormat("YUYV"), width: 1280, height: 720, rates: .discrete([rate]))],
            availability: .free)
        #expect(device.source == "v4l2:///dev/video0?size=1280x720\(written)")
    }

    @Test func formatsAreNamedAsDevicesNameThem() {
        #expect(PixelFormat("YUYV").code == 0x5659_5559)
        #expect(PixelFormat(code: 0x3231_564E).description == "NV12")
        #expect(PixelFormat("Y8").description == "Y8")
        #expect(PixelFormat(code: 1).description == "????")
        #expect(PixelFormat("H264").kind == .h264 && PixelFormat("BA81").kind == nil)
    }

    @Test func ratesAreWrittenAsPeopleWriteThem() throws {
        #expect(FrameRate(30).description == "30")
        #expect(try #require(FrameRate(frames: 25, seconds: 2)).description == "12.5")
        #expect(try #require(FrameRate(frames: 30_000, seconds: 1001)).description == "29.97")
        #expect(try #require(FrameRate(frames: 101, seconds: 100)).description == "1.01")
        #expect(FrameRate(frames: 1, seconds: 0) == nil && FrameRate(frames: 0, seconds: 1) == nil)
    }
}
