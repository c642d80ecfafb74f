import Domain
import Foundation
import TestSupport
import Testing

@testable import Media

/// What streams, files and addresses may claim, at the edge of what the types hold.
@Suite struct HostileNumberTests {
    // MARK: Errors

    @Test func libavsOwnErrorsAreToldInItsWords() {
        let damage = LibavError.storage(libav: -1_094_995_529, "cannot write a.mp4")
        let words = "Invalid data found when processing input"
        #expect(damage == CodedError(.storageFailed, "cannot write a.mp4", cause: words))
        let full = LibavError.storage(libav: -ENOSPC, "cannot write a.mp4")
        #expect(full == CodedError(.storageFull, "cannot write a.mp4", cause: "No space left on device"))
        #expect(LibavError.storage(libav: .min, "x").code == .storageFailed)
    }

    // MARK: Addresses

    @Test(arguments: [
        ("rtsp://host/front", 554), ("rtsps://host/front", 322), ("rtsp://host:8554/front", 8554),
        ("rtsp://[::1]/front", 554), ("rtsp://[fd00::a]/front", 554), ("rtsp://[fd00::8554]", 554),
        ("rtsps://[::1]/front", 322), ("rtsp://[::1]:8554/front", 8554), ("rtsp://[fe80::1]:1", 1),
    ]) func thePortStandsBehindTheHost(_ location: String, port: Int) throws {
        #expect(try RTSPAddress(location).port == port)
    }

    @Test(arguments: [
        "rtsp://[::1]:/front", "rtsp://[::1]x/front", "rtsp://[::1]:0/front", "rtsp://[::1]:65536/front",
        "rtsp://::1/front", "rtsp://host:1:2/front", "rtsp://[::1/front",
    ]) func whatIsNoPortIsRefused(_ location: String) {
        #expect { try RTSPAddress(location) } throws: { ($0 as? CodedError)?.code == .invalidArgument }
    }

    // MARK: Parameter sets

    private static let sps: [UInt8] = [0x67, 0x42, 0x00, 0x0a]
    private static let pps: [UInt8] = [0x68, 0xce, 0x38, 0x80]

    private func record(sps: Int, pps: Int, bytes: Int = 4) -> [UInt8]? {
        let long = Self.pps + [UInt8](repeating: 1, count: bytes - 4)
        let sets = Array(repeating: (type: UInt8(7), bytes: Self.sps), count: sps)
        return ParameterSets.avcC(sets + Array(repeating: (type: UInt8(8), bytes: long), count: pps), lengthSize: 4)
    }

    @Test func aRecordHoldsWhatItsCountsAndLengthsHold() throws {
        for (sps, pps, bytes) in [(1, 1, 4), (31, 255, 4), (1, 2, 65_535)] {
            let made = try #require(record(sps: sps, pps: pps, bytes: bytes))
            #expect(ParameterSets.units(inExtradata: made, codec: .h264).count == sps + pps)
            #expect(ParameterSets.lengthSize(extradata: made, codec: .h264) == 4)
        }
        #expect(record(sps: 0, pps: 1) == nil)
        for (sps, pps, bytes) in [(1, 256, 4), (32, 1, 4), (256, 1, 4), (1, 1, 65_536)] {
            #expect(record(sps: sps, pps: pps, bytes: bytes) == nil, "\(sps), \(pps), \(bytes)")
        }
    }

    /// A key frame is left as it is rather than given a set whose length its own form cannot say.
    @Test func aSetThatIsTooLongForTheLengthsIsNotPutIn() throws {
        func units(_ bytes: Int) throws -> KeyFrameUnits? {
            var set = try #require(record(sps: 1, pps: 1, bytes: bytes))
            set[4] = 0xfc
            return KeyFrameUnits(
                TrackFormat(kind: .video, codecName: "h264", timeBase: .mpeg, parameterSets: set))
        }
        #expect(try units(255) != nil)
        #expect(try units(256) == nil)
    }

    // MARK: Timestamps

    private func packet(_ track: TrackKind, _ ticks: Int64, duration: Int64) throws -> Packet {
        let coded = try CodedPicture()
        try coded.hold([0], pts: ticks, dts: ticks, isKey: true)
        let packet = try Packet(moving: coded.raw, track: track, arrival: .zero)
        packet.setTimestamps(pts: ticks, dts: ticks, duration: duration)
        return packet
    }

    @Test(arguments: [Int64.min + 1, -1, 0, .max / 2, .max])
    func aLoopOfAnyLengthStaysWithin64Bits(_ end: Int64) throws {
        var clock = LoopClock()
        for _ in 0..<4 {
            for ticks in [Int64.min + 1, 0, end] {
                let video = try packet(.video, ticks, duration: .max)
                let audio = try packet(.audio, ticks, duration: .max)
                clock.place(video: video.raw, timeBase: .mpeg)
                clock.place(audio: audio.raw, timeBase: TimeBase(1, 1))
            }
            _ = clock.turn()
        }
        let last = try packet(.video, .max, duration: 1)
        clock.place(video: last.raw, timeBase: .mpeg)
        #expect(last.dts == .max)
    }

    /// The base decode time of a part of a file, as a bit of a bad disk may leave it.
    private func claim(_ time: UInt64, in path: String) throws {
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        let box = try #require(bytes.range(of: Data("tfdt".utf8), options: .backwards))
        #expect(bytes[box.upperBound] == 1, "64 bits")
        let coded = (0..<8).map { UInt8(truncatingIfNeeded: time >> (56 - 8 * $0)) }
        bytes.replaceSubrange(box.upperBound + 4..<box.upperBound + 12, with: coded)
        try bytes.write(to: URL(fileURLWithPath: path))
    }

    @Test(arguments: [0x6000_0000_0000_0000, 0x3fff_ffff_ffff_0000, 0x7ffe_0000_0000_0000] as [UInt64])
    func aFileWithATimeBeyondAllClocksPlaysAndLoops(_ time: UInt64) throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.mp4", seconds: 3)
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(60))
        try copy.run(SegmentCopyTests.source(clip))
        let path = try #require(copy.paths.first)
        try claim(time, in: path)
        let source = SegmentCopyTests.source(path, loops: true)
        defer { source.close() }
        _ = try source.open()
        var frames = 0
        while frames < 4 * 75 {
            guard case .packet = try source.next() else { continue }
            frames += 1
        }
    }
}
