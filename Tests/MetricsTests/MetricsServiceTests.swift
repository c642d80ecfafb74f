import Bus
import BusContract
import ClusterConfig
import Domain
import Foundation
import Ledger
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import MetricsCore

@Suite("The metrics service on a real port", .timeLimit(.minutes(1)))
final class MetricsServiceTests {
    private let fixture: MetricsFixture

    init() throws { fixture = try MetricsFixture() }

    private func online() { fixture.worker.publish(CameraAvailability.online, to: MetricsFixture.front) }

    @Test("What a worker says is in the documents as it stands on the bus, and in the series")
    func documents() async throws {
        try await fixture.start()
        online()
        let stream = StreamState(state: .idle, leases: .init(viewing: 3), source: "test://pattern")
        fixture.worker.publish(stream, to: MetricsFixture.front)
        try await eventually("the state is there") { [fixture] in
            try await fixture.get("/api/v1/cameras/front").body.contains("\"viewing\":3")
        }
        let camera = try await fixture.get("/api/v1/cameras/front")
        #expect(try camera.json("stream", "source") == "test://pattern" && camera.json("online") == true)
        #expect(camera.headers["content-type"] == "application/json")
        let tag = try #require(camera.headers["etag"])
        let again = try await fixture.get("/api/v1/cameras/front", "If-None-Match: \(tag)")
        #expect(again.status == 304 && again.body.isEmpty)
        let series = try await fixture.get("/metrics")
        #expect(series.body.contains("framekeeper_leases{camera=\"front\",use=\"viewing\"} 3\n"))
        #expect(series.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
        #expect(try await fixture.get("/api/v1/status").json("node") == "attic")
        let services: [[String: Any]] = try await fixture.get("/api/v1/services").json("services")
        #expect(services.contains { $0["service"] as? String == "metrics" })
        #expect(try await fixture.get("/api/v1/cameras/hall").status == 404)
        let head = try await fixture.ask("HEAD", "/api/v1/status")
        #expect(head.status == 200 && head.body.isEmpty && Int(head.headers["content-length"] ?? "") ?? 0 > 100)
        #expect(await fixture.stop() == .done)
    }

    @Test("The heartbeat goes through the broker; without one the service lives and is not ready")
    func broker() async throws {
        try await fixture.start()
        try await eventually("the way is measured") { [fixture] in
            let series = try await fixture.get("/metrics").body
            let count = series.split(separator: "\n").first { $0.hasPrefix("framekeeper_bus_roundtrip_seconds_count ") }
            return Int(count?.split(separator: " ").last ?? "") ?? 0 >= 1
        }
        await fixture.broker.crash()
        try await eventually("it says so") { [fixture] in try await fixture.get("/readyz").status == 503 }
        #expect(try await fixture.get("/healthz").status == 200)
        #expect(try await fixture.get("/metrics").body.contains("framekeeper_bus_connected 0\n"))
        await fixture.broker.restart()
        try await eventually("it is back") { [fixture] in try await fixture.get("/readyz").status == 200 }
        await fixture.stop()
    }

    @Test("What is unreadable, forged or of nobody changes nothing and is counted")
    func hostile() async throws {
        try await fixture.start()
        let forger = fixture.worker
        let root = "framekeeper/"
        for (topic, payload) in [
            ("cameras/front/stream", "{"), ("cameras/FRONT/stream", "{}"), ("cameras/front/stats", "[]"),
            ("cameras/front/gap", "{\"seconds\":1e400}"), ("storage/attic", "\u{0}"), ("services/x/y/z", "{}"),
            ("cameras/front/health", "{\"status\":\"<script>\",\"restarts_1h\":0,\"breaker\":\"closed\"}"),
            ("cameras/front/snapshot/image", "no picture"), ("cameras//stream", "{}"),
        ] {
            forger.reply(
                Reply<JSONValue>(ok: .null, requestID: payload), to: ReplyAddress(topic: root + topic, correlation: nil)
            )
        }
        try await eventually("they are counted") { [fixture] in
            let line = try await fixture.get("/metrics").body.split(separator: "\n")
                .first { $0.hasPrefix("framekeeper_bus_unreadable_messages_total ") }
            return Int(line?.split(separator: " ").last ?? "") ?? 0 >= 7
        }
        let camera = try await fixture.get("/api/v1/cameras/front")
        #expect(!camera.body.contains("stream") && !camera.body.contains("script"))
        #expect(try await fixture.get("/snapshots/front.jpg").status == 404)
        await fixture.stop()
    }

