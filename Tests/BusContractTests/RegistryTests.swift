import Bus
import BusContract
import Domain
import Foundation
import Testing

/// The registry is complete, its examples are what the code writes and reads, and the reference is printed from it.
@Suite struct RegistryTests {
    private static let stamp = WallTime(rfc3339: "2026-03-01T12:30:00.250Z")
    private static let seq: UInt64 = 1_772_368_200_250_001

    /// Read and written again, every example is the same to the byte.
    private func checkGolden<M: BusMessage>(_ type: M.Type, _ example: String) throws {
        let stamped = try BusCodec.decode(type, from: Array(example.utf8))
        if M.format == .json {
            #expect(stamped.at == Self.stamp && stamped.seq == Self.seq)
        }
        let written = try BusCodec.encode(stamped.message, at: stamped.at, seq: stamped.seq)
        #expect(String(decoding: written, as: UTF8.self) == example)
    }

    @Test func statesEventsAndTelemetryAreWrittenAsTheExamplesSay() throws {
        for entry in MessageRegistry.all where entry.type.delivery != .command {
            for example in entry.examples { try checkGolden(entry.type, example) }
        }
    }

    @Test func commandsAreReadAsTheExamplesSay() throws {
        for entry in MessageRegistry.all where entry.type.delivery == .command {
            let type = try #require(entry.type as? any BusCommand.Type, "\(entry.type) is not read as a command")
            for example in entry.examples {
                let request = BusCodec.command(
                    InboundMessage(topic: "x/set", payload: Array(example.utf8)), root: "framekeeper")
                #expect(throws: Never.self, "\(example)") { try type.init(try request.text.get()) }
            }
        }
    }

    @Test func aPictureTravelsAsItIs() throws {
        let picture = SnapshotImage(bytes: [0xFF, 0xD8, 0x00, 0xFF, 0xD9])
        let written = try BusCodec.encode(picture, at: WallTime(nanoseconds: 1), seq: 7)
        #expect(written == picture.bytes)
        #expect(try BusCodec.decode(SnapshotImage.self, from: written).message == picture)
        let huge = SnapshotImage(bytes: [UInt8](repeating: 0, count: SnapshotImage.bytesMax + 1))
        #expect(throws: CodedError.self) { try BusCodec.encode(huge, at: WallTime(nanoseconds: 1), seq: 7) }
        #expect(throws: CodedError.self) { try BusCodec.decode(SnapshotImage.self, from: huge.bytes) }
    }

    private func checkResult<R: Codable & Hashable & Sendable>(_ type: R.Type, of command: any BusCommand.Type) throws {
        let entry = try #require(MessageRegistry.all.first { $0.type == command })
        let example = try #require(entry.result)
        let result = try BusCodec.value(type, from: Array(example.utf8))
        #expect(String(decoding: try BusCodec.json(result), as: UTF8.self) == example)
        let reply = try BusCodec.json(Reply(ok: result, requestID: "a1"))
        #expect(
            String(decoding: reply, as: UTF8.self) == #"{"request_id":"a1","result":\#(example),"status":"ok"}"#)
    }

    @Test func resultsAreWrittenAsTheExamplesSay() throws {
        try checkResult(RecordingResult.self, of: RecordingCommand.self)
        try checkResult(ViewingResult.self, of: ViewingCommand.self)
        try checkResult(SnapshotResult.self, of: SnapshotCommand.self)
        try checkResult(ConfigResult.self, of: ConfigCommand.self)
        try checkResult(MediaServerResult.self, of: MediaServerCommand.self)
        try checkResult(RotationResult.self, of: RotationCommand.self)
        try checkResult(RestartResult.self, of: RestartCommand.self)
        try checkResult(ControlsResult.self, of: ControlsCommand.self)
        try checkResult(StorageResult.self, of: StorageCommand.self)
        let refusal = Reply<RestartResult>(CodedError(.notReady, "no"), requestID: nil)
        #expect(
            String(decoding: try BusCodec.json(refusal), as: UTF8.self)
                == #"{"error":{"code":"not_ready","message":"no"},"status":"error"}"#)
    }

    /// Every type in the sources that says it is a message stands in the registry.
    @Test func noMessageIsMissing() throws {
        let folder = root.appending(path: "Shared/BusContract")
        let declaration = /(?:struct|enum) (\w+): (?:String, )?B(?:us|ytes)(?:Message|Command)\b/
        var declared: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.pathExtension == "swift" {
            let text = try String(contentsOf: file, encoding: .utf8)
            declared.formUnion(text.matches(of: declaration).map { String($0.1) })
        }
        #expect(declared == Set(MessageRegistry.all.map { "\($0.type)" }))
        #expect(Set(MessageRegistry.all.map { $0.type.template }).count == MessageRegistry.all.count)
    }

    private var root: URL { URL(filePath: #filePath).appending(path: "../../..").standardizedFileURL }

    @Test func theReferenceIsUpToDate() throws {
        let file = root.appending(path: "Shared/BusContract/TOPICS.md")
        if ProcessInfo.processInfo.environment["FRAMEKEEPER_REGENERATE"] == "1" {
            try TopicReference.markdown.write(to: file, atomically: true, encoding: .utf8)
        }
        let committed = try String(contentsOf: file, encoding: .utf8)
        #expect(
            committed == TopicReference.markdown,
            "run FRAMEKEEPER_REGENERATE=1 swift test --filter RegistryTests and commit Shared/BusContract/TOPICS.md")
    }
}
