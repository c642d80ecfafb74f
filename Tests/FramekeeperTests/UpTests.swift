import Foundation
import TestSupport
import Testing

@Suite("A node, started and stopped as a person does", .serialized, .timeLimit(.minutes(3)))
struct UpTests {
    /// A running `framekeeper up` with one idle camera; its children are real.
    private final class Node {
        let fixture: CommandFixture
        let port: Int
        let process: ChildProcess
        var log: String { fixture.folder + "/up.log" }
        private var run: String { fixture.folder + "/state/run" }

        init() throws {
            port = try MosquittoBroker.freePort()
            fixture = try CommandFixture(
                """
                node: test
                broker: {url: "embedded://127.0.0.1:\(port)"}
                rotation: {interval: 2s}
                cameras: {pattern: {source: "test://pattern?size=320x180&fps=10", encoder: {gop: 500ms}}}
                """
            )
            process = try start(fixture)
        }

        init(again fixture: CommandFixture, port: Int) throws {
            self.port = port
            self.fixture = fixture
            process = try start(fixture)
        }

        /// A test that failed half-way kills the supervisor; its broker would go on for ever.
        deinit {
            guard kill(process.pid, 0) == 0, let broker = child("broker") else { return }
            process.kill()
            kill(broker, SIGKILL)
        }

        func child(_ name: String) -> Int32? {
            let text = try? String(contentsOfFile: "\(run)/\(name).pid", encoding: .utf8)
            return text?.split(separator: " ").first.flatMap { Int32($0) }
        }

        func hasChildren() -> Bool { child("broker") != nil && child("capture-worker.pattern") != nil }
    }

    private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

    /// Ended, be it that its new parent has not collected it yet.
    private func isGone(_ pid: Int32) -> Bool {
        let stat = text("/proc/\(pid)/stat")
        return stat.isEmpty || stat.contains(") Z ")
    }

