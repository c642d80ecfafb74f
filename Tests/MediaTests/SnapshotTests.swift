import Domain
import Foundation
import Media
import Synchronization
import TestSupport
import Testing

@Suite struct SnapshotTests {
    struct Input: Sendable, CustomTestStringConvertible {
        var name: String
        var video: [String] = []
        /// Whether some pictures are of no use to others.
        var leavesOut = false
        var testDescription: String { "\(name) \(video.joined(separator: " "))" }
    }

    static let inputs = [
        Input(name: "avcc.mp4"), Input(name: "annex-b.ts"),
        Input(
            name: "b-frames.mp4", video: ["-preset", "veryfast", "-bf", "3", "-x264-params", "b-pyramid=normal"],
            leavesOut: true),
        Input(
            name: "open-gop.mp4", video: ["-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1"],
            leavesOut: true),
        Input(name: "slices.mp4", video: ["-x264-params", "slices=4"]),
        Input(
            name: "interlaced.ts", video: ["-preset", "veryfast", "-flags", "+ilme+ildct", "-x264-params", "tff=1"],
            leavesOut: true),
        Input(name: "4-2-2.mp4", video: ["-pix_fmt", "yuv422p"]),
        Input(name: "full-range.mp4", video: ["-pix_fmt", "yuvj420p"]),
        Input(
            name: "h265.mp4", video: SegmentCopyTests.x265 + ["-x265-params", "log-level=error:bframes=3:keyint=25"],
            leavesOut: true),
        Input(
            name: "h265-10-bit.mp4",
            video: SegmentCopyTests.x265 + ["-pix_fmt", "yuv420p10le", "-x265-params", "log-level=error:keyint=25"],
            leavesOut: true),
        Input(
            name: "h265-layers.ts",
            video: SegmentCopyTests.x265 + ["-x265-params", "log-level=error:keyint=25:bframes=3:temporal-layers=1"]),
        Input(name: "mjpeg.avi", video: ["-c:v", "mjpeg", "-q:v", "3"]),
    ]

    /// The n-th packet arrives at n seconds.
    private static func packets(_ path: String) throws -> (format: StreamFormat, packets: [Packet]) {
        let count = Counter()
        let source = MediaSources.undecoded(.init(path: path, atFullSpeed: true)) { count.next() }
        defer { source.close() }
        let format = try source.open()
        var packets: [Packet] = []
        while case .packet(let packet) = try source.next() { packets.append(packet) }
        return (format, packets)
    }

    final class Counter: Sendable {
        private let count = Atomic<Int64>(0)
        func next() -> MonotonicTime {
            MonotonicTime(nanoseconds: count.add(1, ordering: .relaxed).newValue * 1_000_000_000)
        }
    }

    private static let (width, height) = (192, 108)