    @Test("A node's state that the broker does not keep any more is not shown any more")
    func takenBack() async throws {
        try await fixture.start()
        let node = MetricsFixture.node
        fixture.worker.publish(MediaServerState(reachable: false, breaker: .open, mode: .api), to: node)
        let storage = StorageState(totalBytes: 9, freeBytes: 8, usedBytes: 1, oldestAt: nil, status: .full)
        fixture.worker.publish(storage, to: node)
        try await eventually("both are there") { [fixture] in
            let series = try await fixture.get("/metrics").body
            return series.contains("_media_server_reachable{") && series.contains("_storage_free_bytes{")
        }
        fixture.worker.clear(MediaServerState.self, at: node)
        fixture.worker.clear(StorageState.self, at: node)
        try await eventually("both are gone") { [fixture] in
            let series = try await fixture.get("/metrics").body
            return !series.contains("_media_server_reachable{") && !series.contains("_storage_free_bytes{")
        }
        await fixture.stop()
    }

    // MARK: Commands

    @Test("A command goes to the bus as it is, and its answer comes back; a bad one does not leave the house")
    func commands() async throws {
        try await fixture.start()
        let body = "{\"command\":\"start\",\"duration\":\"10m\",\"request_id\":\"a1\"}"
        let done = try await fixture.ask("POST", "/api/v1/cameras/front/recording", body: body)
        #expect(done.status == 200, "\(done)")
        #expect(try done.json("result", "state") == "recording" && done.json("request_id") == "a1")
        #expect(try await fixture.ask("POST", "/api/v1/cameras/front/recording", body: "off").status == 200)
        for (path, body, status, code) in [
            ("front/recording", "{\"command\":\"start\",\"durtion\":1}", 400, "invalid_argument"),
            ("front/recording", "", 400, "unknown_command"), ("front/recording", "{", 400, "invalid_payload"),
            ("front/recording", "[]", 400, "invalid_payload"), ("front/rotation", "SPIN", 400, "unknown_command"),
            ("front/snapshot", "{\"width\":1}", 400, "invalid_argument"),
            ("hall/recording", "ON", 404, "unknown_camera"),
            ("FRONT/recording", "ON", 404, "unknown_camera"),
            // Refused by the worker, which is in no state to do it, and by the broker, which knows nobody who listens.
            ("front/rotation", "ROTATE", 409, "not_ready"), ("front/snapshot", "PRESS", 503, "not_ready"),
        ] {
            let answer = try await fixture.ask("POST", "/api/v1/cameras/\(path)", body: body)
            #expect(answer.status == status, "\(path) \(body): \(answer.body)")
            #expect(try answer.json("error", "code") == code)
        }
        #expect(
            fixture.commands.all == [
                "cameras/front/recording/set \(body)", "cameras/front/recording/set off",
                "cameras/front/rotation/set ROTATE",
            ])
        let series = try await fixture.get("/metrics").body
        #expect(series.contains("framekeeper_command_seconds_count{command=\"recording\"} 2\n"))
        #expect(series.contains("framekeeper_command_errors_total{code=\"not_ready\"} 2\n"))
        await fixture.stop()
    }

    @Test("Read-only means no command at all")
    func readOnly() async throws {
        try await fixture.start { $0.readOnly = true }
        let answer = try await fixture.ask("POST", "/api/v1/cameras/front/recording", body: "ON")
        #expect(answer.status == 403 && answer.body.contains("read_only"))
        let status = try await fixture.get("/api/v1/status")
        #expect(try status.json("read_only") == true && status.json("token_required") == false)
        #expect(fixture.commands.all.isEmpty)
        await fixture.stop()
    }

    // MARK: Access

    /// With it no budget fills again.
    private static let standstill: @Sendable () -> MonotonicTime = { MonotonicTime(nanoseconds: 0) }

    @Test("With a token: 401 without, a cookie for browsers, and an end of guessing")
    func tokens() async throws {
        let token = "correct-horse-battery"
        fixture.budgetClock = Self.standstill
        try await fixture.start { $0.token = Secret(token) }
        let refused = try await fixture.get("/api/v1/status")
        #expect(refused.status == 401 && refused.headers["www-authenticate"]?.hasPrefix("Bearer") == true)
        let bearer = "Authorization: Bearer \(token)"
        #expect(try await fixture.get("/metrics", bearer).status == 200)
        let signedIn = try await fixture.ask("POST", "/api/v1/session", bearer)
        let cookie = try #require(signedIn.headers["set-cookie"])
        #expect(signedIn.status == 204 && cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
        let shown = "Cookie: \(cookie.prefix { $0 != ";" })"
        #expect(cookie.hasPrefix("framekeeper_token_\(fixture.port)="))
        let status = try await fixture.get("/api/v1/status", shown)
        #expect(try status.json("token_required") == true && status.json("read_only") == false)
        for _ in 0..<10 {
            #expect(try await fixture.get("/metrics", "Authorization: Bearer guess-number-17").status == 401)
        }
        // The address is spent, also for the right one.
        #expect(try await fixture.get("/metrics", bearer).status == 429)
        #expect(try await fixture.get("/metrics", shown).status == 200, "a cookie is another matter")
        #expect(try await fixture.get("/healthz").status == 200)
        await fixture.stop()
    }

    @Test("A cookie that has become a wrong one locks out nobody who has the right token")
    func staleCookies() async throws {
        let token = "correct-horse-battery"
        fixture.budgetClock = Self.standstill
        try await fixture.start { $0.token = Secret(token) }
        let stale = "Cookie: framekeeper_token_\(fixture.port)=of-yesterday"
        for _ in 0..<30 { #expect(try await fixture.get("/api/v1/status", stale).status == 401) }
        #expect(try await fixture.get("/api/v1/status", stale).status == 429, "guessing ends here too")
        let bearer = "Authorization: Bearer \(token)"
        #expect(try await fixture.get("/metrics", bearer).status == 200)
        let signedIn = try await fixture.ask("POST", "/api/v1/session", bearer, stale)
        let cookie = try #require(signedIn.headers["set-cookie"]).prefix { $0 != ";" }
        #expect(try await fixture.get("/api/v1/status", "Cookie: \(cookie)").status == 200)
        await fixture.stop()
    }

    @Test("Every answer keeps browsers from guessing; other pages read only where they are allowed to")
    func headers() async throws {
        try await fixture.start { $0.allowOrigins = ["https://panel.lan"] }
        for path in ["/", "/metrics", "/api/v1/status", "/nothing", "/openapi.json"] {
            let headers = try await fixture.get(path).headers
            #expect(headers["x-content-type-options"] == "nosniff", "\(path)")
            #expect(headers["content-security-policy"]?.contains("default-src 'none'") == true)
            #expect(headers["x-frame-options"] == "DENY" && headers["access-control-allow-origin"] == nil)
        }
        let allowed = try await fixture.get("/api/v1/status", "Origin: https://panel.lan")
        #expect(allowed.headers["access-control-allow-origin"] == "https://panel.lan")
        let other = try await fixture.get("/api/v1/status", "Origin: https://evil.example")
        #expect(other.headers["access-control-allow-origin"] == nil)
        await fixture.stop()
    }

    @Test("A flood from one address is slowed down")
    func flood() async throws {
        let seconds = Mutex<Int64>(0)
        fixture.budgetClock = { MonotonicTime(nanoseconds: seconds.withLock { $0 } * 1_000_000_000) }
        try await fixture.start()
        var answers: [MetricsFixture.Answer] = []
        // Less what it took to see that the service is ready.
        for _ in 0..<301 where answers.last?.status != 429 { answers.append(try await fixture.get("/healthz")) }
        #expect(answers.last?.status == 429 && answers.last?.headers["retry-after"] == "1")
        #expect(answers.dropLast().allSatisfy { $0.status == 200 } && answers.count > 200)
        seconds.withLock { $0 += 1 }
        #expect(try await fixture.get("/healthz").status == 200)
        await fixture.stop()
    }

    // MARK: Recordings

    @Test("Files are found through the ledger alone, whole and in parts")
    func files() async throws {
        _ = try fixture.record(0, bytes: 100)
        _ = try fixture.record(1, bytes: nil)
        try await fixture.start()
        let list = try await fixture.get("/api/v1/recordings?camera=front&limit=1")
        let rows: [[String: Any]] = try list.json("recordings")
        #expect(rows.count == 1 && rows.first?["url"] as? String == fixture.url(0))
        #expect(try list.json("more") == true)
        let whole = try await fixture.get(fixture.url(0))
        #expect(whole.status == 200 && whole.body.count == 100 && whole.headers["content-type"] == "video/mp4")
        #expect(whole.headers["accept-ranges"] == "bytes")
        let part = try await fixture.get(fixture.url(0), "Range: bytes=2-4")
        #expect(part.status == 206 && part.body == "cde" && part.headers["content-range"] == "bytes 2-4/100")
        let tail = try await fixture.get(fixture.url(0), "Range: bytes=-2")
        #expect(tail.body == "uv" && tail.headers["content-length"] == "2")
        let beyond = try await fixture.get(fixture.url(0), "Range: bytes=100-")
        #expect(beyond.status == 416 && beyond.headers["content-range"] == "bytes */100")
        let tag = try #require(whole.headers["etag"])
        #expect(try await fixture.get(fixture.url(0), "If-None-Match: \(tag)").status == 304)
        #expect(try await fixture.get(fixture.url(0), "Range: bytes=0-1", "If-Range: \"other\"").status == 200)
        for range in ["bytes=0-1", "bytes=100-"] {
            let known = try await fixture.get(fixture.url(0), "If-None-Match: \(tag)", "Range: \(range)")
            #expect(known.status == 304, "\(range)")
            let head = try await fixture.ask("HEAD", fixture.url(0), "Range: \(range)")
            #expect(head.status == 200 && head.headers["content-length"] == "100", "\(range)")
        }
        let head = try await fixture.ask("HEAD", fixture.url(0))
        #expect(head.headers["content-length"] == "100" && head.body.isEmpty)
        #expect(try await fixture.get(fixture.url(1)).status == 410)
        for id in ["x", "\(MetricsFixture.session)_9", "\(MetricsFixture.session)", "..%2F..%2Fetc%2Fpasswd", "_1"] {
            #expect(try await fixture.get("/recordings/\(id).mp4").status == 404, "\(id)")
        }
        await fixture.stop()
    }

    @Test("A link in the place of a recording leads nowhere")
    func links() async throws {
        let path = fixture.storage + "/" + (try fixture.record(0, bytes: 10))
        try FileManager.default.removeItem(atPath: path)
        let secret = fixture.folder + "/secret"
        try "secret".write(toFile: secret, atomically: true, encoding: .utf8)
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: secret)
        try await fixture.start()
        #expect(try await fixture.get(fixture.url(0)).status == 410)
        await fixture.stop()
    }

    @Test("Without a ledger there are no recordings, and that is no fault; a damaged one is said")
    func withoutLedger() async throws {
        try await fixture.start()
        #expect(try await fixture.get("/api/v1/recordings").body == "{\"recordings\":[],\"more\":false}")
        #expect(try await fixture.get("/api/v1/gaps").status == 200)
        #expect(try await fixture.get(fixture.url(0)).status == 404)
        try String(repeating: "no ledger ", count: 1000)
            .write(toFile: "\(fixture.storage)/ledger.sqlite", atomically: true, encoding: .utf8)
        let damaged = try await fixture.get("/api/v1/recordings")
        #expect(damaged.status == 507)
        #expect(try damaged.json("error", "code") == "storage_failed")
        await fixture.stop()
    }

    @Test("The newest picture of a camera, from the bus")
    func pictures() async throws {
        try await fixture.start()
        #expect(try await fixture.get("/snapshots/front.jpg").status == 404)
        fixture.worker.publish(SnapshotImage(bytes: [0xFF, 0xD8, 65, 66]), to: MetricsFixture.front)
        try await eventually("the picture is there") { [fixture] in
            try await fixture.get("/snapshots/front.jpg").status == 200
        }
        let picture = try await fixture.get("/snapshots/front.jpg")
        #expect(picture.headers["content-type"] == "image/jpeg" && picture.body.hasSuffix("AB"))
        let tag = try #require(picture.headers["etag"])
        #expect(try await fixture.get("/snapshots/front.jpg", "If-None-Match: \(tag)").status == 304)
        fixture.worker.clear(SnapshotImage.self, at: MetricsFixture.front)
        try await eventually("it is gone") { [fixture] in
            try await fixture.get("/snapshots/front.jpg").status == 404
        }
        await fixture.stop()
    }

    // MARK: History

    @Test("What was measured is there after a restart")
    func history() async throws {
        try await fixture.start()
        var stats = StreamStats()
        stats.fps = 12
        fixture.worker.publish(stats, to: MetricsFixture.front)
        // A span ends every ten seconds.
        try await eventually("the sample is written", within: .seconds(25)) { [fixture] in
            try await fixture.get("/api/v1/history?camera=front&step=10s").body.contains("\"fps\":[12]")
        }
        await fixture.stop()
        try await fixture.start()
        let minutes = try await fixture.get("/api/v1/history?camera=front&step=1m")
        #expect(try (minutes.json("fps") as [Double]).contains(12))
        #expect(try await fixture.get("/api/v1/history?camera=hall").status == 404)
        #expect(try await fixture.get("/api/v1/history?step=1h").json("subject") == "node/attic")
        await fixture.stop()
        try await fixture.start { $0.history = false }
        #expect(try await fixture.get("/api/v1/history").status == 409)
        await fixture.stop()
    }
}
