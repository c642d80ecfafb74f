import Domain
import Synchronization
import TestSupport
import Testing

@testable import Media

/// Whoever takes slowly costs no memory without bound, whatever the source sends.
@Suite struct ReadAheadTests {
    /// Sends a picture, a lot of sound, and ends.
    private final class Song: MediaSource {
        let paces: Bool
        let picture: Packet
        let sound: Packet
        let told = Atomic<Int>(0)
        static let length = ReadAhead.itemsMax + 500

        init(paces: Bool) throws {
            func packet(_ track: TrackKind) throws -> Packet {
                let coded = try CodedPicture()
                try coded.hold([0], pts: 0, dts: 0, isKey: true)
                return try Packet(moving: coded.raw, track: track, arrival: .zero)
            }
            self.paces = paces
            picture = try packet(.video)
            sound = try packet(.audio)
        }

        func open() throws(CodedError) -> StreamFormat { throw CodedError(.internal, "not for opening") }
        func next() throws(CodedError) -> SourceItem {
            let number = told.add(1, ordering: .relaxed).oldValue
            return number == 0 ? .packet(picture) : number <= Self.length ? .packet(sound) : .end
        }
        func requestKeyFrame() {}
        func interrupt() {}
        func close() {}
        var notes: [String] { [] }
    }

    /// Takes all that waits to its end.
    private func rest(_ reader: ReadAhead) throws -> (pictures: Int, sounds: Int) {
        var (pictures, sounds, waiting) = (0, 0, 0)
        defer { #expect(waiting <= ReadAhead.itemsMax + 1, "with the end, which is always taken in") }
        while true {
            waiting = max(waiting, reader.waiting)
            switch try reader.take() {
            case .packet(let packet): if packet.track == .video { pictures += 1 } else { sounds += 1 }
            case .end: return (pictures, sounds)
            case .formatChanged, .skipped: Issue.record("only packets were sent")
            }
        }
    }

    @Test func soundThatNobodyTakesIsBoundedAndCounted() async throws {
        let source = try Song(paces: true)
        let reader = ReadAhead(source, picturesMax: 8)
        try reader.start()
        try await eventually("all is read") { source.told.load(ordering: .relaxed) == Song.length + 2 }
        let (pictures, sounds) = try rest(reader)
        #expect(pictures == 1, "a picture is worth more than a sound")
        #expect(sounds == ReadAhead.itemsMax - 1 && sounds + reader.droppedSound == Song.length)
        #expect(reader.dropped == 0)
        reader.stop()
    }

    @Test func aSourceThatIsHeldBackLosesNoSound() async throws {
        let source = try Song(paces: false)
        let reader = ReadAhead(source, picturesMax: 8)
        try reader.start()
        try await eventually("as much waits as may") { reader.waiting >= ReadAhead.itemsMax }
        let (pictures, sounds) = try rest(reader)
        #expect(pictures == 1 && sounds == Song.length && reader.droppedSound == 0)
        reader.stop()
    }

    @Test func aStopEndsTheWaitOfTheReader() async throws {
        let reader = ReadAhead(try Song(paces: false), picturesMax: 8)
        try reader.start()
        try await eventually("as much waits as may") { reader.waiting >= ReadAhead.itemsMax }
        reader.stop()
        #expect(throws: CodedError.self) { try reader.take() }
    }
}
