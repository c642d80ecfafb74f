import BusContract
import Domain
import Testing

@testable import MetricsCore

@Suite("What the bus says, folded into series and documents")
struct MetricsCoreTests {
    private static let front = CameraID(unchecked: "front")
    private static let session = SessionID(high: 1, low: 2)
    private static let start = Now(
        monotonic: MonotonicTime(nanoseconds: 1_000_000_000_000), wall: WallTime(milliseconds: 1_772_366_400_000))

    private var core = MetricsCore(
        node: NodeID(unchecked: "attic"), cameras: [front], version: "1", at: start)

    @discardableResult
    private mutating func told(
        _ report: CameraReport, of camera: CameraID = front, after seconds: Int = 1, json: String = "{}"
    ) -> [MetricsEffect] {
        core.handle(.camera(camera, report, json: json), at: Self.start + .seconds(seconds))
    }

    private func series(after seconds: Int = 2) -> [Substring] {
        core.exposition(at: Self.start + .seconds(seconds), own: nil).split(separator: "\n")
    }

    private func status(after seconds: Int = 0) -> String {
        let rule = AccessRule(token: nil, isReadOnly: false, allowOrigins: [])
        return core.statusDocument(at: Self.start + .seconds(seconds), under: rule)
    }

    private func value(_ name: String, after seconds: Int = 2) -> String? {
        series(after: seconds).first { $0.hasPrefix("framekeeper_\(name) ") }
            .map { String($0.split(separator: " ")[1]) }
    }

    private func stream(_ phase: StreamState.Phase, started: Double? = nil) -> CameraReport {
        .stream(StreamState(state: phase, leases: .init(recording: 2), source: "x", startedInSeconds: started))
    }

    private func closed(_ index: Int, reason: SegmentEnd = .rotation) -> CameraReport {
        .segment(
            SegmentEvent(
                event: .closed, session: Self.session, index: index, node: NodeID(unchecked: "attic"),
                file: "f", startedAt: Self.start.wall, endedAt: Self.start.wall + .seconds(10), durationSeconds: 10,
                frames: 150, firstFrame: 0, lastFrame: 149, bytes: 1000, offsetSeconds: 0.1, reason: reason))
    }

    // MARK: Series

    @Test("An activation is a change to active; what the broker says again is none")
    mutating func activation() {
        told(stream(.active, started: 0.3))
        #expect(value("stream_activation_seconds_count{camera=\"front\"}") == "0")
        told(stream(.idle))
        told(stream(.starting))
        told(stream(.active, started: 0.3))
        told(stream(.active, started: 0.3))
        told(stream(.closing))
        told(stream(.active, started: 0.3))
        #expect(value("stream_activation_seconds_count{camera=\"front\"}") == "1")
        #expect(value("stream_activation_seconds_bucket{camera=\"front\",le=\"0.25\"}") == "0")
        #expect(value("stream_activation_seconds_bucket{camera=\"front\",le=\"0.5\"}") == "1")
        #expect(value("leases{camera=\"front\",use=\"recording\"}") == "2")
        #expect(value("stream_state{camera=\"front\",state=\"active\"}") == "1")
        #expect(value("stream_state{camera=\"front\",state=\"idle\"}") == "0")
    }

    @Test("An event counts once, however often it is delivered")
    mutating func repeats() {
        for _ in 0..<3 {
            for index in 0..<5 { told(closed(index)) }
            let gap = GapEvent(
                session: Self.session, from: Self.start.wall, to: Self.start.wall + .seconds(2), cause: .sourceLost)
            told(.gap(gap))
        }
        #expect(value("rotations_total{camera=\"front\"}") == "5")
        #expect(value("recorded_frames_total{camera=\"front\"}") == "750")
        #expect(value("gaps_total{camera=\"front\",cause=\"source_lost\"}") == "1")
        #expect(value("gap_seconds_total{camera=\"front\",cause=\"source_lost\"}") == "2")
        #expect(told(closed(5)).count == 1 && told(closed(5)).isEmpty, "told to listeners once")
    }

    @Test("A session is as long as from its beginning to its end")
    mutating func sessions() {
        let running = RecordingState(state: .recording, session: Self.session, since: Self.start.wall)
        told(.recording(running), after: 1)
        #expect(value("recording_session_age_seconds{camera=\"front\"}", after: 60) == "60")
        told(.recording(RecordingState(state: .off)), after: 90)
        #expect(value("recording_session_seconds_sum{camera=\"front\"}", after: 91) == "90")
        #expect(value("recording_session_age_seconds{camera=\"front\"}", after: 91) == nil)
        told(.recording(RecordingState(state: .off)), after: 95)
        #expect(value("recording_session_seconds_count{camera=\"front\"}", after: 96) == "1")
    }

