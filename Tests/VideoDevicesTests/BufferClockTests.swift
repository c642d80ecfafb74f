import Domain
import Media
import TestSupport
import Testing
import VideoDevices

/// When a picture was taken, and how many are missing before it.
@Suite struct BufferClockTests {
    private static func at(_ milliseconds: Int64) -> MonotonicTime {
        MonotonicTime(nanoseconds: milliseconds * 1_000_000)
    }

    @Test func aDriversStampIsBetterThanOurClock() {
        var clock = BufferClock()
        #expect(clock.moment(stamp: Self.at(100), now: Self.at(112)) == Self.at(100))
        #expect(clock.moment(stamp: Self.at(133), now: Self.at(170)) == Self.at(133))
    }

    @Test func aHeldProcessFindsPicturesOfTheirOwnTime() {
        var clock = BufferClock()
        _ = clock.moment(stamp: Self.at(100), now: Self.at(101))
        #expect(clock.moment(stamp: Self.at(133), now: Self.at(5100)) == Self.at(133))
        #expect(clock.moment(stamp: Self.at(166), now: Self.at(5100)) == Self.at(166))
    }

    @Test(arguments: [nil, 500, 90, 1] as [Int64?]) func aStampThatCannotBeIsNotUsed(_ stamp: Int64?) {
        var clock = BufferClock()
        _ = clock.moment(stamp: Self.at(40_000), now: Self.at(40_001))
        let moment = clock.moment(stamp: stamp.map { Self.at($0) }, now: Self.at(40_033))
        #expect(moment == Self.at(40_033))
    }

    @Test func aStampOfTheFutureIsNow() {
        var clock = BufferClock()
        #expect(clock.moment(stamp: Self.at(999), now: Self.at(100)) == Self.at(100))
    }

    @Test func momentsGrowWhateverComes() {
        var random = SeededRandom(seed: 4)
        for _ in 0..<200 {
            var clock = BufferClock()
            var now = Self.at(100_000)
            var last = MonotonicTime.zero
            for _ in 0..<200 {
                now = now + random.duration(in: .milliseconds(1) ... .milliseconds(60))
                let stamp: MonotonicTime? =
                    switch random.int(in: 0...5) {
                    case 0: nil
                    case 1: Self.at(Int64(random.int(in: 0...200_000)))
                    default: now - random.duration(in: .zero ... .milliseconds(80))
                    }
                let moment = clock.moment(stamp: stamp, now: now)
                #expect(moment > last && moment <= now + .milliseconds(1))
                last = moment
            }
        }
    }

    @Test func missingNumbersAreMissingPictures() {
        var watch = SequenceWatch()
        #expect(watch.lost(before: 17) == 0, "the first one follows nothing")
        #expect(watch.lost(before: 18) == 0)
        #expect(watch.lost(before: 22) == 3)
        #expect(watch.lost(before: 23) == 0)
    }

    @Test func numbersGoRoundAndDriversBeginAnew() {
        var watch = SequenceWatch()
        _ = watch.lost(before: .max - 1)
        #expect(watch.lost(before: 1) == 2, "the largest number and 0 are missing")
        #expect(watch.lost(before: 0) == 0)
        #expect(watch.lost(before: 0) == 0, "a driver that does not count")
        #expect(watch.lost(before: 3_000_000) == 0)
    }

    @Test func paddedPicturesArePacked() {
        for layout in CameraFormat.RawLayout.allCases {
            let (width, height) = (6, 4)
            let planes = layout.planes(width: width, height: height)
            let stride = planes[0].rowBytes + 10
            var padded = [UInt8](repeating: 0xEE, count: layout.byteCount(width: width, height: height, stride: stride))
            var expected: [UInt8] = []
            var offset = 0
            for plane in planes {
                for _ in 0..<plane.rows {
                    for column in 0..<plane.rowBytes {
                        padded[offset + column] = UInt8(expected.count % 200)
                        expected.append(UInt8(expected.count % 200))
                    }
                    offset += stride / plane.strideDivisor
                }
            }
            var packed = [UInt8](repeating: 0, count: layout.byteCount(width: width, height: height))
            #expect(packed.count == expected.count)
            packed.withUnsafeMutableBytes { target in
                padded.withUnsafeBytes { source in
                    guard let from = source.baseAddress, let into = target.baseAddress else { return }
                    layout.pack(from, stride: stride, width: width, height: height, into: into)
                }
            }
            #expect(packed == expected, "\(layout)")
        }
    }

