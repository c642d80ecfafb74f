import ClusterConfig
import Domain
import Foundation
import Testing

@Suite("The text in force, in the place of the file's own")
struct InForceTests {
    private let at = WallTime(milliseconds: 1_772_366_400_123)

    private func put(_ text: String, of file: String?, in stateDir: String) throws {
        try FileManager.default.createDirectory(
            atPath: ActiveText.folder(stateDir: stateDir), withIntermediateDirectories: true)
        let active = ActiveText(text: Array(text.utf8), revision: 7, appliedAt: at, file: file)
        try Data(active.bytes).write(to: URL(fileURLWithPath: ActiveText.path(stateDir: stateDir)))
    }

    @Test("It is the text to the byte, and its facts", arguments: ["", "a: b", "a: b\n", "a: |+\n  x\n\n", "# x\r\n"])
    func roundTrip(text: String) throws {
        for file in [nil, "/etc/a, of b.yml"] {
            let active = ActiveText(text: Array(text.utf8), revision: 12, appliedAt: at, file: file)
            let read = try #require(ActiveText(bytes: active.bytes))
            #expect(read == active)
        }
    }

    @Test("Anything else is none", arguments: ["", "a: b\n", "\n# framekeeper: revision x, in force since y\n", "\n"])
    func none(text: String) { #expect(ActiveText(bytes: Array(text.utf8)) == nil) }

    @Test("A process that is told of it reads it; paths, secrets and messages are the file's")
    func active() throws {
        let fixture = try ConfigurationFixture("nonsense: [", secrets: "door: rtsp://10.0.0.2/x\n")
        let state = fixture.folder + "/state"
        try put("storage: {path: here}\ncameras: {a: {source: !secret door}}\n", of: fixture.file, in: state)
        let active = ActiveText.path(stateDir: state)
        let loaded = try ConfigurationLoader.load(path: fixture.file, active: active).get()
        #expect(loaded.storage.path == fixture.folder + "/here" && loaded.file == fixture.file)
        #expect(loaded.cameras.first?.source.kind == .rtsp(url: "rtsp://10.0.0.2/x"))
        try put("cameras: {a: {}}\n", of: fixture.file, in: state)
        guard case .failure(let errors) = ConfigurationLoader.load(path: fixture.file, active: active) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.description == "\(fixture.file):1:11: cameras.a: source: missing")
    }

    @Test("Where there is none, or what is no such text, the file is read")
    func withoutActive() throws {
        let fixture = try ConfigurationFixture("node: attic\n")
        let active = fixture.folder + "/active.yml"
        #expect(try ConfigurationLoader.load(path: fixture.file, active: active).get().node.rawValue == "attic")
        try "node: barn\n".write(toFile: active, atomically: true, encoding: .utf8)
        #expect(try ConfigurationLoader.load(path: fixture.file, active: active).get().node.rawValue == "attic")
    }

    @Test(
        "Of a broken file the text in force is found by as much of it as can be read",
        arguments: [
            ("nod: x\n", "state"), ("cameras: [}\n", "state"), ("cameras: [}\nstate_dir: here/it\n", "here/it"),
            ("state_dir: other\nnod: x\n", "other"),
        ])
    func broken(text: String, stateDir: String) throws {
        let fixture = try ConfigurationFixture(text)
        guard case .failure = ConfigurationLoader.loadInForce(path: fixture.file) else {
            Issue.record("nothing was in force yet")
            return
        }
        try put("node: attic\n", of: fixture.file, in: "\(fixture.folder)/\(stateDir)")
        let found = try ConfigurationLoader.loadInForce(path: fixture.file).get()
        #expect(found.configuration.node.rawValue == "attic" && found.active?.revision == 7)
        #expect(found.broken?.errors.isEmpty == false)
        let named = try ConfigurationLoader.loadInForce(
            path: fixture.file, environment: ["FRAMEKEEPER_STATE_DIR": "\(fixture.folder)/\(stateDir)"]
        ).get()
        #expect(named.active?.revision == 7)
    }

