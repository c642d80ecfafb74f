import Foundation
import TestSupport
import Testing

@Suite("The command line, as a person runs it")
struct CommandTests {
    @Test("version, in words and as JSON")
    func version() throws {
        let fixture = try CommandFixture()
        let plain = try fixture.run("version")
        #expect(plain.exit == 0 && plain.output.contains(".") && plain.errors.isEmpty)
        #expect(try fixture.run("version", "--json").output.hasPrefix("{\"version\":\""))
    }

    @Test("Every command has help with an example of itself")
    func examples() throws {
        let fixture = try CommandFixture()
        let dump = try fixture.run("--experimental-dump-help").output
        let whole = try JSONSerialization.jsonObject(with: Data(dump.utf8)) as? [String: Any]
        let commands = Self.paths(try #require(whole?["command"] as? [String: Any]), below: [])
        #expect(commands.count > 25 && commands.contains(["framekeeper", "recordings", "repair"]))
        for command in commands {
            let help = try fixture.run(Array(command.dropFirst()) + ["--help"])
            let examples = help.output.split(separator: "\n").filter { $0.hasPrefix("Example:") }
            let name = command.joined(separator: " ")
            #expect(help.exit == 0 && examples.contains { $0.contains(name) }, "\(name): \(help.output)")
        }
    }

    /// All commands and subcommands but `help`, which the parser brings along.
    private static func paths(_ command: [String: Any], below: [String]) -> [[String]] {
        guard let name = command["commandName"] as? String, name != "help" else { return [] }
        let path = below + [name]
        let inner = command["subcommands"] as? [[String: Any]] ?? []
        return [path] + inner.flatMap { paths($0, below: path) }
    }

    @Test("Shells complete commands, flags, cameras and groups", arguments: ["bash", "zsh", "fish"])
    func completion(shell: String) throws {
        let fixture = try CommandFixture(
            "cameras: {front: {source: \"test://pattern\", groups: [outside]}, hall: {source: \"test://pattern\"}}\n")
        let script = try fixture.run("--generate-completion-script", shell)
        #expect(script.exit == 0 && script.output.contains("recordings") && script.output.contains("watch"))
        // What the scripts ask the executable itself.
        let cameras = try fixture.run("---completion", "snapshot", "--", "positional@0", "1", "0", "snapshot", "")
        #expect(cameras.output.split(separator: "\n").contains("front") && cameras.output.contains("hall"))
        for command in ["list", "verify", "export"] {
            let asked = ["recordings", command, "--camera"]
            let found = try fixture.run(["---completion"] + asked[..<2] + ["--", "--camera", "3", "0"] + asked + [""])
            #expect(found.output.contains("front") && found.output.contains("hall"), "\(command): \(found)")
        }
        let groups = try fixture.run(
            "---completion", "record", "start", "--", "--group", "3", "0", "record", "start", "--group", "")
        #expect(groups.output.contains("outside") && groups.output.contains("all"))
    }

    @Test(
        "Wrong usage ends with 64 and says what is right",
        arguments: [
            ["frobnicate"], ["status", "--nonsense"], ["record", "start"], ["record", "start", "A!"],
            ["record", "start", "front", "--group", "x"], ["record", "start", "front", "--for", "soon"],
            ["record", "stop", "front", "--holder", "a b"], ["watch", "--count", "0"],
            ["recordings", "export", "-o", "x"], ["recordings", "export", "--camera", "front", "-o", "x"],
            ["recordings", "list", "--since", "yesterdayish"],
            ["record", "start", "front", "--for", "0s"], ["watch", "a+b"], ["watch", "#/a"], ["watch", "a/b#"],
            ["recordings", "export", "--session", "a", "-o", "-"],
            ["recordings", "export", "--camera", "a", "--from", "1m", "--to", "2m", "-o", "x"],
            ["status", "--watch", "--expect", "metrics/a"], ["status", "--expect", "front"],
            ["config", "rollback", "0"], ["config", "rollback", "last"], ["config", "history", "--limit", "0"],
        ])
    func usage(arguments: [String]) throws {
        let fixture = try CommandFixture()
        let answer = try fixture.run(arguments)
        #expect(answer.exit == 64)
        #expect(answer.output.isEmpty)
        #expect(answer.errors.contains("Usage:"))
    }

    @Test("A program that asked for JSON gets its wrong usage as JSON")
    func usageAsJSON() throws {
        let fixture = try CommandFixture()
        let answer = try fixture.run("record", "start", "front", "--for", "soon", "--json")
        #expect(answer.exit == 64)
        #expect(answer.output.hasPrefix("{\"error\":{\"code\":\"invalid_argument\""))
        #expect(answer.errors.contains("Usage:"))
    }

    @Test("config check names every fault like a compiler and ends with 78")
    func configCheck() throws {
        let fixture = try CommandFixture("nod: x\ncameras: {a: {}}\n")
        let answer = try fixture.run("config", "check", "framekeeper.yml")
        #expect(answer.exit == 78)
        #expect(
            answer.errors == """
                framekeeper.yml:1:1: nod: no such key; did you mean "node"?
                framekeeper.yml:2:11: cameras.a: source: missing

                """)
        let json = try fixture.run("config", "check", "--json")
        #expect(json.exit == 78)
        #expect(json.output.contains("\"key\":\"nod\"") && json.output.contains("\"valid\":false"))
        let other = try fixture.run("status")
        #expect(other.exit == 78 && other.errors.contains("framekeeper.yml:1:1"))
    }

