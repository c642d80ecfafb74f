import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// One camera that misbehaves beside seven good ones, and cameras that are only slow.
extension FaultTests {
    @Suite struct BadCameraTests {
        /// Promise 7, for each way to misbehave, and back again.
        @Test func oneBadCameraCostsTheOthersNothing() async throws {
            let bad = try await FaultyCamera()
            let others = (1...7).map { "good\($0)" }
            let cameras =
                others.map { "  \($0):\n    source: \"test://pattern?size=160x120&fps=10\"\n    encoder: {gop: 1s}" }
                + ["  bad:\n    source: \(bad.url)"]
            try await Cluster.run(cameras: cameras.joined(separator: "\n"), rotation: "5s") { cluster in
                for camera in others + ["bad"] { try await cluster.startRecording(camera) }
                for mode in FaultyCamera.Mode.allCases where mode != .good {
                    try await misbehave(mode, bad, cluster)
                }
                try await cluster.passSegments(1, of: "good1")
                try await cluster.stopAndVerify(contentsOf: others + ["bad"])
                for camera in others {
                    #expect(cluster.gaps(camera) == [] && cluster.holes(camera) == [], "\(camera)")
                    #expect(cluster.stream(camera)?.restarts == 0, "\(camera)")
                }
                #expect(Set(cluster.segments("bad").map(\.session)).count == 1)
                try await cluster.probe(cluster.files("bad"))
                print("bad camera: gaps", cluster.gaps("bad").map { "\($0.cause.rawValue) \($0.seconds) s" })
            }
        }

        /// Until it is seen, and then until the camera, good again, is recorded again.
        private func misbehave(_ mode: FaultyCamera.Mode, _ camera: FaultyCamera, _ cluster: Cluster) async throws {
            let (restarts, gaps) = (cluster.stream("bad")?.restarts ?? 0, cluster.gaps("bad").count)
            let told = cluster.stats("bad").count
            let begun = Date()
            try camera.become(mode)
            if mode == .deny {
                // Only a new connection asks for a description.
                let reply = try await cluster.ask(
                    "RESTART", on: "cameras/bad/restart/set", expecting: RestartResult.self)
                #expect(reply.status == .ok)
            }
            try await eventually("\(mode) is seen", within: .seconds(40)) {
                switch mode {
                case .deny: cluster.stream("bad")?.error != nil
                case .garbage: losesPictures(cluster.stats("bad").dropFirst(told)) || isLost(cluster, after: restarts)
                case .good, .stall, .hang, .refuse, .drop, .flood: isLost(cluster, after: restarts)
                }
            }
            let seen = begun.ago
            try camera.become(.good)
            let back = Date()
            try await eventually("it is recorded again after \(mode)", within: .seconds(60)) {
                cluster.stream("bad")?.state == .active && cluster.recording("bad")?.state == .recording
                    && (mode == .garbage || cluster.gaps("bad").count > gaps)
            }
            print("bad camera: \(mode) seen after \(seen), recorded again", back.ago)
        }

        private func isLost(_ cluster: Cluster, after restarts: Int) -> Bool {
            cluster.stream("bad")?.error != nil || (cluster.stream("bad")?.restarts ?? 0) > restarts
        }

        /// What lies between packets swallows pictures though the connection lasts: of 30 between two statistics fewer
        /// than half arrive.
        private func losesPictures(_ stats: ArraySlice<StreamStats>) -> Bool {
            zip(stats, stats.dropFirst()).contains { before, after in
                after.framesTotal >= before.framesTotal && after.framesTotal < before.framesTotal + 15
            }
        }

        /// At 15 and 30 frames a second, within 2 s, whatever the group of pictures.
        @Test(arguments: isFullRun ? [(15.0, 15), (30.0, 300)] : [(30.0, 300)])
        func aStallIsFoundWithinTwoSeconds(fps: Double, gop: Int) async throws {
            let camera = try await FaultyCamera(fps: fps, gop: gop)
            let text = "  door:\n    source: \(camera.url)"
            try await Cluster.run(cameras: text, rotation: "30m") { cluster in
                try await cluster.startRecording("door")
                try await eventually("it is judged", within: .seconds(60)) { cluster.health("door") != nil }
                // One key frame every 10 s, frames in between: that is no silence.
                try await passes(seconds: gop > 15 ? 11 : 3)
                #expect(cluster.gaps("door") == [] && cluster.stream("door")?.restarts == 0)
                #expect(cluster.verdicts("door").allSatisfy { $0.status == .ok }, "\(cluster.verdicts("door"))")
                try camera.become(.stall)
                let failure = try await eventually("the stall is seen", within: .seconds(20)) {
                    cluster.failure("door")
                }
                #expect(failure.code == .timeout)
                try await eventually("it says why it is not well", within: .seconds(5)) {
                    cluster.health("door")?.reasons.map(\.code) == [.sourceFailed]
                }
                try camera.become(.good)
                try await eventually("it records again", within: .seconds(40)) {
                    cluster.recording("door")?.state == .recording
                        && cluster.gaps("door").map(\.cause) == [.sourceStalled]
                }
                // By the worker's own word: when the last frame came, and when it gave the source up.
                let silent = try #require(cluster.gaps("door").first?.from)
                let seen = (failure.at - silent).seconds
                #expect(seen <= 2 && seen > 1, "found after \(seen) s")
                #expect(cluster.verdicts("door").allSatisfy { $0.lastRestart == nil }, "the worker needed nobody")
                print("stall at \(fps) fps, GOP \(gop): found after", String(format: "%.2f s", seen))
                try await cluster.stopAndVerify("door")
            }
        }

        /// A frame in 2.5 s, each a key frame: slower than any fixed time-out of 2 s.
        @Test func aSlowCameraIsServed() async throws {
            let camera = try await FaultyCamera(fps: 0.4, gop: 1, frames: 20)
            let text = "  snail:\n    source: \(camera.url)"
            try await Cluster.run(cameras: text, rotation: "30m") { cluster in
                try await cluster.ready("snail")
                // Its first frames may take longer than the answer waits; the lease is kept.
                let _: Reply<RecordingResult> = try await cluster.ask(
                    "ON", on: "cameras/snail/recording/set", within: .seconds(40))
                let asked = Date()
                try await eventually("it records", within: .seconds(60)) {
                    cluster.recording("snail")?.state == .recording
                }
                print("a frame in 2.5 s: recording", asked.ago, "after the first answer")
                let restarts = cluster.stream("snail")?.restarts ?? 0
                try await passes(seconds: 12)
                #expect(cluster.stream("snail")?.state == .active && cluster.stream("snail")?.restarts == restarts)
                #expect(cluster.gaps("snail") == [])
                #expect(cluster.health("snail")?.status == .ok, "\(String(describing: cluster.health("snail")))")
                try await cluster.stopAndVerify("snail")
            }
        }

        private func passes(seconds: Double) async throws {
            let end = Date().addingTimeInterval(seconds)
            try await eventually("time passes", within: .seconds(60)) { Date() >= end }
        }
    }
}
