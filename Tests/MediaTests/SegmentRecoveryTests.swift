import Domain
import Foundation
import Media
import TestSupport
import Testing

/// Promise 5: a crash loses at most one part, and every file stays playable.
@Suite struct SegmentRecoveryTests {
    /// A small generator of known quality (SplitMix64), so that a failing position can be had again.
    struct Positions: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            return value ^ value >> 31
        }
    }

    private let fixtures: MediaFixtures
    private let copy: MediaCopy
    private let whole: Data

    init() throws {
        fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.mp4", seconds: 6, audio: ["-c:a", "aac"])
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(60))
        copy.audio = true
        try copy.run(SegmentCopyTests.source(clip, audio: true))
        self.copy = copy
        whole = try Data(contentsOf: URL(fileURLWithPath: copy.paths[0]))
    }

    private func partial(_ name: String, _ bytes: Data) throws -> String {
        let path = fixtures.path("\(name).partial.mp4")
        try bytes.write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test func anyPrefixBecomesAPlayableFile() throws {
        var positions = Positions(state: 1)
        let firstPart = copy.parts[0].bytes
        var framesBefore = 0
        for cut in (0..<48).map({ _ in Int.random(in: 0..<whole.count, using: &positions) }).sorted() {
            let path = try partial("cut-\(cut)", whole.prefix(cut))
            let recovered = try #require(try SegmentRecovery.finish(path))
            #expect(!FileManager.default.fileExists(atPath: path))
            guard let finished = recovered.finalPath else {
                #expect(cut < firstPart)
                continue
            }
            let expected = framesWritten(within: cut)
            let verification = try SegmentFileReader.verify(finished, decode: true)
            #expect(verification.faults == [], "cut at \(cut)")
            #expect(verification.videoFrames == expected.frames)
            #expect(verification.decodedFrames == expected.frames)
            #expect(verification.inspection.fileBytes == expected.bytes)
            #expect(recovered.bytesCut == Int64(cut) - expected.bytes)
            #expect(expected.frames >= framesBefore)
            framesBefore = expected.frames
            #expect(Double(try fixtures.ffprobe("format=duration", finished)) ?? 0 > 0)
        }
        #expect(framesBefore > 100)
    }

    /// What the parts that lie wholly before `cut` hold.
    private func framesWritten(within cut: Int) -> (frames: Int, bytes: Int64) {
        var frames = 0
        var bytes = 0
        for part in copy.parts {
            guard bytes + part.bytes <= cut else { break }
            bytes += part.bytes
            frames += part.videoFrames
        }
        // The last part belongs to finish(), which reports the segment and not the part.
        return cut >= whole.count ? (copy.reports[0].videoFrames, Int64(whole.count)) : (frames, Int64(bytes))
    }

    @Test func noiseBehindThePartsIsCutOff() throws {
        var positions = Positions(state: 7)
        let noise = Data((0..<5000).map { _ in UInt8.random(in: .min ... .max, using: &positions) })
        for tail in [
            noise, Data(count: 4096), Data([0, 0, 0, 0]) + noise, Data([0xff, 0xff, 0xff, 0xff]) + Data("moof".utf8),
        ] {
            let recovered = try #require(try SegmentRecovery.finish(partial("noise-\(tail.count)", whole + tail)))
            #expect(recovered.bytesCut == Int64(tail.count))
            let finished = try #require(recovered.finalPath)
            #expect(try SegmentFileReader.verify(finished).faults == [])
        }
    }

    /// A disk that flips a bit must cost no process: a bit of each byte of the headers, and large numbers.
    @Test func noBitOfAHeaderEndsTheReader() throws {
        let bytes = Data(whole.prefix(copy.parts[0].bytes + copy.parts[1].bytes))
        let path = fixtures.path("flipped.mp4")
        try bytes.write(to: URL(fileURLWithPath: path))
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        defer { try? file.close() }
        func look(_ what: String) throws {
            let found = try SegmentFileReader.inspect(path)
            #expect(found.duration <= .writtenMax && found.completeBytes <= Int64(bytes.count), "\(what)")
            #expect(found.manifest?.isPossible ?? true, "\(what)")
        }
        func put(_ byte: UInt8, at place: Int) throws {
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: [byte])
        }
        for place in Self.headers(of: bytes) {
            try put(place.isMultiple(of: 4) ? 0xff : bytes[place] ^ (1 << (place % 8)), at: place)
            try look("byte \(place)")
            try put(bytes[place], at: place)
        }
        // A box that is as long as 64 bits can say, behind another.
        for place in Self.boxes(of: bytes).dropFirst().map(\.lowerBound) {
            let size: [UInt8] = [0, 0, 0, 1] + Array("free".utf8) + [0x7f] + [UInt8](repeating: 0xff, count: 7)
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: size)
            try look("a long box at \(place)")
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: bytes[place..<place + size.count])
        }
        #expect(try SegmentFileReader.inspect(path).parts == 2)
    }

    private static func boxes(of bytes: Data) -> [Range<Int>] {
        var found: [Range<Int>] = []
        while let start = found.last?.upperBound ?? Optional(0), start + 8 <= bytes.count {
            let size = bytes[start..<start + 4].reduce(0) { $0 << 8 | Int($1) }
            guard size >= 8 else { break }
            found.append(start..<start + size)
        }
        return found
    }

    /// The bytes of `moov` and of the last `moof`.
    private static func headers(of bytes: Data) -> [Int] {
        let boxes = boxes(of: bytes)
        func last(_ type: String) -> Range<Int>? {
            boxes.last { bytes[$0.lowerBound + 4..<$0.lowerBound + 8] == Data(type.utf8) }
        }
        return ["moov", "moof"].compactMap(last).flatMap(Array.init)
    }

    @Test func aFileThatSomebodyWritesIsLeftAlone() throws {
        let format = try #require(copy.formats.first)
        let manifest = MediaCopy.manifest(index: 9)
        let writer = try SegmentWriter(
            storage: fixtures.folder, manifest: manifest, format: format, durability: .powerCut)
        let path = fixtures.path(manifest.path.relativePath)
        #expect(try SegmentRecovery.finish(path) == nil)
        #expect(FileManager.default.fileExists(atPath: path))
        writer.abandon()
        let recovered = try #require(try SegmentRecovery.finish(path))
        #expect(recovered.finalPath == nil)
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try SegmentRecovery.finish(path) == nil)
    }

    @Test func aFinishedFileIsNeverReplaced() throws {
        let path = try partial("taken", whole)
        let other = Data("something else".utf8)
        try other.write(to: URL(fileURLWithPath: fixtures.path("taken.mp4")))
        #expect(throws: CodedError.self) { try SegmentRecovery.finish(path) }
        #expect(try Data(contentsOf: URL(fileURLWithPath: fixtures.path("taken.mp4"))) == other)
        #expect(FileManager.default.fileExists(atPath: path))
        let format = try #require(copy.formats.first)
        #expect {
            try SegmentWriter(
                storage: fixtures.folder, manifest: MediaCopy.manifest(index: 0), format: format,
                durability: .powerCut)
        } throws: { ($0 as? CodedError)?.code == .conflict }
    }

    @Test func damageIsFound() throws {
        func verify(_ name: String, _ bytes: Data) throws -> SegmentVerification {
            let path = fixtures.path(name)
            try bytes.write(to: URL(fileURLWithPath: path))
            return try SegmentFileReader.verify(path, decode: true)
        }
        #expect(try verify("sound.mp4", whole).isSound)
        #expect(!(try verify("short.mp4", whole.dropLast(700)).isSound))
        // Overwrites some coded slices: their NAL unit lengths no longer add up, or they do not decode.
        for place in [whole.count / 3, whole.count / 2, whole.count * 3 / 4] {
            var damaged = whole
            for index in place..<place + 6000 { damaged[index] = 0 }
            #expect(!(try verify("damaged-\(place).mp4", damaged).isSound))
        }
        // A part that is gone as a whole leaves a file that plays, with fewer frames than the ledger has.
        let second = copy.parts[0].bytes
        let third = second + copy.parts[1].bytes
        let dropped = whole.prefix(second) + whole.dropFirst(third)
        let found = try verify("dropped.mp4", dropped)
        #expect(found.videoFrames == copy.reports[0].videoFrames - copy.parts[1].videoFrames)
    }
}