    @Test("Telemetry that has ended says nothing of now")
    mutating func staleness() {
        var stats = StreamStats()
        stats.fps = 25
        told(.stats(stats), json: "{\"fps\":25}")
        #expect(value("stream_frames_per_second{camera=\"front\"}") == "25")
        #expect(status(after: 2).contains("\"fps\":25"))
        #expect(value("stream_frames_per_second{camera=\"front\"}", after: 20) == nil)
        #expect(!status(after: 20).contains("\"fps\":25"))
    }

    @Test("Losses that are no frames of a recording are counted where the worker tells of them")
    mutating func quietLosses() {
        let names = [
            "stream_timestamps_repaired_total", "preroll_dropped_groups_total", "publish_dropped_frames_total",
        ]
        told(.stats(StreamStats()))
        for name in names { #expect(value("\(name){camera=\"front\"}") == nil, "a worker of before says nothing") }
        var stats = StreamStats()
        stats.timestampsRepairedTotal = 1
        stats.prerollDroppedGroupsTotal = 2
        stats.publishDroppedTotal = 3
        told(.stats(stats))
        for (count, name) in names.enumerated() { #expect(value("\(name){camera=\"front\"}") == "\(count + 1)") }
    }

    @Test("A snapshot that the broker kept from before is not measured again")
    mutating func snapshots() {
        func snapshot(_ seconds: Int) -> CameraReport {
            .snapshot(
                SnapshotState(
                    file: "f", capturedAt: Self.start.wall + .seconds(seconds), width: 1, height: 1, bytes: 1,
                    tookSeconds: 0.02))
        }
        told(snapshot(-100))
        #expect(value("snapshot_seconds_count{camera=\"front\"}") == "0")
        for _ in 0..<2 { told(snapshot(1)) }
        told(snapshot(2))
        #expect(value("snapshot_seconds_count{camera=\"front\"}") == "2")
    }

    @Test("A disk that fills up has a time left, one that is only full has none")
    mutating func timeLeft() {
        func storage(_ free: Int64, after seconds: Int) {
            let state = StorageState(totalBytes: 1000, freeBytes: free, usedBytes: 0, oldestAt: nil, status: .ok)
            _ = core.handle(
                .storage(NodeID(unchecked: "attic"), state, json: "{}"), at: Self.start + .seconds(seconds))
        }
        storage(1000, after: 0)
        storage(900, after: 600)
        #expect(value("storage_left_seconds{node=\"attic\"}") == nil, "too early to tell")
        storage(700, after: 1800)
        #expect(value("storage_left_seconds{node=\"attic\"}") == "4200")
        storage(1000, after: 2400)
        #expect(value("storage_left_seconds{node=\"attic\"}") == nil)
    }

    @Test("Space that goes from one end of the numbers to the other is a trend like any other")
    mutating func extremesOfSpace() {
        for (seconds, free) in [(0, Int64.max), (1800, Int64.min)] {
            let state = StorageState(totalBytes: 1000, freeBytes: free, usedBytes: 0, oldestAt: nil, status: .ok)
            _ = core.handle(
                .storage(NodeID(unchecked: "attic"), state, json: "{}"), at: Self.start + .seconds(seconds))
        }
        #expect(value("storage_left_seconds{node=\"attic\"}") == "0")
    }

    @Test("Listeners hear that the broker went and that it came back, once each")
    mutating func bus() {
        func heard(_ event: MetricsEvent) -> [MetricsEffect] { core.handle(event, at: Self.start) }
        func told(_ isConnected: Bool) -> MetricsEffect {
            .announce(Announcement(kind: "bus", camera: nil, json: "{\"connected\":\(isConnected)}"))
        }
        #expect(heard(.busLost).isEmpty, "there was none yet")
        #expect(heard(.busConnected) == [told(true)] && heard(.busConnected).isEmpty)
        #expect(heard(.busLost) == [told(false)] && heard(.busLost).isEmpty)
    }

    @Test("What a node takes back is in no series and no document any more, and listeners hear it")
    mutating func nodeCleared() {
        let attic = NodeID(unchecked: "attic")
        let storage = StorageState(totalBytes: 9, freeBytes: 8, usedBytes: 1, oldestAt: nil, status: .full)
        let server = MediaServerState(reachable: false, breaker: .open, mode: .api)
        _ = core.handle(.storage(attic, storage, json: "{\"status\":\"full\"}"), at: Self.start)
        _ = core.handle(.mediaServer(attic, server, json: "{\"mode\":\"api\"}"), at: Self.start)
        #expect(value("media_server_reachable{node=\"attic\"}") == "0")
        let json = "{\"node\":\"attic\",\"data\":null}"
        #expect(
            core.handle(.mediaServerCleared(attic), at: Self.start) == [
                .announce(Announcement(kind: "mediamtx", camera: nil, json: json))
            ])
        #expect(value("media_server_reachable{node=\"attic\"}") == nil)
        #expect(!status().contains("mediamtx"))
        #expect(value("storage_free_bytes{node=\"attic\"}") == "8", "the rest is as it was")
        #expect(
            core.handle(.storageCleared(attic), at: Self.start) == [
                .announce(Announcement(kind: "storage", camera: nil, json: json))
            ])
        #expect(value("storage_free_bytes{node=\"attic\"}") == nil)
        #expect(status().contains("\"nodes\":[]"))
        #expect(core.handle(.storageCleared(attic), at: Self.start).isEmpty)
    }

