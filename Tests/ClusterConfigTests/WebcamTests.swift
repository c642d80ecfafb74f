import ClusterConfig
import Domain
import Testing

@Suite("What a configuration says of webcams and of encoding")
struct WebcamTests {
    private func camera(_ text: String) throws -> CameraConfiguration {
        let configuration = try ConfigurationFixture("cameras: {a: {\(text)}}\n").load().get()
        return try #require(configuration.cameras.first)
    }

    private func errors(_ text: String) throws -> [String] {
        switch try ConfigurationFixture("cameras: {a: {\(text)}}\n").load() {
        case .success: return []
        case .failure(let errors): return errors.errors.map { "\($0.keyPath): \($0.message)" }
        }
    }

    private func name(_ text: String) throws -> ControlName { try #require(ControlName(rawValue: text)) }

    @Test("Controls are numbers, flags, and words of menus")
    func controls() throws {
        let camera = try camera(
            "source: 'v4l2:///dev/video0', controls: {brightness: 128, tilt: -3, focus_automatic: false, "
                + "gain: default, exposure: Manual Mode}")
        #expect(
            camera.controls == [
                try name("brightness"): .number(128), try name("tilt"): .number(-3),
                try name("focus_automatic"): .number(0), try name("gain"): .word("default"),
                try name("exposure"): .word("Manual Mode"),
            ])
        #expect(try self.camera("source: 'v4l2:///dev/video0'").controls.isEmpty)
    }

    @Test("What is wrong with controls is said")
    func wrongControls() throws {
        let expected = "expected a whole number, true or false, the words of a menu, or default"
        #expect(
            try errors("source: 'v4l2:///dev/video0', controls: {Gain: 1, a: 1.5, b: [1]}") == [
                "cameras.a.controls.Gain: a control's name is 1 to 63 of a-z, 0-9 and '_'",
                "cameras.a.controls.a: \(expected), found \"1.5\"",
                "cameras.a.controls.b: expected a single value, found a list",
            ])
        #expect(
            try errors("source: 'test://pattern', controls: {gain: 1}") == [
                "cameras.a.controls: only for v4l2:// sources"
            ])
    }

    @Test("The kind of encoder stands alone or beside the other settings")
    func encoder() throws {
        #expect(try camera("source: 'test://pattern'").encoder == EncoderSettings(kind: .auto))
        #expect(try camera("source: 'test://pattern', encoder: software").encoder == EncoderSettings(kind: .software))
        #expect(
            try camera("source: 'test://pattern', encoder: {kind: hardware, bitrate: 2M}").encoder
                == EncoderSettings(kind: .hardware, bitrate: 2_000_000))
        #expect(
            try errors("source: 'test://pattern', encoder: hardwear") == [
                "cameras.a.encoder: expected auto, software or hardware, found \"hardwear\""
            ])
    }
}
