import Domain
import Foundation
import Media
import TestSupport
import Testing

@Suite struct SegmentJoinerTests {
    private func record(
        _ fixtures: MediaFixtures, video: [String] = [], audio: [String]? = nil
    ) throws -> (clip: String, pieces: [SegmentJoiner.Piece], copy: MediaCopy) {
        let clip = try fixtures.clip("clip.mp4", seconds: 6, video: video, audio: audio)
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(2))
        copy.audio = audio != nil
        try copy.run(SegmentCopyTests.source(clip, audio: audio != nil))
        var offset = Duration.zero
        let pieces = zip(copy.paths, copy.reports).map { path, report in
            defer { offset += report.duration }
            return SegmentJoiner.Piece(path: path, sessionOffset: offset)
        }
        return (clip, pieces, copy)
    }

    @Test(arguments: [nil, ["-c:a", "aac"]]) func piecesBecomeOneFile(audio: [String]?) throws {
        let fixtures = try MediaFixtures()
        let (clip, pieces, copy) = try record(fixtures, video: ["-preset", "veryfast", "-bf", "2"], audio: audio)
        let output = fixtures.path("joined.mp4")
        var steps: [Double] = []
        let report = try SegmentJoiner.join(pieces, output: output) { steps.append($0) }
        #expect(report.videoFrames == 150)
        #expect(report.audioPackets == copy.reports.reduce(0) { $0 + $1.audioPackets })
        #expect(report.duration == .seconds(6))
        #expect(steps.count == 3 && steps.last == 1)
        #expect(try fixtures.ffmpeg(["-xerror", "-i", output, "-f", "null", "-"]) == "")
        func slices(_ path: String) throws -> [[UInt8]] {
            try fixtures.codedSlices(
                fixtures.elementaryStream(of: [path], codec: "h264", into: "whole"), codec: .h264)
        }
        #expect(try slices(output) == slices(clip))
        #expect(try fixtures.ffprobe("stream=nb_frames", output).hasPrefix("150"))
        #expect(throws: CodedError.self) { try SegmentJoiner.join(pieces, output: output) }
    }

    @Test func aRangeIsWidenedToKeyFrames() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        let output = fixtures.path("range.mp4")
        let range: Range<Duration> = .milliseconds(1500)..<(.milliseconds(4500))
        let report = try SegmentJoiner.join(pieces, range: range, output: output)
        // Key frames lie on whole seconds: 1 s to 5 s.
        #expect(report.videoFrames == 100)
        #expect(report.duration == .seconds(4))
        #expect(try fixtures.ffmpeg(["-xerror", "-i", output, "-f", "null", "-"]) == "")
        let nothing: Range<Duration> = .seconds(100)..<(.seconds(200))
        #expect {
            try SegmentJoiner.join(pieces, range: nothing, output: fixtures.path("nothing.mp4"))
        } throws: { ($0 as? CodedError)?.code == .invalidArgument }
        #expect(!FileManager.default.fileExists(atPath: fixtures.path("nothing.mp4.part")))
    }

    @Test func aGapStaysAGap() throws {
        let fixtures = try MediaFixtures()
        var (_, pieces, _) = try record(fixtures)
        pieces[2].sessionOffset += .seconds(3)
        let report = try SegmentJoiner.join(pieces, output: fixtures.path("gap.mp4"))
        #expect(report.videoFrames == 150)
        #expect(report.duration == .seconds(9))
    }

    private func names(_ fixtures: MediaFixtures) throws -> Set<String> {
        Set(try FileManager.default.contentsOfDirectory(atPath: fixtures.folder))
    }

    /// The second begins and ends while the first is at work; a file beside them that looks like theirs is nobody's.
    @Test func twoThatWantOneNameLeaveTheFirstThatIsDone() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        let (output, other) = (fixtures.path("joined.mp4"), fixtures.path("joined.mp4.part"))
        try "mine".write(toFile: other, atomically: true, encoding: .utf8)
        let before = try names(fixtures)
        var second: Result<JoinReport, any Error>?
        #expect {
            try SegmentJoiner.join(pieces, output: output) { _ in
                second = second ?? Result { try SegmentJoiner.join(pieces, output: output) }
            }
        } throws: { ($0 as? CodedError)?.code == .conflict }
        #expect(try second?.get().videoFrames == 150)
        #expect(try fixtures.ffprobe("stream=nb_frames", output).hasPrefix("150"))
        #expect(try String(contentsOfFile: other, encoding: .utf8) == "mine")
        #expect(try names(fixtures) == before.union(["joined.mp4"]))
    }

    @Test func whatIsNotWantedAnyMoreLeavesNothing() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        let before = try names(fixtures)
        var piecesDone = 0
        #expect {
            try SegmentJoiner.join(
                pieces, output: fixtures.path("joined.mp4"), progress: { _ in piecesDone += 1 },
                isUnwanted: { piecesDone > 0 })
        } throws: { ($0 as? CodedError)?.code == .expired }
        #expect(piecesDone == 1)
        #expect(try names(fixtures) == before)
    }

    private func damage(_ path: String, _ change: (inout Data) throws -> Void) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        try change(&bytes)
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    private func unreadable(
        _ pieces: [SegmentJoiner.Piece], range: Range<Duration>? = nil, _ fixtures: MediaFixtures
    ) throws {
        let before = try names(fixtures)
        #expect {
            try SegmentJoiner.join(pieces, range: range, output: fixtures.path("joined.mp4"))
        } throws: { ($0 as? CodedError)?.code == .sourceUnavailable }
        #expect(try names(fixtures) == before, "no half of a clip")
    }

    /// A clip that is shorter than what was recorded must not look like a whole one.
    @Test func aPieceThatBreaksOffIsAnError() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        try damage(pieces[1].path) { $0 = $0.dropLast(700) }
        try unreadable(pieces, fixtures)
        try unreadable(pieces, range: .seconds(1)..<(.seconds(100)), fixtures)
        try unreadable([pieces[1]], range: .milliseconds(3999)..<(.seconds(100)), fixtures)
        // What lies before the damage can be had.
        let range: Range<Duration> = .zero..<(.milliseconds(2900))
        #expect(try SegmentJoiner.join(pieces, range: range, output: fixtures.path("part.mp4")).videoFrames == 75)
    }

    /// As `EIO`, what libav says here is not the end of the file.
    @Test func aPlaceThatCannotBeReadIsAnError() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        try damage(pieces[1].path) { bytes in
            let run = try #require(bytes.range(of: Data("trun".utf8), options: .backwards))
            try #require(bytes[run.upperBound + 3] & 1 == 1, "it says where its data begins")
            bytes.replaceSubrange(run.upperBound + 8..<run.upperBound + 12, with: [0x80, 0, 0, 1])
        }
        #expect(try !SegmentFileReader.inspect(pieces[1].path).isTorn)
        try unreadable(pieces, fixtures)
    }

    @Test func otherParameterSetsAreRefusedAndGrouped() throws {
        let fixtures = try MediaFixtures()
        let (_, pieces, _) = try record(fixtures)
        let other = try MediaFixtures()
        let clip = try other.clip("other.mp4", seconds: 2, size: "256x144")
        var copy = MediaCopy(storage: other.folder, segmentSeconds: .seconds(2))
        try copy.run(SegmentCopyTests.source(clip))
        let mixed = pieces + [SegmentJoiner.Piece(path: copy.paths[0], sessionOffset: .seconds(6))]
        #expect { try SegmentJoiner.join(mixed, output: fixtures.path("mixed.mp4")) } throws: {
            ($0 as? CodedError)?.code == .conflict
        }
        #expect(!FileManager.default.fileExists(atPath: fixtures.path("mixed.mp4")))
        #expect(try SegmentJoiner.runs(mixed).map(\.count) == [3, 1])
    }
}
