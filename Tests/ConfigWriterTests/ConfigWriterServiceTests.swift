import Bus
import BusContract
import ClusterConfig
import ConfigWriterShell
import Domain
import Foundation
import Ledger
import ServiceKit
import TestSupport
import Testing

@Suite("A node's config-writer, on a real folder", .timeLimit(.minutes(3)))
struct ConfigWriterServiceTests {
    private typealias Fixture = ConfigWriterFixture

    private func started(_ fixture: Fixture, recording: RecordingState.Phase = .off) async throws {
        fixture.record(recording)
        try await fixture.start()
        try await fixture.says("revision 1 is in force") { $0.revision == 1 && $0.valid }
        // A broker's word on who records comes after the first state.
        let reply = try await fixture.ask("VALIDATE")
        #expect(reply.result?.valid == true)
    }

    @Test("The first start: revision 1, the text in force, the camera's settings with secrets by name only")
    func firstStart() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        #expect(fixture.active?.text == Array(Fixture.text(preroll: 1).utf8) && fixture.active?.revision == 1)
        #expect(fixture.active?.file == fixture.file)
        let (path, folder) = (
            ActiveText.path(stateDir: fixture.stateDir), ActiveText.folder(stateDir: fixture.stateDir)
        )
        for (path, mode) in [(path, 0o600), (fixture.history, 0o600), (folder, 0o700)] {
            let found = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(found == mode, "\(path)")
        }
        let settings = try #require(fixture.heard.decoded(CameraConfigState.self).last?.message)
        #expect(settings.source == "rtsp://10.0.0.20/s" && settings.secrets == ["PASS"] && settings.revision == 1)
        #expect(settings.prerollSeconds == 1)
        let everything = fixture.heard.messages.map { String(decoding: $0.payload, as: UTF8.self) }
        #expect(!everything.contains { $0.contains("hunter2") })
        #expect(fixture.told.prefix(2).sorted() == ["none: front", "start"])
        #expect(await fixture.stop() == .done)
        #expect(fixture.told.last == "stop")
    }

    @Test("What is published of a source has its secrets masked, in a path as in a whole address")
    func secretSources() async throws {
        let fixture = try await Fixture(
            """
            node: attic
            cameras:
              front: {source: "rtsps://nvr:7441/${PASS}?enableSrtp"}
              yard: {source: !secret yard}
            """)
        let secrets = fixture.folder + "/secrets.yml"
        try "yard: rtsps://nvr:7441/hunter2\n".write(toFile: secrets, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secrets)
        try await fixture.start()
        try await eventually("both cameras' settings are published") {
            fixture.heard.decoded(CameraConfigState.self).count >= 2
        }
        let settings = fixture.heard.decoded(CameraConfigState.self).map(\.message)
        #expect(settings.allSatisfy { $0.source == "rtsps://nvr:7441/(hidden)" }, "\(settings)")
        #expect(settings.map(\.secrets).sorted { $0[0] < $1[0] } == [["PASS"], ["yard"]])
        await fixture.stop()
        let everything = fixture.heard.messages.map { String(decoding: $0.payload, as: UTF8.self) }
        #expect(!everything.contains { $0.contains("hunter2") })
    }

    @Test("A changed file is in force by itself; a broken one is said with every error and changes nothing")
    func edits() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        try fixture.write(Fixture.text(preroll: 2))
        try await fixture.says("revision 2 is in force") { $0.revision == 2 }
        #expect(fixture.active?.revision == 2)
        try fixture.write("cameras:\n  front: {sorce: x}\n  a b: {}\n")
        try await fixture.says("the file is broken") { !$0.valid }
        let state = try #require(fixture.state)
        #expect(state.revision == 2 && state.errors.count == 3 && state.fileDiffers, "\(state.errors)")
        #expect(state.errors.first?.hasPrefix("\(fixture.file):2:") == true)
        #expect(state.errors.contains { $0.contains("did you mean \"source\"?") })
        #expect(fixture.active?.revision == 2)
        try fixture.write(Fixture.text(preroll: 3))
        try await fixture.says("the mended file is in force") { $0.revision == 3 && $0.valid && $0.errors == [] }
        await fixture.stop()
        let store = try RevisionStore(
            folder: ActiveText.folder(stateDir: fixture.stateDir), access: .reader, now: WallTime(milliseconds: 0))
        #expect(try store.revisions().map(\.state) == [.applied, .rejected, .superseded, .superseded])
    }

    @Test("A file that goes and comes back; one that is written in two halves")
    func inPlace() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        try FileManager.default.removeItem(atPath: fixture.file)
        try await fixture.says("the file is gone") { !$0.valid && $0.errors == ["\(fixture.file): no such file"] }
        try "cameras:\n  front: {source".write(toFile: fixture.file, atomically: false, encoding: .utf8)
        try await fixture.says("half a file") { !$0.valid && $0.errors.first?.contains("not valid YAML") == true }
        let handle = try #require(FileHandle(forWritingAtPath: fixture.file))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(": \"test://pattern\"}\nnode: attic\n".utf8))
        try handle.close()
        try await fixture.says("the whole file is in force") { $0.valid && $0.revision == 2 }
        await fixture.stop()
    }

    @Test("A change waits for the recording, and follows when it ends; --now does not wait")
    func waits() async throws {
        let fixture = try await Fixture()
        try await started(fixture, recording: .recording)
        try fixture.write(Fixture.text(preroll: 2))
        try await fixture.says("it waits for front") { $0.pending?.waitsFor == [Fixture.front] }
        #expect(fixture.state?.revision == 1 && fixture.active?.revision == 1)
        fixture.record(.off)
        try await fixture.says("it is in force") { $0.revision == 2 && $0.pending == nil }
        fixture.record(.recording)
        try fixture.write(Fixture.text(preroll: 3))
        try await fixture.says("the next one waits") { $0.pending?.revision == 3 }
        let reply = try await fixture.ask(#"{"command":"apply","now":true}"#)
        #expect(reply.result?.revision == 3 && reply.result?.pending == nil, "\(reply)")
        #expect(fixture.active?.revision == 3)
        await fixture.stop()
    }

    @Test("Killed and back: what waits goes on waiting, and nothing else happens")
    func back() async throws {
        let fixture = try await Fixture()
        try await started(fixture, recording: .recording)
        let text = "# new\n" + Fixture.text(preroll: 9)
        let reply = try await fixture.ask(
            "{\"command\":\"apply\",\"who\":\"anna\",\"text\":\(try Fixture.quoted(text))}")
        #expect(reply.result?.pending?.revision == 2, "\(reply)")
        #expect(fixture.fileText?.hasPrefix("# new\n") == true, "the file holds the newest wish")
        await fixture.stop()
        try await fixture.start()
        try await fixture.says("it waits again") { $0.pending?.revision == 2 && $0.revision == 1 }
        fixture.record(.off)
        try await fixture.says("it is in force") { $0.revision == 2 }
        await fixture.stop()
        let bytes = try Data(contentsOf: URL(fileURLWithPath: ActiveText.path(stateDir: fixture.stateDir)))
        try await fixture.start()
        _ = try await fixture.ask("VALIDATE")
        await fixture.stop()
        #expect(try Data(contentsOf: URL(fileURLWithPath: ActiveText.path(stateDir: fixture.stateDir))) == bytes)
    }

    @Test("A rollback is in force, in the file with the mode it had, and in the history; a broken file is mended by it")
    func rollback() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: fixture.file)
        let second = Fixture.text(preroll: 2)
        let handle = try #require(FileHandle(forWritingAtPath: fixture.file))
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: Data(second.utf8))
        try handle.close()
        try await fixture.says("revision 2 is in force") { $0.revision == 2 }
        let back = try await fixture.ask("ROLLBACK")
        #expect(back.result?.revision == 3 && back.status == .ok, "\(back)")
        #expect(fixture.fileText == Fixture.text(preroll: 1))
        let mode = try FileManager.default.attributesOfItem(atPath: fixture.file)[.posixPermissions] as? Int
        #expect(mode == 0o640)
        try fixture.write("cameras: [")
        try await fixture.says("the file is broken") { !$0.valid }
        let forward = try await fixture.ask(#"{"command":"rollback","revision":2}"#)
        #expect(forward.result?.revision == 4, "\(forward)")
        #expect(fixture.fileText == second)
        try await fixture.says("file and force agree") { $0.valid && !$0.fileDiffers && $0.revision == 4 }
        let missing = try await fixture.ask(#"{"command":"rollback","revision":77}"#)
        #expect(missing.error?.code == .invalidArgument && missing.error?.message.contains("no revision 77") == true)
        await fixture.stop()
    }

    @Test("A camera that goes: its retained states are cleared when its worker is gone, the others' stay")
    func cameraRemoved() async throws {
        let yard = CameraID(unchecked: "yard")
        let fixture = try await Fixture(Fixture.text(preroll: 1, more: "  yard: {source: \"test://pattern\"}\n"))
        fixture.client.publish(CameraAvailability.online, to: yard)
        fixture.client.publish(RecordingState(state: .off), to: yard)
        fixture.client.publish(SnapshotImage(bytes: [0xFF, 0xD8]), to: yard)
        let worker = ServiceAddress(.captureWorker, InstanceID(unchecked: "yard"))
        fixture.client.publish(ServiceHealth(status: .ok), to: worker)
        try await started(fixture)
        try fixture.write(Fixture.text(preroll: 1))
        try await fixture.says("revision 2 is in force") { $0.revision == 2 }
        _ = try await fixture.ask("VALIDATE")
        #expect(fixture.heard.payloads(on: "cameras/yard/recording").contains("") == false, "its worker still runs")
        fixture.client.publish(CameraAvailability.offline, to: yard)
        for noun in ["recording", "availability", "config", "snapshot/image"] {
            #expect(fixture.heard.payloads(on: "cameras/yard/\(noun)").first?.isEmpty == false, "\(noun) was there")
            try await eventually("\(noun) is cleared") {
                let kept = await fixture.broker.retainedPayload(of: "framekeeper/cameras/yard/\(noun)")
                return kept == nil && fixture.heard.payloads(on: "cameras/yard/\(noun)").last == ""
            }
        }
        try await eventually("the verdict on its worker is cleared") {
            fixture.heard.payloads(on: "services/capture-worker/yard/health").last == ""
        }
        #expect(fixture.heard.payloads(on: "cameras/front/config").last?.isEmpty == false)
        await fixture.stop()
    }

    @Test("A camera that is back keeps its states when the config-writer connects again")
    func cameraReturned() async throws {
        let yard = CameraID(unchecked: "yard")
        let both = Fixture.text(preroll: 1, more: "  yard: {source: \"test://pattern\"}\n")
        let fixture = try await Fixture(both)
        fixture.client.publish(RecordingState(state: .off), to: yard)
        try await started(fixture)
        try fixture.write(Fixture.text(preroll: 1))
        try await eventually("its states are cleared") {
            fixture.heard.payloads(on: "cameras/yard/recording").last == ""
        }
        try fixture.write(both)
        try await fixture.says("revision 3 is in force") { $0.revision == 3 }
        fixture.client.publish(CameraAvailability.online, to: yard)
        fixture.client.publish(RecordingState(state: .recording), to: yard)
        let root = fixture.broker
        func retained() async -> [UInt8]? { await root.retainedPayload(of: "framekeeper/cameras/yard/recording") }
        try await eventually("it records") { await retained() ?? [] != [] }
        await root.cut("framekeeper-config-writer-attic")
        _ = try await fixture.ask("VALIDATE")
        #expect(await retained() ?? [] != [])
        await fixture.stop()
    }

    @Test("A damaged history is kept aside and begun anew; numbers go on growing")
    func damagedHistory() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        try fixture.write(Fixture.text(preroll: 2))
        try await fixture.says("revision 2 is in force") { $0.revision == 2 }
        await fixture.stop()
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: fixture.history + suffix) }
        try Data(repeating: 7, count: 5000).write(to: URL(fileURLWithPath: fixture.history))
        try await fixture.start()
        let reply = try await fixture.ask("VALIDATE")
        #expect(reply.result?.revision == 2)
        try fixture.write(Fixture.text(preroll: 3))
        try await fixture.says("revision 3 is in force") { $0.revision == 3 }
        await fixture.stop()
        #expect(try databasesMovedAside(in: ActiveText.folder(stateDir: fixture.stateDir)).count == 1)
    }

    @Test("The text in force is gone: the history gives it back")
    func activeGone() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        await fixture.stop()
        try FileManager.default.removeItem(atPath: ActiveText.path(stateDir: fixture.stateDir))
        try fixture.write("broken: [")
        try await fixture.start()
        try await fixture.says("the file is broken, and revision 1 in force") { !$0.valid && $0.revision == 1 }
        #expect(fixture.active?.text == Array(Fixture.text(preroll: 1).utf8))
        await fixture.stop()
    }

    @Test("A second one for the same state folder finds it taken")
    func second() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        #expect(try fixture.take() == nil)
        await fixture.stop()
        try await eventually("it is free again") { try fixture.take() != nil }
    }

    @Test("A file that cannot be written: in force all the same, and the difference is said")
    func fileNotWritable() async throws {
        // Too long a name for a new file beside it, for whoever runs the test.
        let name = String(repeating: "n", count: 250) + ".yml"
        let fixture = try await Fixture(name: name)
        try await started(fixture)
        let text = Fixture.text(preroll: 4)
        let reply = try await fixture.ask("{\"command\":\"apply\",\"text\":\(try Fixture.quoted(text))}")
        #expect(reply.result?.revision == 2 && reply.status == .ok, "\(reply)")
        try await fixture.says("the file differs") { $0.fileDiffers && $0.valid && $0.revision == 2 }
        #expect(fixture.fileText == Fixture.text(preroll: 1) && fixture.active?.text == Array(text.utf8))
        await fixture.stop()
        try await fixture.start()
        try await fixture.says("the old file is no wish") { $0.fileDiffers && $0.revision == 2 }
        await fixture.stop()
    }

    @Test("A text in force that cannot be written is not said to be; it is tried again")
    func activeNotWritable() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        let path = ActiveText.path(stateDir: fixture.stateDir)
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let text = Fixture.text(preroll: 4)
        let reply = try await fixture.ask("{\"command\":\"apply\",\"text\":\(try Fixture.quoted(text))}")
        #expect(reply.error?.code == .storageFailed && reply.result?.pending?.revision == 2, "\(reply)")
        try await fixture.says("it is said") { $0.revision == 1 && $0.pending?.reason.contains("cannot be") == true }
        try FileManager.default.removeItem(atPath: path)
        try await fixture.says("it is in force") { $0.revision == 2 && $0.pending == nil }
        #expect(fixture.active?.revision == 2)
        await fixture.stop()
    }

    @Test("A secret that changes is a new revision of the same text")
    func secretChanged() async throws {
        let text = "node: attic\ncameras: {front: {source: !secret front}}\n"
        let fixture = try await Fixture(text)
        let secrets = fixture.folder + "/secrets.yml"
        func put(_ host: String) throws {
            let aside = secrets + ".new"
            try "front: rtsp://\(host)/s\n".write(toFile: aside, atomically: false, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: aside)
            #expect(rename(aside, secrets) == 0)
        }
        try put("10.0.0.1")
        try await started(fixture)
        try put("10.0.0.22")
        try await fixture.says("revision 2 is in force") { $0.revision == 2 }
        #expect(fixture.active?.text == Array(text.utf8))
        try await eventually("the camera's settings follow") {
            fixture.heard.decoded(CameraConfigState.self).last?.message.source == "rtsp://10.0.0.22/(hidden)"
        }
        await fixture.stop()
    }

    @Test("A 3.1.1 client is answered where its JSON says; a command for another node is not this one's")
    func oldClient() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        let old = try await RawBusClient(
            fixture.broker, clientID: "old", filters: ["framekeeper/replies/old", "framekeeper/replies/other"])
        for (topic, more) in [("other", #","node":"barn""#), ("old", #","node":"attic""#)] {
            let payload =
                #"{"command":"validate","response_topic":"framekeeper/replies/"# + topic
                + #"","request_id":"7""# + more + "}"
            old.publish(
                Publication(
                    topic: "framekeeper/config/set", payload: Array(payload.utf8), delivery: .command))
        }
        try await eventually("the answer comes") { !old.payloads(on: "framekeeper/replies/old").isEmpty }
        let answer = try #require(old.payloads(on: "framekeeper/replies/old").first)
        #expect(answer.contains(#""request_id":"7""#) && answer.contains(#""valid":true"#), "\(answer)")
        #expect(old.payloads(on: "framekeeper/replies/other").isEmpty)
        await fixture.stop()
    }

    /// Nine levels of eight aliases each: 134 million values.
    private static let bomb = (0...9).map { level in
        let item = level == 0 ? "x" : "*b\(level - 1)"
        return "x-\(level): &b\(level) [\(Array(repeating: item, count: 8).joined(separator: ","))]\n"
    }.joined()

    @Test("Hostile commands get the right error and change nothing")
    func hostile() async throws {
        let fixture = try await Fixture()
        try await started(fixture)
        let long = String(repeating: "x", count: 60_000)
        for (text, code) in [
            ("cameras: [", ErrorCode.invalidArgument), ("a\u{0}b", .invalidArgument), (Self.bomb, .invalidArgument),
            (String(repeating: "[", count: 5000), .invalidArgument), ("x: \(long)", .invalidArgument),
            ("- 1\n", .invalidArgument), ("cameras: {front: {source: !secret nobody}}", .invalidArgument),
        ] {
            let payload = "{\"command\":\"apply\",\"now\":true,\"text\":\(try Fixture.quoted(text))}"
            let reply = try await fixture.ask(payload)
            #expect(reply.error?.code == code && reply.result?.errors.isEmpty == false, "\(text.prefix(40)): \(reply)")
            #expect(reply.result?.valid == false)
        }
        for (payload, code) in [
            (#"{"command":"apply","text":5}"#, ErrorCode.invalidArgument),
            (#"{"command":"apply","txt":""}"#, .invalidArgument),
            (#"{"command":"rollback","revision":"1"}"#, .invalidArgument),
            (#"{"command":"rollback","revision":0}"#, .invalidArgument),
            (#"{"command":"apply","node":"A B"}"#, .invalidArgument),
            (#"{"command":"apply","who":"a\u0007"}"#, .invalidArgument),
            ("{", .invalidPayload), ("[]", .invalidPayload), ("FROBNICATE", .unknownCommand), ("", .unknownCommand),
            ("{\"command\":\"apply\",\"text\":\"\(long)\(long)\"}", .payloadTooLarge),
        ] {
            do {
                let reply = try await fixture.ask(payload)
                #expect(reply.error?.code == code, "\(payload.prefix(60)): \(reply)")
            } catch let error as CodedError {
                #expect(error.code == code, "\(payload.prefix(60))")
            }
        }
        let fine = try await fixture.ask("{\"command\":\"validate\",\"text\":\(try Fixture.quoted("node: attic\n"))}")
        #expect(fine.result?.valid == true && fine.status == .ok)
        #expect(fixture.active?.revision == 1 && fixture.fileText == Fixture.text(preroll: 1))
        #expect(fixture.state?.revision == 1 && fixture.state?.valid == true)
        await fixture.stop()
    }
}
