import Domain
import Foundation
import Media
import TestSupport
import Testing

/// A camera at this machine, played by a list of pictures: what becomes of what it delivers and of what it loses.
@Suite(.serialized) struct CameraDeviceTests {
    private static let start = ListedCamera.start

    private static func format(
        _ coding: CameraFormat.Coding, width: Int = 320, height: Int = 180, fps: Double = 30
    ) -> CameraFormat {
        ListedCamera.format(coding, width: width, height: height, fps: fps)
    }

    private static func source(_ camera: ListedCamera, kind: EncoderKind = .software) -> any MediaSource {
        camera.source(EncoderSettings(kind: kind, gop: .seconds(1000)))
    }

    private static func items(_ pictures: [[UInt8]], fps: Int = 30) -> [ListedCamera.Item] {
        pictures.enumerated().map { ListedCamera.Item(bytes: $1, at: .seconds($0) / fps) }
    }

    private static func grey(_ count: Int, fps: Int = 30) -> [ListedCamera.Item] {
        ListedCamera.grey(count, fps: fps)
    }

    private static let small = format(.raw(.yuyv422), width: 64, height: 36)

    /// The test pattern with its numbers, as a file.
    private static func numbered(_ fixtures: MediaFixtures, frames: Int) throws -> String {
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(600))
        copy.framesMax = frames
        try copy.run(NumberedPattern.source())
        return try #require(copy.paths.first)
    }

    /// What comes out until the camera is unplugged: K a key frame, p another one, F a format, -3 three skipped.
    private static func drain(_ source: any MediaSource) -> [String] {
        var items: [String] = []
        do throws(CodedError) {
            while true {
                switch try source.next() {
                case .packet(let packet): items.append(packet.isKey ? "K" : "p")
                case .skipped(let frames): items.append("-\(frames)")
                case .formatChanged: items.append("F")
                case .end: items.append("end")
                }
            }
        } catch {
            #expect(error == CodedError(.sourceUnavailable, "/dev/video0 was unplugged"))
        }
        return items
    }

    @Test(arguments: CameraFormat.RawLayout.allCases)
    func everyRawPictureIsRecordedOnce(_ layout: CameraFormat.RawLayout) throws {
        let fixtures = try MediaFixtures()
        let clip = try Self.numbered(fixtures, frames: 40)
        let bitsEach =
            switch layout {
            case .gray: 8
            case .nv12, .nv21, .yuv420p: 12
            case .yuyv422, .uyvy422, .yvyu422: 16
            case .rgb24, .bgr24: 24
            }
        let pictures = try CameraPictures.raw(
            clip, pixelFormat: layout.rawValue, bytesEach: 320 * 180 * bitsEach / 8)
        let camera = ListedCamera(Self.format(.raw(layout)), Self.items(pictures), buffers: 2)
        let source = Self.source(camera)
        var copy = MediaCopy(storage: fixtures.path("copy"), segmentSeconds: .milliseconds(500))
        try FileManager.default.createDirectory(atPath: copy.storage, withIntermediateDirectories: true)
        copy.framesMax = 40
        try copy.run(source)
        #expect(source.notes == [] && copy.skipped == 0)
        #expect(camera.held == 0, "every picture went back to the camera")
        #expect(copy.formats.first?.video.codecName == "h264")
        for path in copy.paths { #expect(try SegmentFileReader.verify(path, decode: true).faults == []) }
        #expect(try copy.paths.flatMap { try TestPatternReading.numbers(in: $0) } == Array(0..<40))
    }

    @Test func timestampsAreTheCamerasOwn() throws {
        let camera = ListedCamera(Self.small, Self.grey(5, fps: 25), buffers: 2)
        let source = Self.source(camera)
        defer { source.close() }
        #expect(try source.open().video.timeBase == TimeBase(1, 1_000_000))
        for index in 0..<5 {
            guard case .packet(let packet) = try source.next() else { throw CodedError(.internal, "no picture") }
            let at = Duration.milliseconds(40 * index)
            #expect(packet.arrival == Self.start + at)
            #expect(packet.pts == 1_000_000 + Int64(40_000 * index) && packet.dts == packet.pts)
        }
    }

    /// Sixty wanted moments: the first picture at or after each is a key frame, and no other. The second camera
    /// delivers a quarter of the rate that it states, as in the dark.
    @Test(arguments: [30, 7]) func aKeyFrameComesAtEveryWantedMoment(_ fps: Int) throws {
        var random = SeededRandom(seed: 60)
        var wishes: [Duration] = []
        for _ in 0..<60 {
            wishes.append((wishes.last ?? .milliseconds(100)) + random.duration(in: .milliseconds(300) ... .seconds(1)))
        }
        let last = try #require(wishes.last)
        let pictures = Int(last.seconds * Double(fps)) + 2 * fps
        let camera = ListedCamera(Self.small, Self.grey(pictures, fps: fps), buffers: 2)
        let source = Self.source(camera)
        defer { source.close() }
        _ = try source.open()
        var left = wishes[...]
        var offsets: [Duration] = []
        source.requestKeyFrame(from: Self.start + (left.first ?? .zero))
        for index in 0..<pictures {
            guard case .packet(let packet) = try source.next() else { throw CodedError(.internal, "no picture") }
            let wish = left.first.map { Self.start + $0 }
            let isWanted = wish.map { packet.arrival >= $0 } ?? false
            #expect(packet.isKey == (isWanted || index == 0))
            guard isWanted, let wish else { continue }
            offsets.append(packet.arrival - wish)
            left = left.dropFirst()
            if let next = left.first { source.requestKeyFrame(from: Self.start + next) }
        }
        #expect(offsets.count == 60)
        #expect(offsets.allSatisfy { $0 >= .zero && $0 <= .seconds(1) / fps })
    }

    @Test func aViewerGetsAKeyFrameNext() throws {
        let camera = ListedCamera(Self.small, Self.grey(20), buffers: 2)
        let source = Self.source(camera)
        defer { source.close() }
        _ = try source.open()
        var keys: [Int] = []
        for index in 0..<20 {
            if index == 7 { source.requestKeyFrame() }
            if case .packet(let packet) = try source.next(), packet.isKey { keys.append(index) }
        }
        #expect(keys == [0, 7])
    }

    /// The taker is as slow as can be: it takes nothing until the camera has delivered everything.
    @Test func whatTheEncoderHasNoTimeForIsDroppedCountedAndGivenBack() async throws {
        let camera = ListedCamera(Self.small, Self.grey(100))
        let source = Self.source(camera)
        _ = try source.open()
        try await eventually("pictures are dropped") {
            source.notes == ["98 pictures dropped: the encoder does not keep up"]
        }
        #expect(camera.held == 2, "no more than two wait")
        #expect(Self.drain(source) == ["-98", "K", "p"])
        source.close()
        #expect(camera.held == 0)
    }

    @Test func whatTheDeviceLostIsToldInItsPlace() throws {
        var pictures = Self.grey(6)
        pictures[2].lost = 3
        let camera = ListedCamera(Self.small, pictures, buffers: 2)
        let source = Self.source(camera)
        _ = try source.open()
        #expect(Self.drain(source) == ["K", "p", "-3", "K", "p", "p", "p"])
        #expect(source.notes == ["3 pictures lost by the device"])
        source.close()
    }

    /// A bad cable costs the pictures that it loses and few more, not a group of them each time.
    @Test func losingAPictureASecondCostsLittleMore() throws {
        var pictures = Self.grey(150)
        for index in [30, 60, 90, 120] { pictures[index].lost = 1 }
        let camera = ListedCamera(Self.small, pictures, buffers: 2)
        let source = Self.source(camera)
        _ = try source.open()
        let items = Self.drain(source)
        #expect(items.filter { $0 == "K" || $0 == "p" }.count == 150 && items.filter { $0 == "-1" }.count == 4)
        source.close()
    }

    @Test func aPictureThatDoesNotDecodeIsToldAsMissing() throws {
        let fixtures = try MediaFixtures()
        // As many as may wait for the encoder, so that it drops none.
        var pictures = Self.items(try CameraPictures.jpeg(try Self.numbered(fixtures, frames: 8)))
        pictures[3].bytes = [0xff, 0xd8, 0x00]
        let camera = ListedCamera(Self.format(.mjpeg), pictures)
        let source = Self.source(camera)
        _ = try source.open()
        #expect(Self.drain(source) == ["K", "p", "p", "-1", "K", "p", "p", "p"])
        source.close()
    }

    /// Decoders take the half of a picture, and paint the rest grey.
    @Test func aPictureThatLostItsEndIsToldAsMissing() throws {
        let fixtures = try MediaFixtures()
        let jpegs = try CameraPictures.jpeg(try Self.numbered(fixtures, frames: 8))
        var pictures = Self.items(jpegs)
        pictures[3].bytes = Array(jpegs[3][..<(jpegs[3].count / 2)])
        pictures[5].bytes += [0, 0, 0]
        pictures[6].bytes += [0x17, 0x12]
        let source = Self.source(ListedCamera(Self.format(.mjpeg), pictures))
        _ = try source.open()
        #expect(Self.drain(source) == ["K", "p", "p", "-1", "K", "p", "p", "p"])
        #expect(source.notes == ["1 pictures dropped: they do not decode"])
        source.close()
    }

    @Test func aCameraThatWritesNoEndMarkersIsRecorded() throws {
        let fixtures = try MediaFixtures()
        let pictures = try CameraPictures.jpeg(try Self.numbered(fixtures, frames: 4)).map { Array($0.dropLast(2)) }
        let source = Self.source(ListedCamera(Self.format(.mjpeg), Self.items(pictures)))
        _ = try source.open()
        #expect(Self.drain(source) == ["K", "p", "p", "p"])
        source.close()
    }

    /// From 720 lines on players take unnamed colours for those of BT.709; a webcam's are of BT.601 all the same, and
    /// go through as they are.
    @Test func theColoursOfALargeRawPictureStay() throws {
        let (width, height) = (1280, 720)
        // A strong red of BT.601: Y 81, U 90, V 240.
        let picture = (0..<width * height / 2).flatMap { _ in [81, 90, 81, 240] as [UInt8] }
        let camera = ListedCamera(
            Self.format(.raw(.yuyv422), width: width, height: height), Self.items([picture, picture, picture]))
        let fixtures = try MediaFixtures()
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(600))
        copy.framesMax = 2
        try copy.run(Self.source(camera))
        let decoded = try CameraPictures.raw(
            try #require(copy.paths.first), pixelFormat: "yuv420p", bytesEach: width * height * 3 / 2)
        let first = try #require(decoded.first)
        let (luma, chroma) = (first[width * height / 2], first[width * height * 9 / 8])
        #expect(abs(Int(luma) - 81) <= 2 && abs(Int(chroma) - 90) <= 2, "\(luma) \(chroma)")
    }

    @Test func parameterSetsInABufferOfTheirOwnBelongToTheNextPicture() throws {
        let fixtures = try MediaFixtures()
        let units = try CameraPictures.h264(try Self.numbered(fixtures, frames: 20), gop: 10)
        // Up to the first slice of the key frame.
        let buffers = units.flatMap { unit -> [[UInt8]] in
            guard let start = Self.firstSlice(of: unit), start > 0 else { return [unit] }
            return [Array(unit[..<start]), Array(unit[start...])]
        }
        #expect(buffers.count > units.count)
        let camera = ListedCamera(Self.format(.h264), Self.items(buffers))
        let source = Self.source(camera)
        _ = try source.open()
        let group = ["K"] + Array(repeating: "p", count: 9)
        #expect(Self.drain(source) == group + group)
        source.close()
    }

    /// Where the start code of an IDR picture's first slice begins; nil for another picture.
    private static func firstSlice(of unit: [UInt8]) -> Int? {
        unit.indices.dropLast(4).first { unit[$0..<$0 + 3] == [0, 0, 1] && unit[$0 + 3] & 0x1f == 5 }
    }

    @Test func aCameraThatEncodesIsAskedForAKeyFrameAtABoundary() throws {
        let fixtures = try MediaFixtures()
        let units = try CameraPictures.h264(try Self.numbered(fixtures, frames: 30), gop: 30)
        let camera = ListedCamera(Self.format(.h264), Self.items(units))
        let source = Self.source(camera)
        _ = try source.open()
        source.requestKeyFrame(from: Self.start + .seconds(0.5))
        for _ in 0..<10 { _ = try source.next() }
        #expect(camera.keyRequests == 0, "not before its time")
        for _ in 10..<30 {
            // The wish is repeated with every picture until it is fulfilled.
            source.requestKeyFrame(from: Self.start + .seconds(0.5))
            _ = try source.next()
        }
        #expect(camera.keyRequests == 1)
        source.close()
    }

    /// Codec, profile and bytes stay as the camera made them.
    @Test func codedPicturesAreCopied() throws {
        let fixtures = try MediaFixtures()
        let units = try CameraPictures.h264(try Self.numbered(fixtures, frames: 40), gop: 10)
        #expect(units.count == 40)
        // It had been streaming before it was opened.
        let camera = ListedCamera(Self.format(.h264, width: 999, height: 9), Self.items(Array(units[3...])))
        let source = Self.source(camera)
        var copy = MediaCopy(storage: fixtures.path("copy"), segmentSeconds: .milliseconds(300))
        try FileManager.default.createDirectory(atPath: copy.storage, withIntermediateDirectories: true)
        copy.framesMax = 30
        try copy.run(source)
        let format = try #require(copy.formats.first?.video)
        #expect(format.codecName == "h264" && format.width == 320 && format.height == 180, "as it is, not as said")
        #expect(copy.reports.map(\.videoFrames) == [10, 10, 10])
        #expect(try copy.paths.flatMap { try TestPatternReading.numbers(in: $0) } == Array(10..<40))
        let recorded = try fixtures.elementaryStream(of: copy.paths, codec: "h264", into: "recorded.h264")
        let made = units[10...].flatMap { $0 }
        try Data(made).write(to: URL(fileURLWithPath: fixtures.path("made.h264")))
        #expect(
            try fixtures.codedSlices(recorded, codec: .h264)
                == fixtures.codedSlices(fixtures.path("made.h264"), codec: .h264))
    }

    @Test func afterALostCodedPictureItGoesOnWithAKeyFrame() throws {
        let fixtures = try MediaFixtures()
        let units = try CameraPictures.h264(try Self.numbered(fixtures, frames: 30), gop: 10)
        var pictures = Self.items(units)
        pictures[4].lost = 2
        pictures[20].lost = 1
        let camera = ListedCamera(Self.format(.h264), pictures)
        let source = Self.source(camera)
        _ = try source.open()
        let whole = Array(repeating: "p", count: 9)
        #expect(
            Self.drain(source)
                == ["K", "p", "p", "p", "-8", "K"] + whole + ["-1", "K"] + whole)
        #expect(camera.keyRequests == 2)
        source.close()
    }

    @Test func aCameraWithoutAKeyFrameDoesNotOpen() throws {
        let fixtures = try MediaFixtures()
        let units = try CameraPictures.h264(try Self.numbered(fixtures, frames: 10), gop: 10)
        let camera = ListedCamera(Self.format(.h264), Self.items(Array(units[1...])))
        let source = Self.source(camera)
        #expect(throws: CodedError(.sourceUnavailable, "/dev/video0 was unplugged")) { try source.open() }
        source.close()
    }
}
