import Domain
import Foundation
import Media
import TestSupport
import Testing

/// A change of parameter sets begins a new segment, and nothing is lost at it.
@Suite struct FormatChangeTests {
    private func join(_ paths: [String], _ fixtures: MediaFixtures, _ name: String) throws -> String {
        var whole = Data()
        for path in paths { whole += try Data(contentsOf: URL(fileURLWithPath: path)) }
        try whole.write(to: URL(fileURLWithPath: fixtures.path(name)))
        return fixtures.path(name)
    }

    @Test(arguments: [("256x144", 25), ("192x108", 50)], ["h264", "hevc"])
    func rawStream(_ change: (size: String, rate: Int), codec: String) throws {
        let fixtures = try MediaFixtures()
        let coder = codec == "hevc" ? SegmentCopyTests.x265 + ["-x265-params", "log-level=error"] : []
        let first = try fixtures.clip("a.\(codec)", seconds: 3, video: coder)
        let second = try fixtures.clip(
            "b.\(codec)", seconds: 3, size: change.size, rate: change.rate, video: coder)
        let clip = try join([first, second, first], fixtures, "both.\(codec)")
        // A raw stream states one rate for the whole of it, so that its length in seconds is nominal.
        let segments = change.rate == 25 ? 6...6 : 3...6
        try check(clip, codec: codec, segments: segments, fixtures, audio: false, sizes: ["192x108", change.size])
    }

    @Test func transportStreamWithAudio() throws {
        let fixtures = try MediaFixtures()
        let first = try fixtures.clip("a.ts", seconds: 3, audio: ["-c:a", "aac"])
        let second = try fixtures.clip(
            "b.ts", seconds: 3, size: "256x144", audio: ["-c:a", "aac", "-output_ts_offset", "3"])
        let clip = try join([first, second], fixtures, "both.ts")
        try check(clip, codec: "h264", segments: 4...4, fixtures, audio: true, sizes: ["192x108", "256x144"])
    }

    private func check(
        _ clip: String, codec: String, segments: ClosedRange<Int>, _ fixtures: MediaFixtures, audio: Bool,
        sizes: Set<String>
    ) throws {
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(2))
        copy.audio = audio
        try copy.run(SegmentCopyTests.source(clip, audio: audio))
        #expect(segments.contains(copy.reports.count))
        let kind = try #require(ParameterSets.Codec(name: codec))
        let original = try fixtures.codedSlices(
            fixtures.elementaryStream(of: [clip], codec: codec, into: "original"), codec: kind)
        let joined = try fixtures.elementaryStream(of: copy.paths, codec: codec, into: "joined.\(codec)")
        #expect(try fixtures.codedSlices(joined, codec: kind) == original)
        #expect(Set(copy.formats.map { "\($0.video.width)x\($0.video.height)" }) == sizes)
        for path in copy.paths {
            let verification = try SegmentFileReader.verify(path, decode: true)
            #expect(verification.faults == [])
            if audio { #expect(verification.audioPackets > 0) }
        }
        let shown = Set(try copy.paths.map { try fixtures.ffprobe("stream=width,height", $0) })
        #expect(shown == Set(sizes.map { $0.replacingOccurrences(of: "x", with: "\n") }))
    }
}
