import ClusterConfig
import Domain
import Foundation
import Logging
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import MetricsCore
@testable import MetricsShell

/// The server with clients that are slow, many, silent or rude.
@Suite("The HTTP server under bad clients", .timeLimit(.minutes(1)))
final class HTTPListenerTests: Sendable {
    private let port: Int
    private let statuses = Mutex<[Int]>([])
    private let folder: TestFolder

    init() throws {
        port = try MosquittoBroker.freePort()
        folder = try TestFolder()
    }

    private static let quiet = Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) }

    /// Answers `/large` with a file of 32 MB, and everything else with its own body.
    private func listener(_ limits: HTTPLimits = HTTPLimits()) async throws -> HTTPListener {
        let large = folder.path("large")
        let listener = HTTPListener(
            listen: HostAndPort(host: "127.0.0.1", port: port), limits: limits, logger: Self.quiet,
            count: { [self] status in statuses.withLock { $0.append(status) } },
            answer: { request in
                if request.head.path == ["large"], let file = ServedFile(path: large) {
                    return HTTPAnswer(status: 200, body: .file(file, 0..<file.size))
                }
                guard case .bytes(let body) = request.body else { return HTTPAnswer(status: 413) }
                return HTTPAnswer(status: 200, body: .bytes(body))
            })
        listener.start()
        try await eventually("it listens") { listener.isListening }
        return listener
    }

    private func echo(_ text: String = "hello") async throws -> String {
        try await RawHTTP.send("POST", "/", body: text, port: port).body
    }

    @Test("Requests follow on one connection, in pieces and all at once")
    func keepAlive() async throws {
        let listener = try await listener()
        let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
        let last = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\ncd"
        let both = try await RawHTTP.exchange(request + request + last, port: port)
        #expect(both.components(separatedBy: "HTTP/1.1 200 OK").count == 4)
        #expect(both.hasSuffix("cd"))
        let client = try PlainSocket(port: port)
        for piece in ["POS", "T / HTTP/1.1\r", "\nHost: x\r\nContent-Le", "ngth: 3\r\n\r", "\nx", "yz"] {
            try client.send(piece)
        }
        let answer = Mutex("")
        try await eventually("the answer") {
            answer.withLock { $0 += client.receive() ?? "" }
            return answer.withLock { $0 }.hasSuffix("xyz")
        }
        await listener.stop()
    }

    @Test("A head that does not end and a body that does not come cost ten seconds, not a thread")
    func slowRequests() async throws {
        let listener = try await listener(HTTPLimits(request: .milliseconds(300), idle: .milliseconds(600)))
        let idle = try PlainSocket(port: port)
        let head = try PlainSocket(port: port)
        try head.send("GET / HT")
        let body = try PlainSocket(port: port)
        try body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")
        // Every byte in time, and never an end.
        let drip = try PlainSocket(port: port)
        try await eventually("all four are closed", within: .seconds(10)) {
            try? drip.send("x")
            return [idle, head, body, drip].allSatisfy { $0.receive().map { $0.contains("400") } ?? true }
        }
        try await eventually("nobody is left") { listener.openConnections == 0 }
        // A busy machine may cut off one that was in time.
        try await eventually("others are served") { (try? await self.echo()) == "hello" }
        await listener.stop()
    }

    @Test("Who does not read is left; others do not wait for that")
    func slowReader() async throws {
        try folder.write([UInt8](repeating: 7, count: 32_000_000), to: "large")
        let listener = try await listener(HTTPLimits(send: .seconds(1)))
        let readers = try (0..<4).map { _ in
            let client = try PlainSocket(port: port)
            client.shrinkReceiveBuffer()
            try client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            return client
        }
        try await eventually("all are being served") { listener.openConnections == 4 }
        #expect(try await echo() == "hello")
        try await eventually("they are left", within: .seconds(20)) { listener.openConnections == 0 }
        #expect(readers.count == 4)
        await listener.stop()
    }

    @Test("Who reads a little now and then is left too: what counts is a piece in its time")
    func tricklingReader() async throws {
        try folder.write([UInt8](repeating: 7, count: 32_000_000), to: "large")
        let listener = try await listener(HTTPLimits(send: .milliseconds(500)))
        let client = try PlainSocket(port: port, segmentBytesMax: 1448)
        client.shrinkReceiveBuffer()
        try client.send("GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        try await eventually("it is being served") { client.receive(atMost: 1)?.isEmpty == false }
        // At most 50 kB in a second, where a piece of 64 KiB has half of one.
        try await eventually("it is left", within: .seconds(10)) {
            _ = client.receive(atMost: 256)
            return listener.openConnections == 0
        }
        await listener.stop()
    }

    @Test("A file is served whatever year it says that it was changed in", arguments: [13_569_465_600, -7_000_000_000])
    func anyYear(seconds: Int) throws {
        try folder.write([1, 2, 3], to: "any")
        let before = try #require(ServedFile(path: folder.path("any")))
        var times = [timespec](repeating: timespec(tv_sec: seconds, tv_nsec: 5), count: 2)
        #expect(utimensat(AT_FDCWD, folder.path("any"), &times, 0) == 0)
        let file = try #require(ServedFile(path: folder.path("any")))
        #expect(file.size == 3 && file.modified != before.modified)
        before.close()
        file.close()
    }

    @Test("One connection too many is told so, and room comes back")
    func tooMany() async throws {
        let listener = try await listener(HTTPLimits(connections: 3))
        var clients = try (0..<3).map { _ in try PlainSocket(port: port) }
        try await eventually("three are there") { listener.openConnections == 3 }
        let refused = try await RawHTTP.exchange("", port: port)
        #expect(refused.hasPrefix("HTTP/1.1 503 ") && refused.contains("Retry-After: 1"))
        clients.removeLast()
        try await eventually("there is room again") { (try? await self.echo()) == "hello" }
        #expect(clients.count == 2)
        await listener.stop()
    }

    @Test("Who only keeps a connection makes room for who needs one, the longest idle first")
    func idleMakesRoom() async throws {
        let listener = try await listener(HTTPLimits(connections: 3, connectionsPerPeer: 3))
        let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
        let busy = try PlainSocket(port: port)
        try busy.send(request)
        try await eventually("it is there") { listener.openConnections == 1 }
        var idle: [PlainSocket] = []
        for _ in 0..<2 {
            let client = try PlainSocket(port: port)
            try client.send(request + "ab")
            try await eventually("it has its answer") { client.receive()?.hasSuffix("ab") == true }
            idle.append(client)
        }
        try await eventually("one more is served") { (try? await self.echo()) == "hello" }
        try await eventually("the first of the idle ones has gone") { idle[0].receive() == nil }
        try busy.send("cd")
        try await eventually("who was at work still is") { busy.receive()?.hasSuffix("cd") == true }
        try idle[1].send(request + "ef")
        try await eventually("and so is the other idle one") { idle[1].receive()?.hasSuffix("ef") == true }
        await listener.stop()
    }

    @Test("What is no request is refused and ends the connection; a large body is not read for a second request")
    func malformed() async throws {
        let listener = try await listener()
        for (text, status) in [
            ("nonsense\r\n\r\n", 400), ("GET / HTTP/3.0\r\n\r\n", 505),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
            ("GET /\(String(repeating: "a", count: 5000)) HTTP/1.1\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nA: \(String(repeating: "a", count: 20_000))\r\n\r\n", 431),
        ] {
            let answer = try await RawHTTP.exchange(text, port: port)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) ") && answer.contains("Connection: close"), "\(answer)")
        }
        let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n"
        let large = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n" + hidden
        let answer = try await RawHTTP.exchange(large, port: port)
        #expect(answer.components(separatedBy: "HTTP/1.1 ").count == 2 && answer.hasPrefix("HTTP/1.1 413 "))
        let waiting = try PlainSocket(port: port)
        try waiting.send("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        try await eventually("it may go on") { waiting.receive()?.hasPrefix("HTTP/1.1 100 ") == true }
        await listener.stop()
    }

    @Test(
        "Who is refused while it still sends hears the refusal, and no reset that may take it away",
        arguments: [
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n", "nonsense\r\n\r\n",
            "GET / HTTP/1.1\r\nA: ",
        ])
    func refusedWhileSending(start: String) async throws {
        let listener = try await listener()
        let client = try PlainSocket(port: port)
        try client.send(start + String(repeating: "x", count: 200_000))
        try await eventually("it has been answered") { statuses.withLock { $0.last ?? 0 } >= 400 }
        try await eventually("it has ended") { client.end() != .open }
        #expect(client.end() == .closed)
        await listener.stop()
    }

    @Test("Who is one too many hears it, also if it has asked already")
    func refusedWithQuestion() async throws {
        let listener = try await listener(HTTPLimits(connections: 1))
        let first = try PlainSocket(port: port)
        try await eventually("it is there") { listener.openConnections == 1 }
        let second = try PlainSocket(port: port)
        try second.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        try second.send(String(repeating: "x", count: 200_000))
        try await eventually("it has been refused") { statuses.withLock { $0 } == [503] }
        try await eventually("it has ended") { second.end() != .open }
        #expect(second.end() == .closed && first.end() == .open)
        await listener.stop()
    }

    @Test("A port that is taken is tried again, and is free after the end")
    func takenPort() async throws {
        let first = try await listener()
        let second = HTTPListener(
            listen: HostAndPort(host: "127.0.0.1", port: port), logger: Self.quiet, count: { _ in },
            answer: { _ in HTTPAnswer(status: 204) })
        second.start()
        let held = try PlainSocket(port: port)
        try await eventually("the first has a connection") { first.openConnections == 1 }
        await first.stop()
        try await eventually("the held connection is ended") { held.receive() == nil }
        try await eventually("the second listens") { second.isListening }
        #expect(try await RawHTTP.send("GET", "/", port: port).status == 204)
        await second.stop()
        #expect(throws: PlainSocket.Failed.self) { try PlainSocket(port: port) }
    }
}