    /// Grey values of every picture of a file as `ffmpeg` decodes it, in the order of presentation.
    private static func pictures(_ path: String, _ fixtures: MediaFixtures) throws -> [[UInt8]] {
        let raw = fixtures.path("pictures.raw")
        try fixtures.ffmpeg(["-i", path, "-fps_mode", "passthrough", "-pix_fmt", "gray", "-f", "rawvideo", raw])
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: raw)))
        let size = width * height
        return stride(from: 0, to: bytes.count, by: size).map { Array(bytes[$0..<$0 + size]) }
    }

    private static func decoded(_ snapshot: Snapshot, _ format: String, _ fixtures: MediaFixtures) throws -> [UInt8] {
        let (path, raw) = (fixtures.path("snapshot.jpg"), fixtures.path("snapshot.raw"))
        try Data(snapshot.jpeg).write(to: URL(fileURLWithPath: path))
        try fixtures.ffmpeg(["-i", path, "-pix_fmt", format, "-f", "rawvideo", raw])
        return [UInt8](try Data(contentsOf: URL(fileURLWithPath: raw)))
    }

    private static func difference(_ left: [UInt8], _ right: [UInt8]) -> Double {
        Double(zip(left, right).reduce(0) { $0 + abs(Int($1.0) - Int($1.1)) }) / Double(left.count)
    }

    @Test(arguments: inputs) func theWantedPictureIsShown(_ input: Input) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(input.name, seconds: 3, video: input.video)
        let (format, packets) = try Self.packets(clip)
        let shown = try Self.pictures(clip, fixtures)
        #expect(packets.count == shown.count)
        let order = packets.compactMap { $0.pts ?? $0.dts }.sorted()
        let maker = SnapshotMaker()
        var hasLeftOut = false
        for index in [0, 1, 2, 7, 24, 25, 26, 40, 49, 50, packets.count - 1] {
            let moment = packets[index].arrival + .milliseconds(1)
            let snapshot = try maker.make(.init(moment: moment, quality: 95), from: packets, format: format)
            #expect(snapshot.width == Self.width && snapshot.height == Self.height)
            // Nothing shown later has come by then.
            let newest = try #require(packets[...index].compactMap { $0.pts ?? $0.dts }.max())
            #expect((snapshot.pts ?? newest) == newest)
            #expect(snapshot.arrival <= moment)
            let place = try #require(order.firstIndex(of: newest))
            let seen = try Self.decoded(snapshot, "gray", fixtures)
            let differences = shown.map { Self.difference($0, seen) }
            #expect(differences[place] == differences.min())
            #expect(differences[place] < 2)
            let key = packets[...index].lastIndex { $0.isKey } ?? 0
            hasLeftOut = hasLeftOut || snapshot.decoded < index - key
        }
        #expect(hasLeftOut == input.leavesOut || input.name.hasPrefix("mjpeg") || input.name.contains("layers"))
    }

    /// A follower gives what the key frame gives, whatever it has seen of the stream and when.
    @Test(arguments: inputs) func aFollowerShowsTheSamePicture(_ input: Input) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(input.name, seconds: 3, video: input.video)
        let (format, packets) = try Self.packets(clip)
        let maker = SnapshotMaker()
        let shown = try Self.pictures(clip, fixtures)
        let order = packets.compactMap { $0.pts ?? $0.dts }.sorted()
        let isLookedAt = ["b-frames.mp4", "open-gop.mp4"].contains(input.name)
        var random = SeededRandom(seed: 7)
        var (decoded, decodedAnew) = (0, 0)
        for _ in 0..<3 {
            let follower = PictureFollower()
            for index in packets.indices {
                let part = packets[...index]
                // A busy machine lets it fall behind, and a snapshot stops it between two pictures.
                var left = random.chance(0.25) ? 0 : random.int(in: 1...30)
                _ = try follower.follow(part, format: format) {
                    left -= 1
                    return left >= 0
                }
                guard random.chance(0.25) else { continue }
                let wish = SnapshotWish(moment: packets[index].arrival, quality: 90)
                let wanted = try maker.make(wish, from: part, format: format)
                let snapshot = try maker.make(wish, from: part, format: format, follower: follower)
                #expect(snapshot.jpeg == wanted.jpeg && snapshot.arrival == wanted.arrival, "\(index)")
                decoded += snapshot.decoded
                decodedAnew += wanted.decoded
                guard random.chance(0.5) else { continue }
                let older = SnapshotWish(moment: wish.moment, leeway: .seconds(random.int(in: 0...20)), quality: 90)
                let other = try maker.make(older, from: part, format: format, follower: follower)
                #expect(other.arrival <= older.moment && other.arrival >= wanted.arrival - older.leeway)
                guard isLookedAt else { continue }
                let pts = try #require(other.pts)
                let place = try #require(order.firstIndex(of: pts))
                let seen = try Self.decoded(other, "gray", fixtures)
                #expect(Self.difference(shown[place], seen) < 2, "whole, up to \(index), \(older.leeway)")
            }
        }
        #expect(decoded * 3 < decodedAnew || input.name.hasPrefix("mjpeg"), "\(decoded) of \(decodedAnew)")
    }

    /// The first pictures of an open GOP are shown before its key frame, and refer to the group before.
    @Test(arguments: [false, true]) func anOlderPictureIsNeverOneThatComesBeforeItsKeyFrame(isFollowed: Bool) throws {
        let fixtures = try MediaFixtures()
        let input = try #require(Self.inputs.first { $0.name == "open-gop.mp4" })
        let (format, packets) = try Self.packets(try fixtures.clip(input.name, seconds: 3, video: input.video))
        var asked = 0
        for key in packets.indices.dropFirst() where packets[key].isKey {
            let keyPTS = try #require(packets[key].pts)
            let follower = isFollowed ? PictureFollower() : nil
            for index in key..<min(key + 8, packets.count) {
                _ = try follower?.follow(packets[...index], format: format) { true }
                // The window begins with each of those that have come since the key frame.
                for first in key...index {
                    let moment = packets[index].arrival
                    let wish = SnapshotWish(moment: moment, leeway: moment - packets[first].arrival + .milliseconds(1))
                    let snapshot = try SnapshotMaker().make(
                        wish, from: packets[...index], format: format, follower: follower)
                    #expect(try #require(snapshot.pts) >= keyPTS, "\(key), up to \(index), from \(first)")
                    if try #require(packets[first].pts) < keyPTS { asked += 1 }
                }
            }
        }
        #expect(asked > 0, "there are such pictures")
    }

    @Test func aFollowerGoesOnFromStreamToStream() throws {
        let fixtures = try MediaFixtures()
        let follower = PictureFollower()
        for (name, size) in [("first.mp4", "192x108"), ("second.mp4", "128x96"), ("third.mp4", "192x108")] {
            let (format, packets) = try Self.packets(try fixtures.clip(name, seconds: 1, size: size))
            #expect(try follower.follow(packets, format: format) { true })
            let wish = SnapshotWish(moment: try #require(packets.last).arrival)
            let snapshot = try SnapshotMaker().make(wish, from: packets, format: format, follower: follower)
            #expect("\(snapshot.width)x\(snapshot.height)" == size && snapshot.decoded <= 1)
        }
        let (format, packets) = try Self.packets(fixtures.path("first.mp4"))
        #expect(throws: CodedError.self) {
            _ = try follower.follow(packets.dropFirst(), format: format) { true }
        }
    }

    /// Who takes a picture that is not the newest has the one within his limit that is decoded soonest.
    @Test(arguments: ["avcc.mp4", "b-frames.mp4", "h265.mp4"])
    func anOlderPictureCostsLess(_ name: String) throws {
        let fixtures = try MediaFixtures()
        let input = try #require(Self.inputs.first { $0.name == name })
        let clip = try fixtures.clip(name, seconds: 3, video: input.video)
        let (format, packets) = try Self.packets(clip)
        let shown = try Self.pictures(clip, fixtures)
        let order = packets.compactMap { $0.pts ?? $0.dts }.sorted()
        let index = 47
        let key = try #require(packets[...index].lastIndex { $0.isKey })
        #expect(key == 25)
        let moment = packets[index].arrival
        var decoded: [Int] = []
        for age in [0, 1, 5, 21, 22, 40] {
            let snapshot = try SnapshotMaker().make(
                .init(moment: moment, leeway: .seconds(age), quality: 95), from: packets, format: format)
            // The picture that is shown last need not have come last.
            #expect(snapshot.arrival >= moment - .seconds(max(age, 4)))
            decoded.append(snapshot.decoded)
            let pts = try #require(packets.first { $0.arrival == snapshot.arrival }.map { $0.pts ?? $0.dts ?? 0 })
            let place = try #require(order.firstIndex(of: pts))
            let seen = try Self.decoded(snapshot, "gray", fixtures)
            let differences = shown.map { Self.difference($0, seen) }
            #expect(differences[place] == differences.min(), "age \(age)")
        }
        #expect(decoded == decoded.sorted(by: >))
        #expect(decoded.suffix(2) == [1, 1] && decoded[0] > 5)
    }

    /// Colours as a viewer of JPEG reads them, whatever range, matrix and depth the source has.
    @Test(arguments: [
        ["-vf", "scale=out_color_matrix=bt601:out_range=tv", "-colorspace", "smpte170m"],
        ["-vf", "scale=out_color_matrix=bt709:out_range=tv", "-colorspace", "bt709"],
        ["-vf", "scale=out_color_matrix=bt709:out_range=pc", "-colorspace", "bt709", "-color_range", "pc"],
        ["-vf", "scale=out_color_matrix=bt601:out_range=pc", "-pix_fmt", "yuvj422p", "-colorspace", "smpte170m"],
        SegmentCopyTests.x265 + [
            "-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le", "-pix_fmt", "yuv420p10le",
            "-x265-params", "log-level=error:colormatrix=bt709",
        ],
    ]) func coloursAreTrue(_ video: [String]) throws {
        let fixtures = try MediaFixtures()
        for (name, red, green, blue) in [("red", 255, 0, 0), ("#20a060", 32, 160, 96), ("white", 255, 255, 255)] {
            let clip = fixtures.path("colour.mp4")
            try fixtures.ffmpeg(
                [
                    "-f", "lavfi", "-i", "color=c=\(name):size=128x128:rate=25:duration=1,format=rgb24", "-c:v",
                    "libx264",
                ]
                    + ["-pix_fmt", "yuv420p"] + video + [clip])
            let (format, packets) = try Self.packets(clip)
            let last = try #require(packets.last).arrival
            for width in [nil, 64] {
                let snapshot = try SnapshotMaker().make(
                    .init(moment: last, width: width, quality: 100), from: packets,
                    format: format)
                let pixels = try Self.decoded(snapshot, "rgb24", fixtures)
                let middle = pixels.count / 6 * 3
                let seen = (Int(pixels[middle]), Int(pixels[middle + 1]), Int(pixels[middle + 2]))
                #expect(
                    abs(seen.0 - red) < 6 && abs(seen.1 - green) < 6 && abs(seen.2 - blue) < 6,
                    "\(name) is shown as \(seen)")
            }
        }
    }

    @Test func sizesKeepTheShape() throws {
        let square = (numerator: 1, denominator: 1)
        for (size, expected) in [
            (SnapshotSize(width: 1920, height: 1080, aspect: square, wanted: nil), (1920, 1080)),
            (SnapshotSize(width: 1920, height: 1080, aspect: square, wanted: 640), (640, 360)),
            (SnapshotSize(width: 1920, height: 1080, aspect: square, wanted: 4000), (1920, 1080)),
            (SnapshotSize(width: 1919, height: 1079, aspect: square, wanted: nil), (1920, 1080)),
            (SnapshotSize(width: 704, height: 576, aspect: (12, 11), wanted: nil), (768, 576)),
            (SnapshotSize(width: 720, height: 480, aspect: (8, 9), wanted: 320), (320, 240)),
            (SnapshotSize(width: 640, height: 480, aspect: (0, 1), wanted: 16), (16, 12)),
            (SnapshotSize(width: 4096, height: 16, aspect: square, wanted: 16), (16, 2)),
        ] { #expect((size.width, size.height) == expected) }

        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("wide.mp4", seconds: 1, size: "352x288", video: ["-vf", "setsar=2/1"])
        let (format, packets) = try Self.packets(clip)
        for (wanted, width, height) in [(nil, 704, 288), (352, 352, 144), (101, 102, 42)] {
            let snapshot = try SnapshotMaker().make(
                .init(moment: packets[3].arrival, width: wanted), from: packets, format: format)
            #expect(snapshot.width == width && snapshot.height == height)
            let read = snapshot.jpeg.withUnsafeBytes { JPEGMarkers($0) }
            let markers = try #require(read)
            #expect(markers.width == width && markers.height == height)
            #expect(markers.length == snapshot.jpeg.count && markers.hasHuffmanTables)
        }
    }

    @Test func moreQualityIsNeverLess() throws {
        let steps = JPEGEncoder.qualityRange.map { JPEGEncoder.quantizer(quality: $0) }
        #expect(zip(steps, steps.dropFirst()).allSatisfy { $0 >= $1 })
        #expect(steps.first == 31 && steps.last == 2)
        let fixtures = try MediaFixtures()
        let (format, packets) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        let sizes = try [1, 25, 50, 75, 85, 100].map { quality in
            try SnapshotMaker().make(
                .init(moment: packets[0].arrival, quality: quality), from: packets, format: format
            ).jpeg.count
        }
        #expect(zip(sizes, sizes.dropFirst()).allSatisfy { $0 < $1 })
    }

    @Test func aJPEGOfTheCameraIsKept() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("mjpeg.avi", seconds: 1, video: ["-c:v", "mjpeg", "-q:v", "3"])
        let (format, packets) = try Self.packets(clip)
        let snapshot = try SnapshotMaker().make(
            .init(moment: packets[7].arrival), from: packets, format: format)
        #expect(snapshot.arrival == packets[7].arrival && snapshot.decoded == 0)
        let coded = packets[7].withBytes { Array($0) }
        #expect(Array(coded.prefix(snapshot.jpeg.count)) == snapshot.jpeg)
        #expect(snapshot.jpeg.suffix(2) == [0xff, 0xd9])
        let small = try SnapshotMaker().make(
            .init(moment: packets[7].arrival, width: 96), from: packets, format: format)
        #expect(small.width == 96 && small.height == 54 && small.decoded == 1)
    }

    @Test func markersOfDamagedPicturesAreNotBelieved() throws {
        let whole: [UInt8] =
            [0xff, 0xd8, 0xff, 0xff, 0xc0, 0, 11, 8, 0, 16, 0, 32, 1, 1, 0x11, 0] + [
                0xff, 0xda, 0, 2, 1, 2, 0xff, 0xd9,
            ]
        let read = whole.withUnsafeBytes { JPEGMarkers($0) }
        #expect(read?.width == 32 && read?.height == 16)
        #expect(read?.length == whole.count && read?.hasHuffmanTables == false)
        #expect((whole + [0, 0]).withUnsafeBytes { JPEGMarkers($0)?.length } == whole.count)
        for count in 0..<whole.count {
            #expect(whole[..<count].withUnsafeBytes { JPEGMarkers($0)?.length } == nil)
        }
        var random = SeededRandom(seed: 7)
        for _ in 0..<2000 {
            var bytes = whole
            for _ in 0..<3 {
                bytes[Int.random(in: 2..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            _ = bytes.withUnsafeBytes { JPEGMarkers($0) }
        }
    }

    @Test func whatCannotBeShownIsSaid() throws {
        let fixtures = try MediaFixtures()
        let (format, packets) = try Self.packets(try fixtures.clip("clip.mp4", seconds: 1))
        func code(_ wish: SnapshotWish, _ packets: [Packet]) -> ErrorCode? {
            do throws(CodedError) {
                _ = try SnapshotMaker().make(wish, from: packets, format: format)
                return nil
            } catch { return error.code }
        }
        let now = packets[9].arrival
        #expect(code(.init(moment: .zero), packets) == .notReady)
        #expect(code(.init(moment: now), []) == .notReady)
        #expect(code(.init(moment: now), Array(packets[1...9])) == .notReady)
        for width in [0, -1, 15, 7681] { #expect(code(.init(moment: now, width: width), packets) == .invalidArgument) }
        for quality in [0, 101] { #expect(code(.init(moment: now, quality: quality), packets) == .invalidArgument) }
        let interrupted = SnapshotMaker()
        interrupted.interrupt()
        #expect(throws: CodedError(.sourceUnavailable, "the snapshot was interrupted")) {
            try interrupted.make(.init(moment: now), from: packets, format: format)
        }
        #expect {
            try SnapshotMaker(timeLimit: .zero).make(.init(moment: now), from: packets, format: format)
        } throws: { ($0 as? CodedError)?.code == .timeout }
    }

    @Test func aGroupWithoutEndIsNotDecoded() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(
            "long.mp4", seconds: 38, size: "64x64", video: ["-g", "2000", "-keyint_min", "2000"])
        let (format, packets) = try Self.packets(clip)
        let within = SnapshotMaker.picturesMax - 1
        let snapshot = try SnapshotMaker(timeLimit: .seconds(60)).make(
            .init(moment: packets[within].arrival), from: packets, format: format)
        #expect(snapshot.decoded == SnapshotMaker.picturesMax)
        #expect {
            try SnapshotMaker().make(.init(moment: packets[within + 1].arrival), from: packets, format: format)
        } throws: { ($0 as? CodedError)?.code == .timeout }
    }

    @Test func aDamagedStreamGivesAnErrorOrAPicture() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.ts", seconds: 1)
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: clip)))
        var random = SeededRandom(seed: 3)
        for _ in 0..<200 { bytes[Int.random(in: 2000..<bytes.count, using: &random)] ^= 0x55 }
        let damaged = fixtures.path("damaged.ts")
        try Data(bytes).write(to: URL(fileURLWithPath: damaged))
        let (format, packets) = try Self.packets(damaged)
        for packet in packets {
            do throws(CodedError) {
                let snapshot = try SnapshotMaker().make(.init(moment: packet.arrival), from: packets, format: format)
                #expect(snapshot.width == Self.width)
            } catch { #expect(error.code == .sourceUnavailable) }
        }
    }
}
