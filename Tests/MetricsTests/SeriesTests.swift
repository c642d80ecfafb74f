import BusContract
import Domain
import Foundation
import TestSupport
import Testing

@testable import MetricsCore
@testable import MetricsShell

/// Every series at once, judged by Prometheus' own tool, and held against alerts and dashboard in compose/.
@Suite("Every series there is", .timeLimit(.minutes(2)))
struct SeriesTests {
    private static let front = CameraID(unchecked: "front")
    private static let attic = NodeID(unchecked: "attic")
    private static let session = SessionID(high: 1, low: 2)
    private static let start = Now(
        monotonic: MonotonicTime(nanoseconds: 1_000_000_000_000), wall: WallTime(milliseconds: 1_772_366_400_000))

    private var project: URL {
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    }

    private var reports: [CameraReport] {
        let error = CodedError(.storageFull, "no room")
        let segment = SegmentEvent(
            event: .closed, session: Self.session, index: 0, node: Self.attic, file: "f", startedAt: Self.start.wall,
            endedAt: Self.start.wall, durationSeconds: 0, frames: 0, firstFrame: 0, bytes: 0, reason: .rotation)
        let gap = GapEvent(session: Self.session, from: Self.start.wall, to: Self.start.wall, cause: .overrun)
        let recording = RecordingState(state: .recording, session: Self.session, since: Self.start.wall)
        return [
            .availability(.online),
            .stream(StreamState(state: .active, leases: StreamState.LeaseCounts(), source: "x")),
            .recording(recording), .viewing(ViewingState(state: .active, viewers: 2)), .stats(StreamStats()),
            .health(CameraHealth(status: .ok)), .segment(segment), .gap(gap), .error(CameraErrorEvent(error)),
        ]
    }

    /// Everything that a service can ever show.
    private func everything() -> String {
        var core = MetricsCore(node: Self.attic, cameras: [Self.front], version: "1", at: Self.start)
        for report in reports { _ = core.handle(.camera(Self.front, report, json: "{}"), at: Self.start) }
        for (seconds, free) in [(0, 900), (3600, 100)] {
            let state = StorageState(
                totalBytes: 1000, freeBytes: Int64(free), minFreeBytes: 1, usedBytes: 1, oldestAt: Self.start.wall,
                status: .ok)
            _ = core.handle(.storage(Self.attic, state, json: "{}"), at: Self.start + .seconds(seconds))
        }
        let server = MediaServerState(reachable: true, breaker: .closed, mode: .api)
        let address = ServiceAddress(.rotationService, InstanceID(unchecked: "attic"))
        let presence = ServiceState(
            state: .online, version: "1", node: Self.attic, pid: 1, startedAt: Self.start.wall, session: "s")
        let configuration = ConfigState(node: Self.attic, revision: 7, appliedAt: Self.start.wall, valid: true)
        let cost = ProcessCost(service: .rotationService, cpuSeconds: 1, residentBytes: 1)
        let events: [MetricsEvent] = [
            .busConnected, .mediaServer(Self.attic, server, json: "{}"), .service(address, presence, json: "{}"),
            .configuration(configuration, json: "{}"), .measured(.heartbeat(seconds: 0.001)),
            .measured(.request(status: 200)), .measured(.processes([cost])),
            .measured(.command(.recording, seconds: 0.1, error: .timeout)),
        ]
        for event in events { _ = core.handle(event, at: Self.start) }
        return core.exposition(at: Self.start + .seconds(1), own: nil)
    }

    /// Where the executables were built.
    private func products() throws -> String {
        URL(filePath: try Products.path("metrics")).deletingLastPathComponent().path
    }

    private func run(_ arguments: [String], _ output: String) async throws -> Int32 {
        let child = try ChildProcess(arguments, output: output)
        return try await eventually("\(arguments[0]) ends", within: .seconds(60)) { child.exitStatus() }
    }

    @Test("promtool has nothing to say about them")
    func lint() async throws {
        let folder = try TestFolder()
        try folder.write(Array(everything().utf8), to: "series")
        try folder.write(Array((everything() + "framekeeper_x_count 1\n").utf8), to: "bad")
        let check = "promtool check metrics <"
        let said = folder.path("said")
        #expect(try await run(["sh", "-c", "\(check) \(folder.path("series"))"], said) == 0)
        let text = String(decoding: try folder.bytes("said"), as: UTF8.self)
        #expect(text.isEmpty, "\(text)")
        #expect(try await run(["sh", "-c", "\(check) \(folder.path("bad"))"], folder.path("other")) != 0)
    }

    @Test("compose/ keeps its schema, names what there is, and installs what is linked")
    func compose() async throws {
        let folder = try TestFolder()
        try folder.write(Array(everything().utf8), to: "series")
        let script = project.appending(path: "Tests/Compose/check.py").path
        let outcome = try await run(
            ["python3", script, "--bin", try products(), "--series", folder.path("series")], folder.path("said"))
        let said = String(decoding: try folder.bytes("said"), as: UTF8.self)
        #expect(outcome == 0, "\(said)")
        // A series fewer, and the same check has something to say.
        let fewer = everything().split(separator: "\n").filter { !$0.contains("framekeeper_part_write_p99_seconds") }
        try folder.write(Array(fewer.joined(separator: "\n").utf8), to: "series")
        #expect(try await run(["python3", script, "--series", folder.path("series")], folder.path("fewer")) == 1)
    }

    private func description<Value>(_ keys: String...) throws -> Value {
        let file = project.appending(path: "Services/metrics/Shell/Pages/openapi.json")
        var value = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        for key in keys { value = try #require((value as? [String: Any])?[key]) }
        return try #require(value as? Value)
    }

    @Test("The OpenAPI document names every status that refuses a command", arguments: ControlNoun.allCases)
    func refusals(noun: ControlNoun) throws {
        let path = "/api/v1/cameras/{camera}/\(noun.rawValue)"
        let responses: [String: Any] = try description("paths", path, "post", "responses")
        for code in ErrorCode.allCases {
            #expect(responses["\(HTTPAnswer.status(of: code))"] != nil, "\(code)")
        }
    }

    @Test("It forbids no time that is read", arguments: ["2026-01-31T23:59:59+02:00", "2024-02-29T00:00:00.25Z"])
    func times(text: String) throws {
        let schema: [String: Any] = try description("components", "schemas", "Time")
        #expect(WallTime(rfc3339: text) != nil && schema["format"] as? String == "date-time")
        let pattern = try (schema["pattern"] as? String).map { try Regex($0) }
        #expect(try pattern.map { try $0.wholeMatch(in: text) != nil } ?? true)
    }

    @Test("The OpenAPI document names every address, and no other")
    func addresses() throws {
        let paths: [String: [String: Any]] = try description("paths")
        var found: Set<String> = []
        for (path, methods) in paths {
            for method in methods.keys {
                let asked = path.replacingOccurrences(of: "{camera}", with: "front")
                    .replacingOccurrences(of: "{id}", with: "x")
                let head = try HTTPRequestHead(Array("\(method.uppercased()) \(asked) HTTP/1.1\r\n\r\n".utf8))
                found.insert("\(try Route(head))".prefix { $0 != "(" }.description)
            }
        }
        // The files of the dashboard are for people; every other case of `Route` is there.
        let all: Set<String> = [
            "metrics", "alive", "ready", "description", "events", "status", "cameras", "camera", "services",
            "recordings",
            "gaps", "history", "recording", "snapshot", "control", "signIn", "signOut",
        ]
        #expect(found == all)
        #expect(paths.count == 18)
    }
}
