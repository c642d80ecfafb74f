import Domain
import Testing

@testable import MetricsCore

@Suite("Who may ask for what")
struct AccessTests {
    private let token = "abcdefgh-1234567"

    private func decide(
        _ request: String, token: String? = nil, readOnly: Bool = false, origins: [String] = [], _ headers: String...
    ) throws -> AccessRule.Decision {
        let words = request.split(separator: " ")
        let lines = ["\(words[0]) \(words[1]) HTTP/1.1"] + headers
        let head = try HTTPRequestHead(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8))
        return AccessRule(token: token, isReadOnly: readOnly, allowOrigins: origins).decide(try Route(head), head)
    }

    private func isForbidden(_ decision: AccessRule.Decision) -> Bool {
        if case .forbidden = decision { true } else { false }
    }

    @Test("On loopback everybody at this host may ask, but no page by a name of its own")
    func loopback() throws {
        for host in ["127.0.0.1:9920", "localhost:9920", "localhost", "[::1]:9920", "10.0.0.7"] {
            #expect(try decide("GET /api/v1/status", "Host: \(host)") == .allowed, "\(host)")
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil:80", "", "127.0.0.1:80@evil"] {
            #expect(try isForbidden(decide("GET /api/v1/status", "Host: \(host)")), "\(host)")
        }
        #expect(try isForbidden(decide("GET /api/v1/status")), "without a host")
    }

    @Test("Commands come from a person's own page or from a program")
    func commands() throws {
        let path = "POST /api/v1/cameras/front/recording"
        #expect(try decide(path, "Host: 127.0.0.1:1") == .allowed)
        #expect(try decide(path, "Host: 127.0.0.1:1", "Origin: http://127.0.0.1:1") == .allowed)
        #expect(try isForbidden(decide(path, "Host: 127.0.0.1:1", "Origin: http://127.0.0.1:2")))
        #expect(try isForbidden(decide(path, "Host: 127.0.0.1:1", "Origin: null")))
        #expect(try isForbidden(decide(path, "Host: 127.0.0.1:1", "Sec-Fetch-Site: cross-site")))
        let origins = ["https://panel.lan"]
        #expect(try isForbidden(decide(path, origins: origins, "Host: 127.0.0.1:1", "Origin: https://panel.lan")))
        #expect(try isForbidden(decide(path, readOnly: true, "Host: 127.0.0.1:1")))
        #expect(try decide("GET /api/v1/status", readOnly: true, "Host: 127.0.0.1:1") == .allowed)
    }

    @Test("With a token, it is asked of everything but what holds nothing")
    func tokens() throws {
        let host = "Host: cameras.lan"
        for path in [
            "/api/v1/status", "/metrics", "/events", "/recordings/x.mp4", "/snapshots/front.jpg", "/api/v1/history",
        ] {
            #expect(try decide("GET \(path)", token: token, host) == .unauthorized(wrong: nil), "\(path)")
            #expect(try decide("GET \(path)", token: token, host, "Authorization: Bearer \(token)") == .allowed)
            #expect(try decide("GET \(path)", token: token, host, "Cookie: framekeeper_token=\(token)") == .allowed)
        }
        for path in ["/", "/app.js", "/healthz", "/readyz", "/openapi.json"] {
            #expect(try decide("GET \(path)", token: token, host) == .allowed, "\(path)")
        }
        for wrong in [token + "x", String(token.dropLast()), "x", token.uppercased()] {
            let answer = try decide("GET /metrics", token: token, host, "Authorization: bearer \(wrong)")
            #expect(answer == .unauthorized(wrong: .bearer), "\(wrong)")
            let shown = "Cookie: framekeeper_token=\(wrong)"
            #expect(try decide("GET /metrics", token: token, host, shown) == .unauthorized(wrong: .cookie))
        }
        #expect(
            try decide("GET /metrics", token: token, host, "Authorization: Basic abc") == .unauthorized(wrong: nil))
        let signIn = "POST /api/v1/session"
        #expect(try decide(signIn, token: token, host) == .unauthorized(wrong: nil))
        let cookie = "Cookie: framekeeper_token=\(token)"
        #expect(
            try decide(signIn, token: token, host, cookie) == .unauthorized(wrong: nil), "no cookie renews itself")
        #expect(try decide(signIn, token: token, host, "Authorization: Bearer \(token)") == .allowed)
    }

    @Test(
        "Each port of a host has a cookie of its own",
        arguments: [
            ("cameras.lan", "framekeeper_token"), ("cameras.lan:9920", "framekeeper_token_9920"),
            ("[::1]:9921", "framekeeper_token_9921"), ("[::1]", "framekeeper_token"), ("x:9;a=b", "framekeeper_token"),
        ])
    func cookies(host: String, name: String) throws {
        #expect(
            try decide("GET /metrics", token: token, "Host: \(host)", "Cookie: \(name)=\(token)") == .allowed)
        #expect(
            try decide("GET /metrics", token: token, "Host: \(host)", "Cookie: \(name)_1=\(token)")
                == .unauthorized(wrong: nil))
    }

    @Test("A budget is spent and fills again; addresses do not pile up")
    func budgets() {
        var budget = RequestBudget()
        let start = MonotonicTime(nanoseconds: 0)
        for _ in 0..<20 { #expect(budget.take(.command, of: "a", at: start) == nil) }
        #expect(budget.take(.command, of: "a", at: start) == 1 && budget.isSpent(.command, of: "a", at: start))
        #expect(budget.take(.command, of: "b", at: start) == nil && budget.take(.request, of: "a", at: start) == nil)
        #expect(budget.take(.command, of: "a", at: start + .milliseconds(200)) == nil)
        #expect(budget.take(.command, of: "a", at: start + .milliseconds(200)) != nil)
        let later = start + .milliseconds(200)
        budget.forgive(.command, of: "a")
        #expect(!budget.isSpent(.command, of: "a", at: later))
        for number in 0..<5000 { _ = budget.take(.request, of: "\(number)", at: start + .seconds(number)) }
        #expect(budget.count <= RequestBudget.addressesMax)
    }

    @Test("Addresses, methods and queries that are not known are refused in words")
    func routes() throws {
        func fault(_ request: String) throws -> Route.Fault? {
            let head = try HTTPRequestHead(Array("\(request) HTTP/1.1\r\n\r\n".utf8))
            do throws(Route.Fault) {
                _ = try Route(head)
                return nil
            } catch {
                return error
            }
        }
        for path in [
            "/x", "//", "/api", "/api/v2/status", "/api/v1/cameras/front/viewing", "/recordings/", "/recordings/.mp4",
            "/recordings/a%2Fb", "/snapshots/front.png", "/api/v1/cameras/front/recording/x", "/..", "/app.js/",
        ] {
            #expect(try fault("GET \(path)") == .notFound, "\(path)")
        }
        #expect(try fault("POST /metrics") == .methodNotAllowed(["GET", "HEAD"]))
        #expect(try fault("GET /api/v1/cameras/front/recording") == .methodNotAllowed(["POST"]))
        #expect(try fault("GET /api/v1/recordings?limit=0") != nil)
        #expect(try fault("GET /api/v1/recordings?limit=1001") != nil && fault("GET /api/v1/gaps?limit=+5") != nil)
        #expect(try fault("GET /api/v1/recordings?camera=FRONT") != nil)
        #expect(try fault("GET /api/v1/history?step=5m") == .badQuery("step: expected 10s, 1m or 1h"))
        #expect(try fault("GET /api/v1/status?x=1") == .badQuery("x: no such parameter"))
        #expect(try fault("GET /api/v1/gaps?limit=1&limit=2") == .badQuery("limit: given twice"))
        #expect(try fault("GET /api/v1/gaps?from=2026-03-01T12:30:00.250Z&camera=front&limit=5") == nil)
    }
}