    @Test("What a camera takes back is told with the camera's name")
    mutating func cameraCleared() {
        told(.health(CameraHealth(status: .failing)))
        let json = "{\"camera\":\"front\",\"data\":null}"
        #expect(
            core.handle(.cameraCleared(Self.front, noun: "health"), at: Self.start) == [
                .announce(Announcement(kind: "health", camera: Self.front, json: json))
            ])
        #expect(value("health_status{camera=\"front\",status=\"failing\"}") == nil)
    }

    @Test("The configuration of each node is in the series; the node's own is in its document, whoever spoke last")
    mutating func configurations() {
        for (node, revision) in [("attic", 3), ("barn", 7)] {
            let state = ConfigState(
                node: NodeID(unchecked: node), revision: revision, appliedAt: Self.start.wall, valid: node == "attic")
            _ = core.handle(.configuration(state, json: "{\"node\":\"\(node)\"}"), at: Self.start)
        }
        #expect(value("config_revision{node=\"attic\"}") == "3" && value("config_revision{node=\"barn\"}") == "7")
        #expect(value("config_valid{node=\"attic\"}") == "1" && value("config_valid{node=\"barn\"}") == "0")
        #expect(status().contains("\"config\":{\"node\":\"attic\"}"))
    }

    // MARK: Bounds

    @Test("Cameras that nobody configured make no series without end")
    mutating func strangers() {
        told(.availability(.online))
        for number in 0..<5000 {
            told(.availability(.online), of: CameraID(unchecked: "x\(number)"))
            _ = core.handle(
                .storage(
                    NodeID(unchecked: "n\(number)"),
                    StorageState(totalBytes: 1, freeBytes: 1, usedBytes: 1, oldestAt: nil, status: .ok), json: "{}"),
                at: Self.start)
            let configuration = ConfigState(
                node: NodeID(unchecked: "c\(number)"), revision: 1, appliedAt: Self.start.wall, valid: true)
            _ = core.handle(.configuration(configuration, json: "{}"), at: Self.start)
            let address = ServiceAddress(.metrics, InstanceID(unchecked: "m\(number)"))
            let state = ServiceState(
                state: .online, version: "1", node: NodeID(unchecked: "m\(number)"), pid: 1,
                startedAt: Self.start.wall, session: "s")
            _ = core.handle(.service(address, state, json: "{}"), at: Self.start)
        }
        let cameras = Set(
            series().compactMap { $0.split(separator: "camera=\"").dropFirst().first?.prefix { $0 != "\"" } })
        #expect(cameras.count == MetricsCore.strangersMax + 1 && cameras.contains("front"))
        let nodes = Set(series().compactMap { $0.split(separator: "node=\"").dropFirst().first?.prefix { $0 != "\"" } })
        #expect(nodes.count == MetricsCore.nodesMax * 2, "as many tell of a disk as of a configuration")
        #expect(Int(value("ignored_messages_total") ?? "") ?? 0 > 9000)
        #expect(series().count < 60_000)
    }

    @Test("A late will changes nothing: neither of another life, nor behind the process's own farewell")
    mutating func lateWills() {
        let address = ServiceAddress(.metrics, InstanceID(unchecked: "attic"))
        func hears(_ presence: ServiceState.Presence, _ session: String, orderly: Bool? = nil) -> Bool {
            let state = ServiceState(
                state: presence, version: "1", node: NodeID(unchecked: "attic"), pid: 1, startedAt: Self.start.wall,
                session: session, orderly: orderly)
            return !core.handle(.service(address, state, json: "{}"), at: Self.start).isEmpty
        }
        #expect(hears(.online, "b") && !hears(.offline, "a"))
        #expect(hears(.offline, "b", orderly: true) && !hears(.offline, "b"))
        #expect(hears(.online, "c") && hears(.offline, "c"))
    }

    @Test("A stranger that is silent and away is forgotten; the configured camera stays")
    mutating func forgetting() {
        let stranger = CameraID(unchecked: "passer-by")
        told(stream(.idle), of: stranger)
        _ = core.handle(.ticked, at: Self.start + .seconds(500))
        #expect(core.isKnown(stranger))
        _ = core.handle(.ticked, at: Self.start + .seconds(700))
        #expect(!core.isKnown(stranger) && core.isKnown(Self.front))
        told(.availability(.offline), of: stranger)
        _ = core.handle(.cameraCleared(stranger, noun: "availability"), at: Self.start + .seconds(701))
        #expect(!core.isKnown(stranger), "all it had said was taken back")
    }

    // MARK: History

    @Test("A span holds the mean of what was measured in it, and nothing where nothing was")
    mutating func history() {
        var stats = StreamStats()
        for (fps, dropped) in [(20.0, 5), (30.0, 9)] {
            stats.fps = fps
            stats.droppedTotal = UInt64(dropped)
            told(.stats(stats))
        }
        told(.recording(RecordingState(state: .recording, session: Self.session, since: Self.start.wall)))
        guard case .keep(let samples)? = core.handle(.ticked, at: Self.start + .seconds(10)).first else {
            Issue.record("nothing kept")
            return
        }
        #expect(samples.count == 1 && samples.first?.at == Self.start.wall)
        #expect(samples.first?.fps == 25 && samples.first?.droppedFrames == 4 && samples.first?.count == 2)
        #expect(samples.first?.recordingSeconds == 10)
        told(.recording(RecordingState(state: .off)))
        #expect(core.handle(.ticked, at: Self.start + .seconds(20)).isEmpty)
    }

    // MARK: Text

    @Test("A value of a label cannot end it; numbers that are none have Prometheus's words")
    func escaping() {
        var page = Exposition()
        page.family("x", .gauge, "X.") { family in
            family.add(.infinity, [("a", "b\"} 1\n\\")])
            family.add(Double.nan)
        }
        #expect(page.text.hasSuffix("framekeeper_x{a=\"b\\\"} 1\\n\\\\\"} +Inf\nframekeeper_x NaN\n"))
        #expect(JSONText.quoted("a\"\\\u{0}</script>é") == "\"a\\\"\\\\\\u0000\\u003c/script>é\"")
        #expect(JSONText.number(.infinity) == "null" && JSONText.number(0.25) == "0.25" && JSONText.number(3) == "3")
    }

    @Test("Who was away for a moment gets what came since; who was away for long is told so")
    func eventLog() {
        var log = EventLog(start: WallTime(milliseconds: 5_000_000))
        #expect(log.since(5_000_000) == [] && log.since(5_000_007) == nil)
        for number in 1...10_000 {
            let entry = log.add(Announcement(kind: "gap", camera: nil, json: "\(number)"))
            #expect(entry.number == 5_000_000 + UInt64(number))
        }
        let telemetry = Announcement(kind: "stats", camera: Self.front, json: "{}")
        for _ in 0..<1000 { #expect(log.add(telemetry).wire == "event: stats\ndata: {}\n\n") }
        #expect(log.since(log.last - 3)?.map(\.announcement.json) == ["9998", "9999", "10000"])
        #expect(log.since(log.last) == [] && log.since(5_000_001) == nil && log.since(log.last + 1) == nil)
        #expect((log.since(log.last - 200)?.count ?? 0) == 200)
    }

    @Test("The last number that somebody has of an earlier run is of no use, however much that one had to say")
    func eventLogAfterRestart() {
        var earlier = EventLog(start: Self.start.wall)
        for _ in 0..<500 { _ = earlier.add(Announcement(kind: "gap", camera: nil, json: "0")) }
        var later = EventLog(start: Self.start.wall + .seconds(1))
        #expect(later.since(earlier.last) == nil)
        for _ in 0..<500 { _ = later.add(Announcement(kind: "gap", camera: nil, json: "0")) }
        #expect(later.since(earlier.last) == nil)
    }
}
