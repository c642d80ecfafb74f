import Domain
import Foundation
import TestSupport
import Testing

/// The command line's window on a running node.
extension NodeTests {
    @Suite struct StatusWatchTests {
        private static let camera = """
              front:
                source: "test://pattern?size=320x180&fps=15"
            """

        private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

        @Test func aRepairTellsThatItIsAtWork() async throws {
            try await Cluster.run(cameras: Self.camera) { cluster in
                try await cluster.ready("front")
                // Where no rotation-service has the folder, the command does its work.
                try await cluster.servicesReady()
                let screen = "\(cluster.folder)/screen"
                let tool = try Products.path("framekeeper")
                let repair = try Screen.run("\(tool) recordings repair --config \(cluster.config)", output: screen)
                #expect(try await repair.wait(within: .seconds(30)) == 0)
                let shown = text(screen)
                let told = try #require(shown.range(of: "the rotation-service compares files and ledger, 0 s"))
                let result = try #require(shown.range(of: "0 files compared"))
                #expect(told.lowerBound < result.lowerBound)
            }
        }

        @Test func aWatchedStatusFollowsWhatHappens() async throws {
            try await Cluster.run(cameras: Self.camera) { cluster in
                try await cluster.ready("front")
                let tool = try Products.path("framekeeper")
                let (lines, screen) = ("\(cluster.folder)/lines", "\(cluster.folder)/screen")
                let json = try ChildProcess(
                    [tool, "status", "--watch", "--json", "--config", cluster.config], output: lines)
                let table = try Screen.run("\(tool) status --watch --config \(cluster.config)", output: screen)
                try await eventually("both show an idle camera") {
                    text(lines).contains("\"state\":\"off\"") && text(screen).contains("CAMERA")
                }
                try await cluster.startRecording("front")
                try await eventually("both show the recording") {
                    text(lines).contains("\"state\":\"recording\"") && text(screen).contains("recording")
                }
                // In its place, in colour, the cursor hidden.
                let shown = text(screen)
                #expect(shown.contains("\u{1B}[?25l") && shown.contains("\u{1B}[H") && shown.contains("\u{1B}[32m"))
                json.signal(SIGINT)
                #expect(try await json.wait(within: .seconds(20)) == 0)
                table.signal(SIGTERM)
                _ = try await table.wait(within: .seconds(20))
                try await cluster.stopAndVerify("front")
            }
        }

        @Test func whatIsExpectedIsThereOrNamed() async throws {
            try await Cluster.run(cameras: Self.camera) { cluster in
                try await cluster.ready("front")
                try await eventually("all of the node is there") {
                    try await cluster.framekeeper(
                        "status", "--expect", "capture-worker/front", "--expect", "rotation-service/node1", "--expect",
                        "metrics/node1"
                    ).status == 0
                }
                let missing = try await cluster.framekeeper("status", "--expect", "capture-worker/hall")
                #expect(missing.status == 1 && missing.output.contains("not online: capture-worker/hall"))
                // A program gets one document, which says all of it.
                let json = try await cluster.framekeeper("status", "--json", "--expect", "capture-worker/hall")
                let document = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
                #expect(json.status == 1 && document?["status"] as? String == "error", "\(json.output)")
                #expect((document?["error"] as? [String: Any])?["code"] as? String == "not_ready")
                #expect((document?["cameras"] as? [Any])?.count == 1)
            }
        }
    }
}
