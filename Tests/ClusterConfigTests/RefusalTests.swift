import ClusterConfig
import Testing

@Suite("What a configuration is refused for, and where")
struct RefusalTests {
    @Test(
        "One wrong thing, one line like a compiler's",
        arguments: [
            ("nodes: x", "1:1: nodes: no such key; did you mean \"node\"?"),
            ("zebra: x", "1:1: zebra: no such key"),
            (
                "cameras:\n  front:\n    source: test://pattern\n    prerol: 5s",
                "4:5: cameras.front.prerol: no such key; did you mean \"preroll\"?"
            ),
            ("cameras:\n  front: {}", "2:3: cameras.front: source: missing"),
            (
                "cameras:\n  Front: {source: test://pattern}",
                "2:3: cameras.Front: a camera's name is 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or a digit"
            ),
            (
                "cameras:\n  ../x: {source: test://pattern}",
                "2:3: cameras.../x: a camera's name is 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or a digit"
            ),
            (
                "cameras:\n  all: {source: test://pattern}",
                "2:3: cameras.all: no camera's name, since at a media server it stands for many"
            ),
            (
                "cameras:\n  all_others: {source: test://pattern}",
                "2:3: cameras.all_others: no camera's name, since at a media server it stands for many"
            ),
            ("cameras: [a]", "1:10: cameras: expected a mapping, found a list"),
            ("rotation: 5", "1:11: rotation: expected a mapping, found a single value"),
            ("rotation: {interval: [5]}", "1:22: rotation.interval: expected a single value, found a list"),
            ("rotation: {interval: }", "1:22: rotation.interval: expected a single value, found nothing"),
            (
                "rotation: {interval: 0s}",
                "1:22: rotation.interval: expected a duration from 1s to 1d, such as 90s, 10m or 1h30m, found \"0s\""
            ),
            (
                "rotation: {interval: -1}",
                "1:22: rotation.interval: expected a duration from 1s to 1d, such as 90s, 10m or 1h30m, found \"-1\""
            ),
            (
                "rotation: {align: clok}",
                "1:19: rotation.align: expected clock or session, found \"clok\"; did you mean \"clock\"?"
            ),
            (
                "rotation: {interval: 10s, stagger: 11s}",
                "1:36: rotation.stagger: expected a duration up to 10s, such as 90s, 10m or 1h30m, found \"11s\""
            ),
            (
                "storage: {durability: power}",
                "1:23: storage.durability: expected power_cut or process_crash, found \"power\""
            ),
            (
                "storage: {retention: {max_size: 5 apples}}",
                "1:33: storage.retention.max_size: expected a size such as 500GB or 64MiB, found \"5 apples\""
            ),
            (
                "lifecycle: {viewing: {restart: perhaps}}",
                "1:32: lifecycle.viewing.restart: expected true or false, found \"perhaps\""
            ),
            (
                "node: Attic",
                "1:7: node: expected 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or a digit, found \"Attic\""
            ),
            ("node: a\nnode: b", "2:1: node: given twice, first in line 1"),
            ("broker: {url: mqtt://h, tls: {ca: x}}", "1:30: broker.tls: only for mqtts:// addresses"),
            ("broker: {url: 'mqtts://h', tls: {cert: x}}", "1:33: broker.tls: cert and key go together"),
            (
                "broker: {url: 'embedded://0.0.0.0:1883'}",
                "1:15: broker.url: a broker that listens beyond loopback needs broker.username and broker.password"
            ),
            (
                "broker: {topic_root: 'a/#'}",
                "1:22: broker.topic_root: expected topic levels such as framekeeper or home/framekeeper, found \"a/#\""
            ),
            ("cameras: {a: {source: 'ftp://x'}}", "1:23: cameras.a.source: ftp://: no such kind of source"),
            (
                "cameras: {a: {source: 'test://pattern?fps=0'}}",
                "1:23: cameras.a.source: test: fps is a whole number, 1 to 240"
            ),
            (
                "cameras: {a: {source: 'test://pattern', groups: [all]}}",
                "1:50: cameras.a.groups[0]: every camera is in the group \"all\"; it cannot be named"
            ),
            ("cameras: {a: {source: 'test://pattern', groups: [x, x]}}", "1:53: cameras.a.groups[1]: given twice"),
            (
                "cameras: {a: {source: 'test://pattern', encoder: {preset: ultrafst}}}",
                "1:59: cameras.a.encoder.preset: expected ultrafast, superfast, veryfast, faster, fast, medium, "
                    + "slow, slower or veryslow; did you mean \"ultrafast\"?"
            ),
            (
                "cameras: {a: {source: 'test://pattern', encoder: {bitrate: 5}}}",
                "1:60: cameras.a.encoder.bitrate: expected bits per second from 10k to 1000M, "
                    + "such as 2M or 800k, found \"5\""
            ),
            (
                "cameras: {a: {source: 'test://pattern', preroll: 301s}}",
                "1:50: cameras.a.preroll: expected a duration up to 5m, such as 90s, 10m or 1h30m, found \"301s\""
            ),
            ("state_dir: ${NOWHERE}", "1:12: state_dir: ${NOWHERE}: not set in the environment"),
            ("state_dir: ${NOWHERE", "1:12: state_dir: ${ without its }"),
            ("node: !secret name", "1:7: node: secrets.yml: no such file"),
            ("node: !sekret name", "1:7: !sekret: no such tag; did you mean \"!secret\"?"),
            ("node: *nobody", "1:7: *nobody: no such anchor above"),
            ("a: b\n---\nc: d", "2:1: a second document begins; only one is read"),
            ("[1, 2]", "1:1: expected a mapping, found a list"),
            ("? [a]\n: b", "1:3: a key must be a single word"),
        ])
    func oneError(text: String, expected: String) throws {
        #expect(try errors(text) == ["framekeeper.yml:\(expected)"])
    }

