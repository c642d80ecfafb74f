import Foundation
import TestSupport
import Testing

/// A node that comes up while something is broken that recording does not need: its camera records from the start.
@Suite("A node that starts without one of its parts", .serialized, .timeLimit(.minutes(3)))
struct UpWithoutTests {
    private let fixture: CommandFixture
    private var disk: String { fixture.folder + "/disk" }
    private var data: String { fixture.folder + "/state/broker/data" }
    private var log: String { (try? String(contentsOfFile: fixture.folder + "/up.log", encoding: .utf8)) ?? "" }

    init() throws {
        fixture = try CommandFixture()
        try """
        node: test
        broker: {url: "embedded://127.0.0.1:\(try MosquittoBroker.freePort())"}
        storage: {path: folder/recordings}
        cameras:
          pattern:
            source: "test://pattern?size=320x180&fps=10"
            encoder: {gop: 500ms}
            record: always
            storage: {path: disk}
        """.write(toFile: fixture.configuration, atomically: true, encoding: .utf8)
    }

    /// - Parameter path: where programs are looked for first.
    private func up(path: String = "/usr/bin") throws -> ChildProcess {
        try ChildProcess(
            [
                "/usr/bin/env", "PATH=\(path):/usr/bin:/bin:/usr/sbin", try CommandFixture.executable(), "up",
                "--config", fixture.configuration,
            ], output: fixture.folder + "/up.log")
    }

    private func records(_ node: ChildProcess) async throws {
        var first: Int?
        try await eventually("a file grows", within: .seconds(60)) {
            try #require(node.exitStatus() == nil, "the node has ended: \(log)")
            guard let bytes = newestBytes(), bytes > 0 else { return false }
            guard let before = first else {
                first = bytes
                return false
            }
            return bytes > before
        }
    }

    /// All that the camera has recorded so far; nil if there is no file.
    private func newestBytes() -> Int? {
        let folder = disk + "/pattern"
        let files = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
        return files.filter { $0.hasSuffix(".mp4") }
            .compactMap { try? FileManager.default.attributesOfItem(atPath: "\(folder)/\($0)")[.size] as? Int }
            .reduce(nil) { ($0 ?? 0) + $1 }
    }

    private func end(_ node: ChildProcess) async throws {
        node.signal(SIGINT)
        try await eventually("it ends", within: .seconds(40), that: { node.exitStatus() == 0 })
    }

    @Test("What the broker had kept is damaged: it begins anew, and the old file is kept aside")
    func damagedBroker() async throws {
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true)
        let garbage = Data(repeating: 0x5A, count: 3000)
        try garbage.write(to: URL(fileURLWithPath: data + "/mosquitto.db"))
        let node = try up()
        try await records(node)
        try await eventually("the broker answers", within: .seconds(40)) {
            try fixture.run("status", "--json").output.contains("\"availability\":\"online\"")
        }
        let kept = try FileManager.default.contentsOfDirectory(atPath: data).filter { $0.contains(".corrupt-") }
        #expect(kept.count == 1)
        if let name = kept.first {
            #expect(name.hasPrefix("mosquitto.db.corrupt-2") && log.contains("\(data)/\(name)"), "\(log)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: "\(data)/\(name)")) == garbage)
        }
        try await end(node)
        #expect(FileManager.default.fileExists(atPath: data + "/mosquitto.db"), "the new one is kept as ever")
    }

    @Test("A broker that was killed keeps what it had")
    func healthyBroker() async throws {
        let node = try up()
        try await records(node)
        try await end(node)
        let again = try up()
        try await eventually("the broker runs", that: { broker() != nil })
        let first = try #require(broker())
        try await eventually("the broker answers", within: .seconds(40), that: { try fixture.run("status").exit == 0 })
        kill(first, SIGKILL)
        try await eventually("another broker runs", that: { broker().map { $0 != first } ?? false })
        try await end(again)
        #expect(try FileManager.default.contentsOfDirectory(atPath: data) == ["mosquitto.db"])
    }

    private func broker() -> Int32? {
        let note = try? String(contentsOfFile: fixture.folder + "/state/run/broker.pid", encoding: .utf8)
        return note?.split(separator: " ").first.flatMap { Int32($0) }
    }

    @Test("The broker cannot run at all: the node records, and says so")
    func noBroker() async throws {
        let programs = fixture.folder + "/programs"
        try FileManager.default.createDirectory(atPath: programs, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(atPath: programs + "/mosquitto", withDestinationPath: "/bin/false")
        let node = try up(path: programs)
        try await records(node)
        #expect(log.contains("the embedded broker does not answer"), "\(log)")
        try await end(node)
    }

    @Test("The node's storage folder cannot be made: a camera that records elsewhere does")
    func noStorageFolder() async throws {
        try Data().write(to: URL(fileURLWithPath: fixture.folder + "/folder"))
        let node = try up()
        try await records(node)
        #expect(log.contains("the storage folder cannot be made"), "\(log)")
        try await end(node)
    }
}
