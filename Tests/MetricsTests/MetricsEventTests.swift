import Bus
import BusContract
import Foundation
import TestSupport
import Testing

@Suite("The event stream of the metrics service", .timeLimit(.minutes(1)))
final class MetricsEventTests {
    private let fixture: MetricsFixture

    init() throws { fixture = try MetricsFixture() }

    private func online() { fixture.worker.publish(CameraAvailability.online, to: MetricsFixture.front) }

    @Test("Events come as they happen; who was away gets what it missed")
    func events() async throws {
        try await fixture.start()
        let listener = try PlainSocket(port: fixture.port)
        try listener.send("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        var heard = ""
        func hears(_ text: String) async throws {
            try await eventually("\(text) is heard") {
                heard += listener.receive() ?? ""
                return heard.contains(text)
            }
        }
        try await hears("retry: 2000")
        online()
        try await hears("event: availability\ndata: {\"camera\":\"front\",\"data\":\"online\"}\n\n")
        #expect(heard.contains("Content-Type: text/event-stream"))
        let id = try #require(heard.components(separatedBy: "id: ").last?.prefix { $0.isNumber })
        fixture.worker.publish(CameraAvailability.offline, to: MetricsFixture.front)
        try await hears("\"offline\"")
        let late = try PlainSocket(port: fixture.port)
        try late.send("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: \(id)\r\n\r\n")
        var missed = ""
        try await eventually("the missed one is heard") {
            missed += late.receive() ?? ""
            return missed.contains("\"offline\"")
        }
        #expect(!missed.contains("\"online\"") && !missed.contains("event: reset"))
        let lost = try PlainSocket(port: fixture.port)
        try lost.send("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: 999999\r\n\r\n")
        var told = ""
        try await eventually("it is told to ask anew") {
            told += lost.receive() ?? ""
            return told.contains("event: reset")
        }
        await fixture.stop()
        try await eventually("the end ends the listeners") { listener.receive() == nil && late.receive() == nil }
    }

    /// What an event stream says, head and all, until `text` has come.
    private func stream(lastSeen: String?, until text: String) async throws -> String {
        let listener = try PlainSocket(port: fixture.port)
        let header = lastSeen.map { "Last-Event-ID: \($0)\r\n" } ?? ""
        try listener.send("GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\(header)\r\n")
        var heard = ""
        try await eventually("\(text) is heard") {
            heard += listener.receive() ?? ""
            return heard.contains(text)
        }
        return heard
    }

    @Test("Who was away before it heard anything gets what it missed, however much telemetry came meanwhile")
    func eventsMissedEarly() async throws {
        try await fixture.start()
        let first = try await stream(lastSeen: nil, until: "retry: 2000\n\n")
        let id = try #require(first.components(separatedBy: "\r\n\r\n").last?.components(separatedBy: "\n").first)
        #expect(id.hasPrefix("id: ") && UInt64(id.dropFirst(4)) != nil, "\(first)")
        online()
        for _ in 0..<600 { fixture.worker.publish(StreamStats(), to: MetricsFixture.front) }
        fixture.worker.publish(CameraAvailability.offline, to: MetricsFixture.front)
        try await eventually("all of it has come") { [fixture] in
            let camera = try await fixture.get("/api/v1/cameras/front").body
            return camera.contains("\"stats\":") && camera.contains("\"online\":false")
        }
        let missed = try await stream(lastSeen: String(id.dropFirst(4)), until: "\"offline\"")
        #expect(missed.contains("\r\n\r\n\(id)\nretry: 2000\n\n"))
        #expect(missed.contains("\"online\"") && !missed.contains("event: reset") && !missed.contains("stats"))
        await fixture.stop()
    }
}