    @Test func aCameraIsKnownAgainByItsNameElseByItsPort() {
        typealias Identity = CameraMemory.Identity
        let named = Identity(stableName: "/dev/v4l/by-id/a", card: "Cam", busInfo: "usb-1")
        #expect(named.matches(Identity(stableName: "/dev/v4l/by-id/a", card: "Cam", busInfo: "usb-2")))
        #expect(!named.matches(Identity(stableName: "/dev/v4l/by-id/b", card: "Cam", busInfo: "usb-1")))
        let plain = Identity(stableName: nil, card: "Cam", busInfo: "usb-1")
        #expect(plain.matches(plain))
        #expect(!plain.matches(Identity(stableName: nil, card: "Cam", busInfo: "usb-2")))
        #expect(plain.matches(named) && named.matches(plain), "udev names a node a moment after it is there")
        #expect(!named.matches(Identity(stableName: nil, card: "Cam", busInfo: "usb-2")))
        // One of another make is certainly not it, with or without a name; one of a kind in another port may be.
        #expect(plain.isCertainlyNot(Identity(stableName: nil, card: "Other", busInfo: "usb-1")))
        #expect(named.isCertainlyNot(Identity(stableName: "/dev/v4l/by-id/b", card: "Cam", busInfo: "usb-1")))
        #expect(!plain.isCertainlyNot(Identity(stableName: nil, card: "Cam", busInfo: "usb-2")))
    }

    @Test func serialNumbersDecideWhereBothHaveOne() {
        typealias Identity = CameraMemory.Identity
        let one = Identity(stableName: "/dev/v4l/by-id/a", card: "Cam", busInfo: "usb-1", serial: "1")
        #expect(one.matches(Identity(stableName: nil, card: "Cam", busInfo: "usb-2", serial: "1")))
        let two = Identity(stableName: nil, card: "Cam", busInfo: "usb-1", serial: "2")
        #expect(!one.matches(two) && one.isCertainlyNot(two), "in the same port, before udev has named it")
        #expect(!one.matches(Identity(stableName: nil, card: "Other", busInfo: "usb-1", serial: "1")))
        #expect(one.matches(Identity(stableName: nil, card: "Cam", busInfo: "usb-1")))
    }

    /// Cameras of one kind without serial numbers share a name, which leads to the one that was plugged in last.
    @Test func aSharedNameDoesNotReplaceACameraByItsTwin() {
        typealias Identity = CameraMemory.Identity
        let known = Identity(stableName: nil, card: "Cam", busInfo: "usb-1")
        let twin = Identity(stableName: nil, card: "Cam", busInfo: "usb-2")
        #expect(known.mayBeTwin(twin, under: "/dev/v4l/by-id/usb-Maker_Cam-video-index0"))
        #expect(!known.mayBeTwin(known, under: "/dev/v4l/by-id/usb-Maker_Cam-video-index0"))
        #expect(!known.mayBeTwin(twin, under: "/dev/v4l/by-path/usb-2"), "a port means what is in it")
        let named = Identity(stableName: nil, card: "Cam", busInfo: "usb-2", serial: "1")
        #expect(!known.mayBeTwin(named, under: "/dev/v4l/by-id/usb-Maker_Cam_1-video-index0"))
        let alone = Identity(stableName: "/dev/v4l/by-id/a", card: "Cam", busInfo: "usb-1")
        let moved = Identity(stableName: "/dev/v4l/by-id/a", card: "Cam", busInfo: "usb-2")
        #expect(!alone.mayBeTwin(moved, under: "/dev/v4l/by-id/a"), "one that is alone of its kind may move")
    }

    @Test func whatACameraTookOfAWishIsRemembered() throws {
        let (bright, zoom) = (
            try #require(ControlName(rawValue: "brightness")), try #require(ControlName(rawValue: "zoom"))
        )
        let memory = CameraMemory(controls: [bright: .number(1)])
        let error = CodedError(.sourceUnavailable, "no")
        memory.take([bright: .number(2), zoom: .number(3)], refused: [zoom: error])
        #expect(memory.controls == [bright: .number(2)] && memory.refused == [zoom: error])
        memory.take([zoom: .number(4)], refused: [:])
        #expect(memory.controls == [bright: .number(2), zoom: .number(4)] && memory.refused == [:])
    }
}