    @Test("All errors at once, in the order of the file")
    func allAtOnce() throws {
        let found = try errors(
            """
            rotation: {interval: never}
            cameras:
              a: {source: test://pattern, record: sometimes}
              b: {source: test://pattern, audio: maybe, colour: red}
            """)
        #expect(found.count == 4)
        #expect(
            found.map { $0.split(separator: " ")[1] }
                == ["rotation.interval:", "cameras.a.record:", "cameras.b.audio:", "cameras.b.colour:"])
    }

    @Test("Broken YAML names its place")
    func syntax() throws {
        let found = try errors("node: a\ncameras: {a: [}\n")
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("framekeeper.yml:2:15: not valid YAML:") == true)
        #expect(try errors("node: \"\\x00\"") == ["framekeeper.yml:1:7: a value holds a NUL character"])
        #expect(try errors("node: \u{1}").first?.contains("not UTF-8 text") == true)
    }

    @Test("A missing file, a folder, a file that is too long")
    func files() throws {
        func message(_ path: String) -> String {
            guard case .failure(let errors) = ConfigurationLoader.load(path: path) else { return "" }
            return errors.description
        }
        #expect(message("/nowhere/framekeeper.yml").contains("no such file"))
        #expect(message("/tmp").contains("not a file"))
        let huge = try ConfigurationFixture(String(repeating: "# 10 MB of comments\n", count: 500_000))
        #expect(message(huge.file).contains("at most 1048576 are read"))
    }

    @Test("Hostile YAML is refused within its bounds")
    func hostile() throws {
        var bomb = "x-a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        for (last, next) in zip("abcdefgh", "bcdefghi") {
            bomb += "x-\(next): &\(next) [" + Array(repeating: "*\(last)", count: 10).joined(separator: ",") + "]\n"
        }
        #expect(try errors(bomb).first?.contains("more than 100000 values") == true)
        let deep = String(repeating: "[", count: 10_000) + String(repeating: "]", count: 10_000)
        #expect(try errors("x-deep: " + deep) == ["framekeeper.yml:1:40: nested deeper than 32 levels"])
        let indented = (0..<400).map { String(repeating: " ", count: $0) + "k:" }.joined(separator: "\n")
        #expect(try errors(indented).first?.contains("nested deeper") == true)
        let long = "node: " + String(repeating: "n", count: 100_000)
        #expect(try errors(long) == ["framekeeper.yml:1:7: a value of more than 16384 bytes"])
        #expect(try errors("x-a: &a [*a]").first?.contains("no such anchor") == true)
        let many = (0..<500).map { "unknown\($0): 1" }.joined(separator: "\n")
        #expect(try errors(many).count == 100)
    }

    @Test("An outside value is named by its flag or variable")
    func outside() throws {
        let fixture = try ConfigurationFixture("node: a")
        guard case .failure(let errors) = fixture.load(["FRAMEKEEPER_ROTATION_INTERVAL": "x"], broker: "nonsense")
        else {
            Issue.record("accepted")
            return
        }
        #expect(errors.errors.map(\.file) == ["$FRAMEKEEPER_ROTATION_INTERVAL", "--broker"])
        #expect(errors.description.contains("--broker: broker.url: expected embedded"))
    }
}