    @Test("The text of another file is not taken for this one's")
    func anotherFile() throws {
        let fixture = try ConfigurationFixture("nod: x\n")
        try put("node: attic\n", of: fixture.folder + "/other.yml", in: fixture.folder + "/state")
        guard case .failure(let errors) = ConfigurationLoader.loadInForce(path: fixture.file) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.description.contains("nod: no such key"))
    }

    @Test("A source's secrets are known by name")
    func secretNames() throws {
        let fixture = try ConfigurationFixture(
            """
            storage: {path: "${ROOT}"}
            cameras:
              a: {source: "rtsp://${USER_A}:${PASS_A}@10.0.0.2/${PASS_A}", storage: {path: "${ROOT}/a"}}
              b: {source: !secret door}
              c: {source: "test://pattern"}
            """, secrets: "door: rtsp://10.0.0.2/x\n")
        let loaded = try fixture.load(["ROOT": "/r", "USER_A": "u", "PASS_A": "p"]).get()
        #expect(loaded.cameras.map(\.secrets) == [["USER_A", "PASS_A"], ["door"], []])
    }
}

@Suite("What each process sees of a change")
struct ViewTests {
    private static let base = """
        node: attic
        rotation: {interval: 10m}
        mediamtx: {rtsp: "rtsp://127.0.0.1:8554"}
        cameras:
          a: {source: "test://pattern", encoder: {gop: 1s}}
          b: {source: "test://pattern", preroll: 2s}
          far: {source: "test://pattern", node: barn}
        """

    /// Whose view differs: `a`, `b`, `rotation`, `node`.
    private func seen(_ old: String, _ new: String) throws -> Set<String> {
        let fixture = try ConfigurationFixture(Self.base)
        let before = try fixture.load().get()
        #expect(Self.base.contains(old))
        try Self.base.replacingOccurrences(of: old, with: new)
            .write(toFile: fixture.file, atomically: true, encoding: .utf8)
        let after = try fixture.load().get()
        var differs: Set<String> = []
        for name in ["a", "b"] {
            let id = CameraID(unchecked: name)
            if before.seenByWorker(of: id) != after.seenByWorker(of: id) { differs.insert(name) }
        }
        if before.seenByRotationService != after.seenByRotationService { differs.insert("rotation") }
        if before.seenByNode != after.seenByNode { differs.insert("node") }
        return differs
    }

    @Test("A camera's own settings concern its worker alone")
    func ownSettings() throws {
        #expect(try seen("gop: 1s", "gop: 2s") == ["a"])
        #expect(try seen("preroll: 2s", "record: always") == ["b"])
        #expect(try seen("preroll: 2s", "groups: [x]") == ["b"])
        #expect(try seen("preroll: 2s", "preroll: 2000ms") == [])
    }

    @Test("Boundaries and retention concern the rotation-service alone")
    func rotation() throws {
        #expect(try seen("interval: 10m", "interval: 5m") == ["rotation"])
        #expect(try seen("node: attic", "node: attic\nstorage: {retention: {max_age: 9d}}") == ["rotation"])
        #expect(try seen("preroll: 2s", "preroll: 2s, rotation: {interval: 1m}") == ["rotation"])
    }

    @Test("Cameras come and go; those of other nodes are known only to the rotation-service")
    func cameras() throws {
        #expect(try seen("  b: {source: \"test://pattern\", preroll: 2s}\n", "") == ["b", "rotation"])
        #expect(try seen("node: barn", "node: attic") == ["rotation"])
        #expect(try seen("  far: {source: \"test://pattern\", node: barn}", "") == ["rotation"])
    }

    @Test("What is below all concerns everybody")
    func below() throws {
        #expect(
            try seen("node: attic", "node: attic\nbroker: {url: embedded://127.0.0.1:1884}")
                == ["a", "b", "rotation", "node"])
        #expect(try seen("node: attic", "node: attic\nstate_dir: x") == ["a", "b", "rotation", "node"])
    }

    @Test("Of the media server a worker sees where it publishes, not how it is kept")
    func mediaServer() throws {
        #expect(try seen("127.0.0.1:8554", "127.0.0.1:8555") == ["a", "b"])
        #expect(try seen("mediamtx: {", "mediamtx: {api: \"http://127.0.0.1:9998\", ") == [])
    }
}
