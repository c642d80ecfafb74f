import ClusterConfig
import Domain
import Foundation
import Testing

/// `framekeeper config import-mediamtx` as a person runs it.
struct ConfigImportTests {
    private static let file = """
        api: yes
        paths:
          front: {source: rtsp://viewer:geheim@10.0.0.9/live, record: yes}
          obs:
        """

    private func fixture() throws -> CommandFixture {
        let fixture = try CommandFixture()
        try Self.file.write(toFile: fixture.folder + "/mediamtx.yml", atomically: true, encoding: .utf8)
        return fixture
    }

    @Test func printsWithoutThePassword() throws {
        let answer = try fixture().run("config", "import-mediamtx", "mediamtx.yml")
        #expect(answer.exit == 0)
        #expect(answer.output.contains("rtsp://viewer:${CAMERA_FRONT_PASSWORD}@10.0.0.9/live"))
        #expect(answer.errors.contains("obs: not translated: "))
        #expect(answer.errors.contains("CAMERA_FRONT_PASSWORD"))
        #expect(!(answer.output + answer.errors).contains("geheim"))
    }

    @Test func writesAFileThatOnlyItsOwnerReadsAndThatIsFine() throws {
        let fixture = try fixture()
        let answer = try fixture.run("config", "import-mediamtx", "mediamtx.yml", "-o", "new.yml")
        #expect(answer.exit == 0)
        #expect(!(answer.output + answer.errors).contains("geheim"))
        let path = fixture.folder + "/new.yml"
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600)
        let loaded = try ConfigurationLoader.load(path: path).get()
        #expect(loaded.cameras.first?.source == .rtsp(url: "rtsp://viewer:geheim@10.0.0.9/live"))
        // Nothing is written over a file.
        #expect(try fixture.run("config", "import-mediamtx", "mediamtx.yml", "-o", "new.yml").exit == 1)
        #expect(try fixture.run("config", "check", "new.yml").exit == 0)
    }

    @Test func saysWhatIsWrong() throws {
        let fixture = try fixture()
        #expect(try fixture.run("config", "import-mediamtx").exit == 64)
        #expect(try fixture.run("config", "import-mediamtx", "missing.yml").exit == 78)
        try "paths: [".write(toFile: fixture.folder + "/mediamtx.yml", atomically: true, encoding: .utf8)
        let answer = try fixture.run("config", "import-mediamtx", "mediamtx.yml", "--json")
        #expect(answer.exit == 78)
        #expect(answer.output.contains(#""status":"error""#))
    }

    @Test func jsonHasNoPasswordEither() throws {
        let answer = try fixture().run("config", "import-mediamtx", "mediamtx.yml", "--json")
        #expect(answer.exit == 0)
        #expect(answer.output.contains(#""source":"rtsp://10.0.0.9/live""#))
        #expect(answer.output.contains(#""is_loss":true"#))
        #expect(!answer.output.contains("geheim"))
    }
}
