import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// A camera that goes away or falls silent, and comes back; its neighbour notices nothing.
extension NodeTests {
    @Suite struct SourceLossTests {
        @Test func anRTSPCameraGoesAndComesBack() async throws {
            let port = try MosquittoBroker.freePort()
            try await Cluster.run(cameras: Self.cameras(port), rotation: "2s") { cluster in
                var server = try await startServer(port, cluster)
                try await begin(cluster)
                let said = cluster.streams("door").count
                let lost = Date()
                server.kill()
                let failed = try await eventually("the loss is seen", within: .seconds(20)) {
                    cluster.streams("door").dropFirst(said).first { $0.error != nil }
                }
                let seen = lost.ago
                #expect(failed.state == .failed && failed.retryAt != nil)
                try await eventually("it was tried again", within: .seconds(20)) {
                    (cluster.stream("door")?.restarts ?? 0) > 1
                }
                let back = Date()
                server = try await startServer(port, cluster)
                try await resumes(cluster)
                print("source killed: seen after", seen, "recording again", back.ago, "after the camera was started")
                try await endsWell(cluster, cause: .sourceLost)
                server.kill()
            }
        }

        @Test func anRTSPCameraFallsSilent() async throws {
            let port = try MosquittoBroker.freePort()
            try await Cluster.run(cameras: Self.cameras(port), rotation: "2s") { cluster in
                let server = try await startServer(port, cluster)
                try await begin(cluster)
                let said = cluster.streams("door").count
                let silent = Date()
                server.signal(SIGSTOP)
                let failed = try await eventually("the stall is seen", within: .seconds(20)) {
                    cluster.streams("door").dropFirst(said).first { $0.error != nil }
                }
                let seen = Date().timeIntervalSince(silent)
                #expect(failed.error?.code == .timeout)
                // Sooner would take a slow camera for a dead one; twice the time would be a second wait.
                #expect(seen > 1.5 && seen < 3.5, "found after \(seen) s")
                let back = Date()
                server.signal(SIGCONT)
                try await resumes(cluster)
                print(
                    "source stopped: stall seen after", String(format: "%.2f s,", seen), "recording again", back.ago,
                    "after it went on")
                try await endsWell(cluster, cause: .sourceStalled)
                let from = try #require(cluster.gaps("door").first?.from)
                let late = Double(from.milliseconds) / 1000 - silent.timeIntervalSince1970
                #expect(late < 1, "the gap begins with the silence, not \(late) s later")
                server.kill()
            }
        }

        /// A worker that is held, by a person or by a machine without memory: the frames of that time are lost, and
        /// nobody was there to see it.
        @Test(arguments: ["test://pattern?size=160x120&fps=25", "MJPEG"])
        func aWorkerIsHeldAndGoesOn(source: String) async throws {
            let clip = try Scratch.folder()
            defer { try? FileManager.default.removeItem(atPath: clip) }
            var address = source
            if source == "MJPEG" {
                _ = try await Tool.run(
                    "ffmpeg",
                    [
                        "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=20", "-c:v",
                        "mjpeg",
                        "\(clip)/clip.avi",
                    ])
                address = "file://\(clip)/clip.avi?loop=1"
            }
            let camera = "  front:\n    source: \"\(address)\"\n    encoder: {gop: 1s}"
            try await Cluster.run(cameras: camera, rotation: "2s") { cluster in
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                try cluster.signal("capture-worker.front", SIGSTOP)
                let held = Date()
                try await eventually("five seconds pass", within: .seconds(20)) {
                    Date().timeIntervalSince(held) >= 5
                }
                try cluster.signal("capture-worker.front", SIGCONT)
                try await cluster.passSegments(2, of: "front")
                try await cluster.stopAndVerify("front")
                try checkHeld(cluster, isLive: source != "MJPEG")
            }
        }

        private func checkHeld(_ cluster: Cluster, isLive: Bool) throws {
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: WallTime(milliseconds: 0))
            let gaps = try ledger.gaps(LedgerQuery())
            print("worker held for 5 s: gaps", gaps.map { "\($0.cause) \($0.framesLost ?? 0)" })
            #expect(gaps.allSatisfy { $0.cause == .overrun })
            #expect(gaps.map { $0.framesLost ?? 0 } == cluster.holes("front"))
            // A file waits; what its encoder has no time for when it catches up is lost like a camera's.
            guard isLive else { return }
            let gap = try #require(gaps.first)
            #expect(gaps.count == 1)
            let seconds = Double(gap.to.milliseconds - gap.from.milliseconds) / 1000
            #expect(seconds > 4.5)
            let missing = seconds * 25 - 1
            #expect(abs(Double(gap.framesLost ?? 0) - missing) <= 2, "\(missing) frames are missing")
        }

        private static func cameras(_ port: Int) -> String {
            """
              door:
                source: rtsp://127.0.0.1:\(port)/camera
              front:
                source: "test://pattern?size=160x120&fps=25"
                encoder: {gop: 1s}
            """
        }

        private func startServer(_ port: Int, _ cluster: Cluster) async throws -> ChildProcess {
            let log = "\(cluster.folder)/camera-\(UUID().uuidString).log"
            let server = try ChildProcess(
                [
                    try Products.project("compose/rtsp-camera.py"), "--port", "\(port)", "--size", "160x120", "--fps",
                    "15", "--gop", "15",
                ], output: log)
            try await eventually("the RTSP camera answers", within: .seconds(20)) {
                try String(contentsOfFile: log, encoding: .utf8).contains("rtsp://")
            }
            return server
        }

        private func begin(_ cluster: Cluster) async throws {
            try await cluster.startRecording("front")
            try await cluster.startRecording("door")
            try await cluster.passSegments(1, of: "door")
        }

        private func resumes(_ cluster: Cluster) async throws {
            try await eventually("the session goes on", within: .seconds(40)) {
                cluster.stream("door")?.state == .active && cluster.recording("door")?.state == .recording
                    && !cluster.gaps("door").isEmpty
            }
        }

        private func endsWell(_ cluster: Cluster, cause: GapCause) async throws {
            try await cluster.passSegments(2, of: "door")
            #expect((cluster.stream("door")?.restarts ?? 0) >= 1)
            try await cluster.stopAndVerify("door", "front")
            #expect(cluster.gaps("door").map(\.cause) == [cause])
            #expect(cluster.holes("door").count == 1)
            #expect(Set(cluster.segments("door").map(\.session)).count == 1)
            #expect(cluster.gaps("front").isEmpty && cluster.holes("front").isEmpty)
            #expect(cluster.stream("front")?.restarts == 0)
            try await cluster.probe(cluster.files("door"))
        }
    }
}
