import Bus
import BusContract
import Domain
import Foundation
import Logging
import TestSupport
import Testing

/// The metrics service of a real node, as Prometheus, a browser and a stranger see it.
extension NodeTests {
    @Suite(.timeLimit(.minutes(isFullRun ? 40 : 10))) struct MetricsNodeTests {
        private static let cameras = """
              front:
                source: "test://pattern?size=320x180&fps=15"
                encoder: {gop: 1s}
              hall:
                source: "test://pattern?size=320x180&fps=10"
                encoder: {gop: 1s}
            """

        private func python(_ script: String, _ arguments: String..., within: Duration) async throws -> String {
            try await Tool.run("python3", [try Products.project(script)] + arguments, within: within)
        }

        /// Nil where too many have asked already, as whoever waits for something may have.
        private func body(_ path: String, _ cluster: Cluster) async throws -> String? {
            let answer = try await RawHTTP.send("GET", path, port: cluster.http)
            if answer.status == 429 { return nil }
            try #require(answer.status == 200, "\(path): \(answer.body)")
            return answer.body
        }

        /// Chromium needs no account, no display and no network but loopback.
        @Test func theDashboardWorksInABrowser() async throws {
            let failing = "\n  yard: {source: \"file:///nowhere/to/be/found.mp4\"}"
            try await Cluster.run(cameras: Self.cameras + failing) { cluster in
                for camera in ["front", "hall", "yard"] { try await cluster.ready(camera) }
                let seen = try await python(
                    "Tests/Dashboard/dashboard.py", "http://127.0.0.1:\(cluster.http)", "--state", cluster.stateDir,
                    "--screenshots", "\(cluster.folder)/screenshots", within: .seconds(150))
                print(seen)
                #expect(seen.contains("ok no error in the console"))
            }
        }

        /// Whom the token lets in looks, and presses nothing.
        @Test func theDashboardIsForLookingAlone() async throws {
            let token = "correct-horse-battery"
            let cameras = """
                  front: {source: "test://pattern?size=320x180&fps=15"}
                  shed: {source: "test://pattern", node: barn}
                """
            try await Cluster.run(cameras: cameras, extra: "  token: \(token)\n  read_only: true") { cluster in
                try await cluster.ready("front")
                // As the other node's config-writer says it.
                let shed = CameraConfigState(
                    revision: 1, node: NodeID(unchecked: "barn"), source: "test://pattern", groups: [],
                    record: "on_request", prerollSeconds: 0, audio: false,
                    rotation: CameraConfigState.Rotation(intervalSeconds: 1800, align: .clock),
                    closeAfterSeconds: CameraConfigState.CloseAfter(recording: 10, viewing: 10, snapshot: 10),
                    secrets: [])
                cluster.bus.publish(shed, to: CameraID(unchecked: "shed"))
                let seen = try await python(
                    "Tests/Dashboard/dashboard.py", "http://127.0.0.1:\(cluster.http)", "--read-only", "--token", token,
                    "--screenshots", "\(cluster.folder)/screenshots", within: .seconds(100))
                print(seen)
                #expect(seen.contains("ok there is nothing to press") && seen.contains("ok no error in the console"))
            }
        }

        @Test func aRealPrometheusTakesItsSeries() async throws {
            try await Cluster.run(cameras: Self.cameras) { cluster in
                try await cluster.startRecording("front")
                let port = try MosquittoBroker.freePort()
                let settings = """
                    global: {scrape_interval: 1s, evaluation_interval: 1s}
                    rule_files: ["\(try Products.project("compose/prometheus/alerts.yml"))"]
                    scrape_configs:
                      - job_name: framekeeper
                        static_configs: [{targets: ["127.0.0.1:\(cluster.http)"]}]
                    """
                let file = "\(cluster.folder)/prometheus.yml"
                try settings.write(toFile: file, atomically: true, encoding: .utf8)
                let prometheus = try ChildProcess(
                    [
                        "prometheus", "--config.file=\(file)", "--storage.tsdb.path=\(cluster.folder)/tsdb",
                        "--web.listen-address=127.0.0.1:\(port)",
                    ], output: "\(cluster.folder)/prometheus.log")
                try await eventually("frames of the recording are in Prometheus", within: .seconds(40)) {
                    let query = "framekeeper_stream_frames_per_second%7Bcamera=%22front%22%7D%3E10"
                    let answer = try? await RawHTTP.send("GET", "/api/v1/query?query=\(query)", port: port)
                    return answer?.body.contains("\"camera\":\"front\"") ?? false
                }
                // What a process costs is read from /proc every ten seconds, by the number that the process publishes.
                for series in ["service_cpu_seconds_total", "service_resident_memory_bytes"] {
                    for service in ["rotation-service", "health-monitor", "config-writer", "metrics"] {
                        try await eventually("what \(service) costs is in \(series)", within: .seconds(30)) {
                            let start = "framekeeper_\(series){service=\"\(service)\"} "
                            let line = try await body("/metrics", cluster)?.split(separator: "\n")
                                .first { $0.hasPrefix(start) }
                            return Double(line?.dropFirst(start.count) ?? "") ?? 0 > 0
                        }
                    }
                }
                let rules = try await RawHTTP.send("GET", "/api/v1/rules", port: port).body
                #expect(rules.contains("FramekeeperFramesLost") && !rules.contains("\"health\":\"err\""))
                let targets = try await RawHTTP.send("GET", "/api/v1/targets", port: port).body
                #expect(targets.contains("\"health\":\"up\"") && targets.contains("\"lastError\":\"\""))
                prometheus.signal(SIGTERM)
                _ = try await prometheus.wait(within: .seconds(20))
            }
        }

        @Test func whatTheOpenAPIDocumentSaysIsTrue() async throws {
            try await Cluster.run(cameras: Self.cameras) { cluster in
                try await cluster.startRecording("front")
                try await cluster.ready("hall")
                let examples = isFullRun ? "100" : "8"
                print(
                    try await python(
                        "Tests/HTTP/fuzz.py", "http://127.0.0.1:\(cluster.http)", "--camera", "hall", "--examples",
                        examples,
                        within: .seconds(isFullRun ? 1800 : 500)))
                // It still answers, and what was recorded meanwhile is whole.
                let status = try await eventually("it answers") { try await body("/api/v1/status", cluster) }
                #expect(status.contains("\"bus_connected\":true"))
                try await cluster.stopAndVerify("front", "hall")
            }
        }

        /// A service that dies costs no frame, and what it had measured is there again.
        @Test func itsDeathCostsNothing() async throws {
            try await Cluster.run(cameras: Self.cameras) { cluster in
                try await cluster.startRecording("front")
                // What has been answered has been written.
                let samples = try await eventually("something was measured", within: .seconds(30)) {
                    () -> [String: Double]? in
                    guard let known = try? await history(cluster), !known.isEmpty else { return nil }
                    return known
                }
                try cluster.signal("metrics", SIGKILL)
                try await eventually("it answers again", within: .seconds(30)) {
                    let answer = try? await RawHTTP.send("GET", "/api/v1/cameras/front", port: cluster.http)
                    return answer?.body.contains("\"state\":\"recording\"") ?? false
                }
                let after = try await eventually("it has its history") { try await history(cluster) }
                #expect(samples.allSatisfy { after[$0.key] == $0.value }, "\(samples) is not in \(after)")
                try await cluster.stopAndVerify("front")
            }
        }

        /// Frames per second that were measured of the camera `front`, by the time of each sample; nil as `body` is.
        private func history(_ cluster: Cluster) async throws -> [String: Double]? {
            struct History: Codable {
                var at: [String]
                var fps: [Double?]
            }
            guard let text = try await body("/api/v1/history?camera=front&step=10s", cluster) else { return nil }
            let history = try JSONDecoder().decode(History.self, from: Data(text.utf8))
            return Dictionary(
                uniqueKeysWithValues: zip(history.at, history.fps).compactMap { at, fps in
                    fps.map { (at, $0) }
                })
        }

        /// 200 cameras that all run, told by one client: what it costs and how long two pages take; printed.
        @Test func twoHundredCameras() async throws {
            let folder = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: folder) }
            let broker = try await MosquittoBroker.start()
            let http = try MosquittoBroker.freePort()
            let names = (0..<200).map { "camera\($0)" }
            let cameras = names.map { "  \($0): {source: \"test://pattern\", node: barn}" }.joined(separator: "\n")
            let text = """
                broker: {url: "mqtt://127.0.0.1:\(broker.port)"}
                node: attic
                state_dir: \(folder)/state
                storage: {path: \(folder)/storage}
                metrics: {listen: "127.0.0.1:\(http)"}
                cameras:
                \(cameras)
                """
            try text.write(toFile: "\(folder)/framekeeper.yml", atomically: true, encoding: .utf8)
            let service = try ChildProcess(
                [try Products.path("metrics"), "--config", "\(folder)/framekeeper.yml"], output: "\(folder)/log")
            let fleet = BusClient(
                settings: BusSettings(endpoint: broker.tcpEndpoint, clientID: "fleet"),
                now: { WallTime(milliseconds: Int64(Date().timeIntervalSince1970 * 1000)) },
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            fleet.start()
            try await eventually("the service is ready") {
                (try? await RawHTTP.send("GET", "/readyz", port: http).status) == 200
            }
            let talking = Task {
                var stats = StreamStats()
                while !Task.isCancelled {
                    let deadline = ContinuousClock.now + .seconds(2)
                    stats.framesTotal += 60
                    stats.fps = 30
                    for name in names { fleet.publish(stats, to: CameraID(unchecked: name)) }
                    try await Task.sleep(until: deadline, clock: .continuous)
                }
            }
            try await eventually("the last one is heard") {
                try await RawHTTP.send("GET", "/api/v1/cameras/camera199", port: http).body.contains("\"fps\":30")
            }
            let span = Duration.seconds(isFullRun ? 60 : 8)
            let before = try cpuSeconds(service.pid)
            let begin = ContinuousClock.now
            let deadline = begin + span
            while ContinuousClock.now < deadline { try await Task.sleep(for: .milliseconds(100)) }
            let share = (try cpuSeconds(service.pid) - before) / (ContinuousClock.now - begin).seconds
            let took = try await latencies(of: ["/metrics", "/api/v1/status"], port: http, for: span)
            // They all still talk, and are heard.
            let frames = "framekeeper_stream_frames_per_second{camera=\"camera199\"} 30\n"
            #expect(try await RawHTTP.send("GET", "/metrics", port: http).body.contains(frames))
            talking.cancel()
            for (path, seconds) in took.sorted(by: { $0.key < $1.key }) {
                let sorted = seconds.sorted()
                print(
                    String(
                        format: "200 cameras, %@: median %.1f ms, p99 %.1f ms of %d (debug build)", path,
                        sorted[sorted.count / 2] * 1000, sorted[sorted.count * 99 / 100] * 1000, sorted.count))
            }
            print(String(format: "200 cameras, while nobody asks: %.1f%% of a core (debug build)", share * 100))
            service.signal(SIGTERM)
            #expect(try await service.wait(within: .seconds(20)) == 0)
            await fleet.stop()
        }

        /// How long each answer took, at a pace that the budget of one address allows for ever.
        private func latencies(
            of paths: [String], port: Int, for span: Duration
        ) async throws -> [String: [Double]] {
            let deadline = ContinuousClock.now + span
            var took: [String: [Double]] = [:]
            while ContinuousClock.now < deadline {
                let next = ContinuousClock.now + .milliseconds(50)
                for path in paths {
                    let asked = ContinuousClock.now
                    let answer = try await RawHTTP.send("GET", path, port: port)
                    #expect(answer.status == 200 && answer.body.contains("camera199"))
                    took[path, default: []].append((ContinuousClock.now - asked).seconds)
                }
                try await Task.sleep(until: next, clock: .continuous)
            }
            return took
        }

        private func cpuSeconds(_ pid: Int32) throws -> Double {
            let text = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
            let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
            return ((Double(fields[12]) ?? 0) + (Double(fields[13]) ?? 0)) / Double(sysconf(Int32(_SC_CLK_TCK)))
        }
    }
}