    @Test("It comes up, answers, and goes down in order; a second one is refused meanwhile")
    func life() async throws {
        let node = try Node()
        try await eventually("the children run", that: { node.hasChildren() })
        let (broker, worker) = (try #require(node.child("broker")), try #require(node.child("capture-worker.pattern")))
        try await eventually("the service says so") {
            let status = try node.fixture.run("status", "--json").output
            return ["framekeeper", "rotation-service", "capture-worker"].allSatisfy {
                status.contains("\"service\":\"\($0)\"")
            }
        }
        let second = try node.fixture.run("up")
        #expect(second.exit == 69 && second.errors.contains("another framekeeper up runs"))
        let refused = try node.fixture.run("record", "start", "nobody")
        #expect(refused.exit == 1 && refused.errors.contains("the configuration knows pattern"))
        node.process.signal(SIGINT)
        try await eventually("it ends", that: { node.process.exitStatus() == 0 })
        #expect(isGone(broker) && isGone(worker))
        let log = text(node.log)
        #expect(log.contains("framekeeper") && log.contains("embedded"))
        let stopped = log.split(separator: "\n").filter { $0.contains("child stopped") }
        #expect(stopped.last?.contains("child=broker") == true, "the broker goes last")
    }

    @Test("A state folder with spaces in its path is no hindrance, with a password neither")
    func spaces() async throws {
        let port = try MosquittoBroker.freePort()
        let fixture = try CommandFixture(
            """
            node: test
            broker: {url: "embedded://127.0.0.1:\(port)", username: me, password: secret}
            state_dir: "my own  state"
            cameras: {pattern: {source: "test://pattern"}}
            """)
        let process = try start(fixture)
        defer { process.signal(SIGTERM) }
        try await eventually("the worker is there", within: .seconds(30)) {
            let status = process.exitStatus()
            try #require(status == nil, "\(text(fixture.folder + "/up.log"))")
            return try fixture.run("status", "--json").output.contains("\"availability\":\"online\"")
        }
        #expect(FileManager.default.fileExists(atPath: fixture.folder + "/my own  state/broker/passwords"))
        process.signal(SIGINT)
        try await eventually("it ends", that: { process.exitStatus() == 0 })
        #expect(FileManager.default.fileExists(atPath: fixture.folder + "/my own  state/broker/data/mosquitto.db"))
    }

    @Test("A camera whose whole address is a secret: neither what is published of it nor a log has its token")
    func secretAddress() async throws {
        let port = try MosquittoBroker.freePort()
        let fixture = try CommandFixture(
            """
            node: test
            broker: {url: "embedded://127.0.0.1:\(port)"}
            cameras: {front: {source: !secret front, record: always}}
            """)
        let secrets = fixture.folder + "/secrets.yml"
        try "front: rtsp://127.0.0.1:1/t0ken\n".write(toFile: secrets, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: secrets)
        let process = try start(fixture)
        defer { process.signal(SIGTERM) }
        var status = ""
        try await eventually("the source has failed", within: .seconds(30)) {
            status = try fixture.run("status", "--json").output
            return status.contains("cannot open")
        }
        #expect(status.contains("rtsp://127.0.0.1:1/(hidden)"), "\(status)")
        let said = [status, try fixture.run("doctor").output, try fixture.run("config", "show").output]
        process.signal(SIGINT)
        try await eventually("it ends", that: { process.exitStatus() == 0 })
        for text in said + [text(fixture.folder + "/up.log")] { #expect(!text.contains("t0ken"), "\(text)") }
    }

    @Test("A recording is taken, proved, exported; a file that somebody removes is missed, also by a rebuilt ledger")
    func recording() async throws {
        let node = try Node()
        let fixture = node.fixture
        try await eventually("the worker is there") {
            try fixture.run("status", "--json").output.contains("\"availability\":\"online\"")
        }
        let started = try fixture.run("record", "start", "pattern", "--for", "1h", "--holder", "test")
        #expect(started.exit == 0 && started.output.contains("pattern: recording, session"), "\(started.errors)")
        let rotated = try fixture.run("rotate", "pattern", "--json")
        #expect(rotated.exit == 0 && rotated.output.contains("\"rotated\":true"), "\(rotated.errors)")
        try await eventually("three files are closed", within: .seconds(60)) {
            let shown = try fixture.run("recordings", "list", "--json").output
            return (4...20).contains { shown.contains("\"segments\":\($0)") }
        }
        try exportOfWhatIsBeingWritten(fixture)
        #expect(try fixture.run("record", "stop", "pattern").exit == 0)
        try await eventually("the whole session is in the ledger and proved", within: .seconds(60)) {
            let verified = try fixture.run("recordings", "verify", "--json", "--decode")
            return verified.exit == 0 && verified.output.contains("\"open\":0")
        }
        let export = ["recordings", "export", "--camera", "pattern", "--from", "1h", "-o", "clip.mp4"]
        let exported = try fixture.run(export)
        #expect(exported.exit == 0 && exported.output.hasPrefix("clip.mp4: "), "\(exported.errors)")
        #expect(exported.errors == "", "nothing is left out")
        let twice = try fixture.run(export)
        #expect(twice.exit != 0 && twice.errors.contains("choose another name"))
        node.process.signal(SIGINT)
        try await eventually("it ends", that: { node.process.exitStatus() == 0 })
        try missAFile(fixture)
    }

    private func exportOfWhatIsBeingWritten(_ fixture: CommandFixture) throws {
        let said = try fixture.run("recordings", "export", "--camera", "pattern", "--from", "1h", "-o", "now.mp4")
        #expect(said.exit == 0 && said.errors.contains("pattern is still being written"), "\(said.errors)")
        #expect(said.errors.contains("framekeeper rotate pattern"))
        let json = try fixture.run(
            "recordings", "export", "--camera", "pattern", "--from", "1h", "-o", "json.mp4", "--json")
        #expect(json.output.contains("\"still_written\":[\"pattern\"]"), "\(json.output)")
        let past = try fixture.run(
            "recordings", "export", "--camera", "pattern", "--from", "2000-01-01", "--to", "2000-01-02", "-o", "p.mp4")
        #expect(past.exit == 1 && !past.errors.contains("still being written"), "\(past.errors)")
    }

    /// With the node down: a file goes, then the ledger too.
    private func missAFile(_ fixture: CommandFixture) throws {
        let storage = fixture.folder + "/recordings"
        let files = try FileManager.default.subpathsOfDirectory(atPath: storage)
        let second = try #require(files.first { $0.hasSuffix("_1.mp4") })
        try FileManager.default.removeItem(atPath: "\(storage)/\(second)")
        let missing = try fixture.run("recordings", "verify")
        #expect(missing.exit == 1 && missing.output.contains("segment 1: the file is missing"))
        for file in files where file.hasPrefix("ledger.sqlite") {
            try FileManager.default.removeItem(atPath: "\(storage)/\(file)")
        }
        let repaired = try fixture.run("recordings", "repair")
        #expect(repaired.exit == 0 && repaired.output.contains("added to the ledger"), "\(repaired.errors)")
        let rebuilt = try fixture.run("recordings", "verify")
        #expect(rebuilt.exit == 1 && rebuilt.output.contains("after segment 0 comes segment 2"), "\(rebuilt.output)")
    }

    @Test("A broker that is killed comes back")
    func brokerKilled() async throws {
        let node = try Node()
        try await eventually("the children run", that: { node.hasChildren() })
        let first = try #require(node.child("broker"))
        kill(first, SIGKILL)
        try await eventually("another broker answers") {
            let now = node.child("broker")
            return try now != nil && now != first && node.fixture.run("status").exit == 0
        }
        #expect(text(node.log).contains("child ended, starts again"))
        node.process.signal(SIGTERM)
        try await eventually("it ends", that: { node.process.exitStatus() == 0 })
    }

    @Test("What a killed supervisor left is stopped by the next")
    func leftovers() async throws {
        let node = try Node()
        try await eventually("the children run", that: { node.hasChildren() })
        let (broker, worker) = (try #require(node.child("broker")), try #require(node.child("capture-worker.pattern")))
        node.process.kill()
        try await eventually("the worker notices by itself", that: { isGone(worker) })
        let next = try Node(again: node.fixture, port: node.port)
        try await eventually("the next one runs", that: { next.hasChildren() && next.child("broker") != broker })
        #expect(isGone(broker))
        #expect(text(next.log).contains("stopped a process that an earlier run left"))
        next.process.signal(SIGTERM)
        try await eventually("it ends", that: { next.process.exitStatus() == 0 })
    }

    @Test("A port that is taken is named, with what to do")
    func portTaken() async throws {
        let node = try Node()
        try await eventually("the children run", that: { node.hasChildren() })
        let other = try CommandFixture("broker: {url: \"embedded://127.0.0.1:\(node.port)\"}\n")
        let answer = try other.run("up")
        #expect(answer.exit == 69)
        #expect(answer.errors.contains("port \(node.port) on 127.0.0.1 is in use"))
        #expect(answer.errors.contains("embedded://127.0.0.1:\(node.port + 1)"))
        node.process.signal(SIGTERM)
        try await eventually("it ends", that: { node.process.exitStatus() == 0 })
    }
}

private func start(_ fixture: CommandFixture) throws -> ChildProcess {
    try ChildProcess(
        [try CommandFixture.executable(), "up", "--config", fixture.configuration], output: fixture.folder + "/up.log")
}