    @Test("A section that no part of this version reads is taken, and said to do nothing")
    func unreadSections() throws {
        let fixture = try CommandFixture("triggers: [{motion: hall}]\nhome_assistant: {}\nschedules:\n")
        let answer = try fixture.run("config", "check")
        #expect(answer.exit == 0)
        #expect(
            answer.errors == "warning: triggers: no part of this version reads this section; it does nothing\n")
        let json = try fixture.run("config", "check", "--json")
        #expect(json.output.contains("\"unread\":[\"triggers\"]"))
    }

    @Test("The file is found by flag, by environment and in the usual places; the shown form masks secrets")
    func configShow() throws {
        let fixture = try CommandFixture("node: attic\nbroker: {username: u, password: hunter2}\n")
        let shown = try fixture.run("config", "show")
        #expect(shown.exit == 0 && shown.output.contains("node: attic"))
        #expect(shown.output.contains("password: \"********\"") && !shown.output.contains("hunter2"))
        let named = try fixture.run("config", "show", environment: ["FRAMEKEEPER_CONFIG": "/nowhere.yml"])
        #expect(named.exit == 78 && named.errors.contains("/nowhere.yml: no such file"))
        let flagged = try fixture.run(
            "config", "show", "--config", fixture.configuration, "--broker", "mqtt://flag", "--json",
            environment: ["FRAMEKEEPER_CONFIG": "/nowhere.yml", "FRAMEKEEPER_BROKER_URL": "mqtt://environment"])
        #expect(flagged.exit == 0 && flagged.output.contains("\"url\":\"mqtt://flag:1883\""))
    }

    @Test("The annotated configuration and the demo's are themselves without fault")
    func manual() throws {
        let fixture = try CommandFixture()
        let root = "\(#filePath)".split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        for file in ["framekeeper.yml", "demo.yml"] {
            let answer = try fixture.run(
                "config", "check", "\(root)/config/\(file)",
                environment: ["DEMO_FOLDER": "/tmp/x", "DEMO_PORT": "18830", "DEMO_RTSP": "rtsp://127.0.0.1:8554/door"])
            #expect(answer.exit == 0, "\(answer.errors)")
        }
    }

    @Test("What the annotated configuration does not comment out is the default, as it says")
    func manualShowsDefaults() throws {
        let root = "\(#filePath)".split(separator: "/").dropLast(3).map { "/\($0)" }.joined()
        let manual = try String(contentsOfFile: "\(root)/config/framekeeper.yml", encoding: .utf8)
        let fixture = try CommandFixture(manual)
        let shown = try fixture.run("config", "show", "--json")
        let bare = "cameras: {front: {source: \"test://pattern?size=640x360&fps=15\"}}\n"
        try bare.write(toFile: fixture.configuration, atomically: true, encoding: .utf8)
        let defaults = try fixture.run("config", "show", "--json")
        #expect(shown.exit == 0 && shown.output == defaults.output)
    }

    @Test("Without a broker every command of the bus ends with 69 and says what to do")
    func noBroker() throws {
        let fixture = try CommandFixture("broker: {url: \"mqtt://127.0.0.1:\(try MosquittoBroker.freePort())\"}\n")
        for arguments in [
            ["status"], ["record", "start", "front"], ["rotate", "front"], ["watch", "--count", "1"],
            ["config", "apply"], ["config", "rollback", "3", "--now"],
        ] {
            let answer = try fixture.run(arguments)
            #expect(answer.exit == 69, "\(arguments)")
            #expect(answer.errors.contains("no broker at mqtt://127.0.0.1") && answer.errors.contains("--broker URL"))
        }
        let json = try fixture.run("status", "--json")
        #expect(json.output.contains("\"status\":\"error\"") && json.output.contains("\"hint\""))
    }

    @Test("Without a history config history ends with 69 and says when it begins; a text is read before it is sent")
    func noHistory() throws {
        let fixture = try CommandFixture("node: a\n")
        let answer = try fixture.run("config", "history")
        #expect(answer.exit == 69 && answer.errors.contains("it begins with the first framekeeper up"))
        let missing = try fixture.run("config", "apply", "nowhere.yml")
        #expect(missing.exit == 78 && missing.errors.contains("nowhere.yml: no such file"))
    }

    @Test("Without a ledger the recordings commands end with 69 and say what to do")
    func noLedger() throws {
        let fixture = try CommandFixture("node: a\n")
        for command in ["list", "verify"] {
            let answer = try fixture.run("recordings", command)
            #expect(answer.exit == 69 && answer.errors.contains("there is no ledger"), "\(command)")
        }
    }
}
