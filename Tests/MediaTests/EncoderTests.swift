import Domain
import TestSupport
import Testing

@testable import Media

/// Which encoder is taken and what is said of it; what encoders in hardware do with parameter sets.
@Suite(.serialized) struct EncoderTests {
    /// There is no encoder in hardware where this runs, or it works; both are said.
    @Test(arguments: EncoderKind.allCases) func theEncoderThatIsUsedIsNamed(_ kind: EncoderKind) throws {
        let camera = ListedCamera(
            ListedCamera.format(.raw(.yuyv422), width: 64, height: 36), ListedCamera.grey(3), buffers: 2)
        let source = camera.source(EncoderSettings(kind: kind))
        defer { source.close() }
        _ = try source.open()
        let encoder = try #require(source.input?.encoder)
        if kind == .software { #expect(encoder == "libx264") }
        if kind != .software, encoder == "libx264" {
            let remark = try #require(source.remarks.first)
            #expect(source.remarks.count == 1 && remark.isWarning == (kind == .hardware))
            #expect(remark.text.contains("no hardware encoder works, libx264 is used (h264_v4l2m2m: "))
        } else {
            #expect(source.remarks == [])
        }
        guard case .packet(let first) = try source.next() else { throw CodedError(.internal, "no picture") }
        #expect(first.isKey)
    }

    /// Any source, not only a camera at this machine.
    @Test func aFileOfJPEGsSaysSoToo() throws {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.avi", seconds: 1, video: ["-c:v", "mjpeg"])
        let source = MediaSources.make(
            .file(.init(path: clip, atFullSpeed: true)), encoder: EncoderSettings(kind: .hardware), audio: false,
            openTimeout: .seconds(20), stallTimeout: .seconds(20))
        defer { source.close() }
        _ = try source.open()
        #expect(source.input == nil)
        let choice = try EncoderChoice.make(
            EncoderSettings(kind: .hardware), width: 192, height: 108, frame: TimeBase(1, 25))
        #expect(source.remarks == choice.remarks)
    }

    @Test(arguments: [EncoderKind.auto, .hardware]) func hardwareThatIsRefusedIsSaid(_ kind: EncoderKind) throws {
        let choice = try EncoderChoice.make(
            EncoderSettings(kind: kind), width: 64, height: 36, frame: TimeBase(1, 30), hardware: [.v4l2])
        guard choice.encoder.library == .x264 else { return }
        let remark = try #require(choice.remarks.first)
        #expect(remark.text.hasPrefix("no hardware encoder works, libx264 is used (h264_v4l2m2m: "))
        #expect(remark.isWarning == (kind == .hardware))
    }

    // MARK: Parameter sets of an encoder in hardware

    private static let sps: [UInt8] = [0x67, 0x42, 0x00, 0x0a]
    private static let pps: [UInt8] = [0x68, 0xce, 0x38, 0x80]
    private static let idr: [UInt8] = [0x65, 0x88, 0x84, 0x21]

    /// Plays an encoder that has these packets; nil: nothing yet.
    private static func take(
        _ output: inout EncoderOutput, _ packets: inout [[[UInt8]]?]
    ) throws -> [UInt8]? {
        let coded = try CodedPicture()
        let hasPicture = try output.takePicture(into: coded) { coded in
            guard let units = packets.removeFirst() else { return -11 }
            do {
                let isKey = units.contains(idr)
                try coded.hold(ParameterSets.annexB(units), pts: 0, dts: 0, isKey: isKey)
                return 0
            } catch {
                return -12
            }
        }
        guard hasPicture else { return nil }
        return try Packet(moving: coded.raw, track: .video, arrival: .zero).withBytes { Array($0) }
    }

    @Test func setsInAPacketOfTheirOwnAreNoPicture() throws {
        var output = EncoderOutput(parameterSets: [])
        var packets: [[[UInt8]]?] = [[Self.sps, Self.pps], [Self.idr], nil]
        #expect(try Self.take(&output, &packets) == ParameterSets.annexB([Self.idr]))
        #expect(output.parameterSets == ParameterSets.annexB([Self.sps, Self.pps]))
        #expect(try Self.take(&output, &packets) == nil)
        #expect(packets.isEmpty)
    }

    @Test func setsMayComeOneByOneAndLongBeforeThePicture() throws {
        var output = EncoderOutput(parameterSets: [])
        var packets: [[[UInt8]]?] = [[Self.sps], nil, [Self.pps], [Self.idr], [Self.sps, Self.pps, Self.idr]]
        #expect(try Self.take(&output, &packets) == nil)
        #expect(try Self.take(&output, &packets) == ParameterSets.annexB([Self.idr]))
        #expect(output.parameterSets == ParameterSets.annexB([Self.sps, Self.pps]))
        // What comes with its picture stays there.
        #expect(try Self.take(&output, &packets) == ParameterSets.annexB([Self.sps, Self.pps, Self.idr]))
    }

    @Test func anEncoderThatGivesNoPicturesIsBroken() throws {
        var output = EncoderOutput(parameterSets: [])
        var packets: [[[UInt8]]?] = Array(repeating: [Self.sps], count: 100)
        #expect(throws: CodedError(.internal, "the encoder returns packets without pictures")) {
            try Self.take(&output, &packets)
        }
    }
}
