import ClusterConfig
import Domain
import Logging
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import ConfigWriterShell

/// The hook address, with requests that hooks send and requests that they do not.
final class DemandEndpointTests: Sendable {
    private let calls = Mutex<[String]>([])
    private let clock = Mutex(MonotonicTime(nanoseconds: 0))
    private let port: Int
    private let front = CameraID(unchecked: "front")

    init() throws { port = try MosquittoBroker.freePort() }

    private func endpoint() -> DemandEndpoint {
        DemandEndpoint(
            now: { [self] in clock.withLock { $0 } },
            logger: Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) },
            feed: { [self] verb, camera in calls.withLock { $0.append("\(verb.rawValue) \(camera)") } })
    }

    private var heard: [String] { calls.withLock { $0 } }
    private var listen: HostAndPort { HostAndPort(host: "127.0.0.1", port: port) }

    /// Past the pause of one camera.
    private func letTimePass() { clock.withLock { $0 = $0 + .seconds(1) } }

    private func started(on host: String = "127.0.0.1") async throws -> DemandEndpoint {
        let endpoint = endpoint()
        endpoint.configure(HostAndPort(host: host, port: port), cameras: [front])
        try await eventually("the endpoint listens", within: .seconds(60)) {
            (try? await RawHTTP.send("GET", "/", port: port)) != nil
        }
        return endpoint
    }

    @Test func takesWhatHooksSend() async throws {
        let endpoint = try await started()
        #expect(try await RawHTTP.send("POST", "/v1/demand/front", port: port).status == 204)
        #expect(try await RawHTTP.send("POST", "/v1/undemand/front", port: port).status == 204)
        let curl = try ChildProcess(
            ["curl", "--silent", "--max-time", "5", "--request", "POST", "http://127.0.0.1:\(port)/v1/demand/front"])
        try await eventually("curl ends") { curl.exitStatus() == 0 }
        // The second within the pause is one too many.
        #expect(heard == ["demand front", "undemand front"])
        letTimePass()
        #expect(try await RawHTTP.send("POST", "/v1/demand/front?x=1", port: port).status == 204)
        #expect(heard.count == 3)
        // Readers are never too many: what one is told of holds for all who begin until somebody has taken note.
        #expect(try await RawHTTP.send("POST", "/v1/read/front", port: port).status == 204)
        #expect(try await RawHTTP.send("POST", "/v1/read/front", port: port).status == 202)
        endpoint.heardOfReader(at: front)
        #expect(try await RawHTTP.send("POST", "/v1/read/front", port: port).status == 204)
        letTimePass()
        #expect(try await RawHTTP.send("POST", "/v1/read/front", port: port).status == 204)
        #expect(heard.dropFirst(3) == ["read front", "read front", "read front"])
        await endpoint.stop()
    }

    @Test func refusesEverythingElse() async throws {
        let endpoint = try await started()
        for (method, path, status) in [
            ("GET", "/v1/demand/front", 405), ("PUT", "/v1/demand/front", 405), ("POST", "/v1/demand/hall", 404),
            ("POST", "/v1/demand/..%2Ffront", 404),
            ("POST", "/v2/demand/front", 404),
            ("POST", "/v1/start/front", 404), ("POST", "/", 404), ("POST", "/v1/demand/FRONT", 404),
        ] {
            #expect(try await RawHTTP.send(method, path, port: port).status == status, "\(method) \(path)")
        }
        let page = ["Origin: http://evil.example", "Content-Type: text/plain"]
        #expect(try await RawHTTP.send("POST", "/v1/demand/front", headers: page, port: port).status == 403)
        #expect(heard == [])
        await endpoint.stop()
    }

    /// A page can put a whole request without an `Origin` into the body of its own.
    @Test func aRequestInABodyIsNone() async throws {
        let endpoint = try await started()
        let hidden = "POST /v1/demand/front HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        for padding in [0, 5000, 3_000_000] {
            let body = String(repeating: " ", count: padding) + hidden
            let page = [
                "POST /v1/demand/front HTTP/1.1", "Host: x", "Origin: http://evil.example",
                "Content-Length: \(padding > 4096 ? 9_000_000 : body.utf8.count)",
            ]
            _ = try await RawHTTP.exchange(page.joined(separator: "\r\n") + "\r\n\r\n" + body, port: port)
        }
        let plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n" + hidden
        _ = try await RawHTTP.exchange(plain, port: port)
        #expect(heard == [])
        await endpoint.stop()
    }

    @Test func aTakenPortIsTriedAgain() async throws {
        let first = try await started()
        let second = endpoint()
        second.configure(listen, cameras: [front])
        await first.stop()
        try await eventually("the second one listens", within: .seconds(60)) {
            letTimePass()
            return (try? await RawHTTP.send("POST", "/v1/demand/front", port: port).status) == 204
        }
        await second.stop()
        await #expect(throws: RawHTTP.Failed.self) { try await RawHTTP.send("GET", "/", port: port) }
    }

    @Test func anotherPortTakesOver() async throws {
        let endpoint = try await started(on: "localhost")
        let other = try MosquittoBroker.freePort()
        endpoint.configure(HostAndPort(host: "127.0.0.1", port: other), cameras: [])
        try await eventually("the other port listens", within: .seconds(60)) {
            (try? await RawHTTP.send("POST", "/v1/demand/front", port: other).status) == 404
        }
        await #expect(throws: RawHTTP.Failed.self) { try await RawHTTP.send("GET", "/", port: port) }
        await endpoint.stop()
    }
}
