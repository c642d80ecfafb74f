import ClusterConfig
import Domain
import Testing

@Suite("Secrets")
struct SecretTests {
    private static let text = """
        broker: {url: mqtt://h, username: u, password: !secret mqtt}
        cameras: {a: {source: "rtsp://user:${CAM}@10.0.0.2/main"}}
        """

    @Test("Both ways in, and no way out")
    func resolved() throws {
        let fixture = try ConfigurationFixture(Self.text, secrets: "mqtt: hunter2\n")
        let configuration = try fixture.load(["CAM": "s3cr3t"]).get()
        #expect(configuration.broker.password?.reveal() == "hunter2")
        #expect(configuration.cameras[0].source == .rtsp(url: "rtsp://user:s3cr3t@10.0.0.2/main"))
        for printed in [configuration.shown.yaml, configuration.shown.json, "\(configuration.broker)"] {
            #expect(!printed.contains("hunter2"))
            #expect(!printed.contains("s3cr3t"))
        }
        #expect(configuration.shown.yaml.contains("password: \"********\""))
        #expect(String(reflecting: Secret("hunter2")) == Secret.mask)
        var dumped = ""
        dump(Secret("hunter2"), to: &dumped)
        #expect(!dumped.contains("hunter2"))
    }

    @Test("A source's secrets are masked wherever they stand in it, short ones too")
    func sources() throws {
        let fixture = try ConfigurationFixture(
            """
            cameras:
              path: {source: "rtsps://nvr:7441/${TOKEN}?enableSrtp"}
              query: {source: "rtsp://nvr/live?token=${TOKEN}"}
              host: {source: "rtsp://${TOKEN}.lan/live"}
              short: {source: "rtsp://cam/live/${SHORT}/video"}
              whole: {source: !secret front}
              named: {source: "${WHOLE}"}
              clip: {source: "file:///srv/${TOKEN}/clip.mp4"}
              literal: {source: "rtsp://cam/$${TOKEN}"}
            """, secrets: "front: rtsps://nvr:7441/s3cr3t?enableSrtp\n")
        let environment = ["TOKEN": "s3cr3t", "SHORT": "i", "WHOLE": "rtsp://user:s3cr3t@cam:554/s3cr3t"]
        let configuration = try fixture.load(environment).get()
        #expect(
            configuration.cameras.map(\.source.publicText) == [
                "rtsps://nvr:7441/(hidden)", "rtsp://nvr/live", "rtsp://(hidden).lan/live",
                "rtsp://cam/live/(hidden)/video", "rtsps://nvr:7441/(hidden)", "rtsp://cam:554/(hidden)",
                "file:///srv/(hidden)/clip.mp4", "rtsp://cam/${TOKEN}",
            ])
        let names = configuration.cameras.prefix(5).map(\.secrets)
        #expect(names == [["TOKEN"], ["TOKEN"], ["TOKEN"], ["SHORT"], ["front"]])
        #expect(configuration.cameras[4].source.kind == .rtsp(url: "rtsps://nvr:7441/s3cr3t?enableSrtp"))
        for printed in [configuration.shown.yaml, configuration.shown.json] {
            #expect(!printed.contains("s3cr3t") && printed.contains("rtsp://cam/live/(hidden)/video"), "\(printed)")
        }
    }

    @Test("A secret source that does not fit is not quoted")
    func sourceNotQuoted() throws {
        let fixture = try ConfigurationFixture(
            "cameras: {a: {source: !secret a}, b: {source: \"file:///x?${B}\"}, c: {source: \"htp://x\"}}\n",
            secrets: "a: s3cr3t://x\n")
        guard case .failure(let errors) = fixture.load(["B": "s3cr3t"]) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.errors.count == 3 && !errors.description.contains("s3cr3t"), "\(errors)")
        #expect(errors.description.contains("htp://: no such kind of source"))
    }

    @Test("A secrets file that others can read is refused, with the command that helps")
    func mode() throws {
        let fixture = try ConfigurationFixture(Self.text, secrets: "mqtt: hunter2\n", secretsMode: 0o640)
        guard case .failure(let errors) = fixture.load(["CAM": "x"]) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.errors.count == 1)
        #expect(errors.description.contains("others may read it; run chmod 600"))
        #expect(errors.errors.first?.keyPath == "broker.password")
    }

    @Test("A wrong value that came from a secret is not quoted")
    func notQuoted() throws {
        let fixture = try ConfigurationFixture(
            "rotation: {interval: !secret a}\nnode: ${B}\nbroker: {url: \"mqtt://u:pass@h\"}\n", secrets: "a: hunter2\n"
        )
        guard case .failure(let errors) = fixture.load(["B": "S3CR3T"]) else {
            Issue.record("accepted")
            return
        }
        #expect(errors.errors.count == 3)
        for word in ["hunter2", "S3CR3T", "pass@"] { #expect(!errors.description.contains(word)) }
    }

    @Test("A name that the secrets file lacks, and a dollar that is meant")
    func missing() throws {
        let fixture = try ConfigurationFixture("node: !secret b", secrets: "a: x\n")
        guard case .failure(let errors) = fixture.load() else {
            Issue.record("accepted")
            return
        }
        #expect(errors.description.contains("!secret b: no such name in"))
        #expect(try configuration("broker: {username: '$${NOT}'}").broker.username == "${NOT}")
    }

    @Test("What is shown can be read again and means the same")
    func shownAgain() throws {
        let first = try configuration(
            "cameras: {a: {source: 'test://pattern?fps=5', groups: [x], storage: {retention: {max_age: 90m}}}}\n")
        let again = try configuration(first.shown.yaml)
        #expect(again.shown == first.shown)
        #expect(again.cameras[0].storage.retention.maxAge == .seconds(5400))
    }
}
