import Bus
import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// A media server that hangs: it is there, and takes nothing.
extension NodeTests.LiveViewTests {
    /// The stream fills what the system holds of a connection within seconds.
    @Test func aHangingMediaServerNeverDelaysARecording() async throws {
        let folder = try Scratch.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let camera = """
              front:
                source: "file://\(try await noise(in: folder))?loop=1"
            """
        try await LiveCluster.run(cameras: camera, rotation: "2s", extra: Self.lifecycle) { cluster, server in
            try await cluster.startRecording("front")
            try await cluster.readyToView("front")
            // It hangs before the worker connects.
            server.pause()
            let asked = Task { [bus = cluster.bus] in
                try? await bus.request(
                    Array(#"{"command":"start","duration":"5m"}"#.utf8), to: "cameras/front/viewing/set",
                    expecting: ViewingResult.self, timeout: .seconds(30))
            }
            try await eventually("the worker has noticed", within: .seconds(40)) {
                failures(cluster) > 0
            }
            try await cluster.passSegments(2, of: "front")
            server.resume()
            try await eventually("the view is there", within: .seconds(30)) {
                cluster.viewing("front")?.state == .active
            }
            #expect(await asked.value?.status != nil, "whoever asked was answered")
            // It hangs while the worker publishes and somebody watches.
            let reader = try server.read("front")
            defer { reader.kill() }
            try await eventually("the viewer is seen", within: .seconds(15)) {
                cluster.viewing("front")?.viewers == 1
            }
            let before = failures(cluster)
            server.pause()
            try await eventually("the hang is noticed", within: .seconds(30)) {
                cluster.mediaServer?.reachable == false
            }
            try await eventually("the worker gets rid of nothing more", within: .seconds(60)) {
                failures(cluster) > before
            }
            try await cluster.passSegments(2, of: "front")
            server.resume()
            try await eventually("the view is back", within: .seconds(30)) {
                cluster.viewing("front")?.state == .active && cluster.mediaServer?.reachable == true
            }
            // The state may have been the same throughout.
            #expect(try await LiveCluster.watch("front", at: server, frames: 5) == 5)
            try await cluster.stopAndVerify("front")
            #expect(cluster.gaps("front").isEmpty)
        }
    }

    private func failures(_ cluster: Cluster) -> Int {
        cluster.log.events(ViewingState.self, at: CameraID(unchecked: "front")).count { $0.state == .failed }
    }

    /// Does not compress: about 1.5 MB a second.
    private func noise(in folder: String) async throws -> String {
        let clip = "\(folder)/noise.mp4"
        _ = try await Tool.run(
            "ffmpeg",
            [
                "-y", "-v", "error", "-f", "lavfi", "-i", "color=gray:size=320x240:rate=15:duration=10", "-vf",
                "noise=alls=100:allf=t", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "18", "-g", "15",
                "-pix_fmt", "yuv420p", clip,
            ])
        return clip
    }
}
