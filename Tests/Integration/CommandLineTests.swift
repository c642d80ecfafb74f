import Domain
import Foundation
import TestSupport
import Testing

/// The command line's answers, in words and as JSON, on one running node.
extension NodeTests {
    @Suite struct CommandLineTests {
        /// Nobody runs the shed's node.
        private static let cameras = """
              front:
                source: "test://pattern?size=160x120&fps=25"
                groups: [yard]
                encoder: {gop: 1s}
              back:
                source: "test://pattern?size=160x120&fps=10"
                groups: [yard, lawn]
                encoder: {gop: 1s}
              shed:
                source: "test://pattern?size=160x120&fps=10"
                node: elsewhere
                groups: [lawn]
            """

        @Test func everyCommandAnswers() async throws {
            // A start that is refused is waited for no longer than this and the way back.
            let lifecycle = "lifecycle: {recording: {start_timeout: 5s}}"
            try await Cluster.run(cameras: Self.cameras, rotation: "12h", extra: lifecycle) { cluster in
                for camera in ["front", "back"] { try await cluster.startRecording(camera) }
                try await retained(cluster)
                try await watched(cluster) {
                    try await recordAndRotate(cluster)
                }
                try await silence(cluster)
                try await stop(cluster)
                try await cluster.verify()
                let session = try await listed(cluster)
                try await shown(cluster, session)
                try await exported(cluster, session)
                try await slips(cluster)
                try await narrow(cluster)
            }
        }

        private func text(_ path: String) -> String { (try? String(contentsOfFile: path, encoding: .utf8)) ?? "" }

        /// One document a line.
        private func documents(_ output: String) throws -> [[String: Any]] {
            try output.split(separator: "\n").map { line in
                try #require(
                    JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(output)")
            }
        }

        // MARK: watch

        /// What is retained comes at once, so that a count is sure to be reached.
        private func retained(_ cluster: Cluster) async throws {
            let answer = try await cluster.framekeeper("watch", "cameras/+/availability", "--count", "2", "--json")
            let lines = try documents(answer.output)
            #expect(answer.status == 0 && lines.count == 2, "\(answer)")
            #expect(lines.allSatisfy { $0["retained"] as? Bool == true && $0["payload"] as? String == "online" })
            let topics = Set(lines.compactMap { $0["topic"] as? String })
            #expect(topics.count == 2 && topics.contains { $0.hasSuffix("cameras/front/availability") })
        }

        private func watched(_ cluster: Cluster, _ body: () async throws -> Void) async throws {
            let output = "\(cluster.folder)/watch"
            let watch = try ChildProcess(
                [try Products.path("framekeeper"), "watch", "cameras/front/#", "--config", cluster.config],
                output: output)
            try await eventually("it listens", within: .seconds(30)) {
                text(output).contains("cameras/front/availability online")
            }
            try await body()
            try await eventually("it has seen the file", within: .seconds(30)) {
                text(output).contains("cameras/front/segment {") && text(output).contains(#""event":"closed""#)
            }
            watch.signal(SIGINT)
            #expect(try await watch.wait(within: .seconds(20)) == 0)
        }

        // MARK: record and rotate

        private func recordAndRotate(_ cluster: Cluster) async throws {
            let one = try await cluster.framekeeper("record", "start", "front", "--holder", "second", "--json")
            let reply = try #require(try documents(one.output).first)
            let result = try #require(reply["result"] as? [String: Any])
            #expect(one.status == 0 && reply["status"] as? String == "ok")
            #expect(result["camera"] as? String == "front" && result["state"] as? String == "recording")
            let rotated = try await cluster.framekeeper("rotate", "--group", "yard", "--json")
            let results = try documents(rotated.output).compactMap { $0["result"] as? [String: Any] }
            #expect(rotated.status == 0 && results.allSatisfy { $0["rotated"] as? Bool == true }, "\(rotated)")
            #expect(Set(results.compactMap { $0["camera"] as? String }) == ["front", "back"])
        }

        private func stop(_ cluster: Cluster) async throws {
            let held = try await cluster.framekeeper("record", "stop", "front", "--holder", "second", "--json")
            let state = try documents(held.output).first?["result"] as? [String: Any]
            #expect(held.status == 0 && state?["state"] as? String == "recording", "another lease holds it: \(held)")
            let stopped = try await cluster.framekeeper("record", "stop", "--group", "yard")
            #expect(stopped.status == 0, "\(stopped)")
            for camera in ["front", "back"] { #expect(stopped.output.contains("\(camera): off"), "\(stopped)") }
        }

        /// A camera of a group that does not answer is named, and the others' answers are there.
        private func silence(_ cluster: Cluster) async throws {
            async let words = cluster.framekeeper("record", "start", "--group", "lawn")
            async let json = cluster.framekeeper("record", "start", "--group", "lawn", "--json")
            let (told, documented) = try await (words, json)
            #expect(told.status == 69 && told.output.contains("back: recording"), "\(told)")
            #expect(told.output.contains("error: no answer from camera shed within 10s"), "\(told)")
            #expect(told.output.contains("framekeeper status shows whether its worker runs"))
            let lines = try documents(documented.output)
            #expect(documented.status == 69 && lines.count == 2, "\(documented)")
            #expect((lines.first?["result"] as? [String: Any])?["camera"] as? String == "back")
            let error = try #require(lines.last?["error"] as? [String: Any])
            #expect(error["code"] as? String == "timeout" && "\(error["message"] ?? "")".contains("camera shed"))
        }

        // MARK: recordings

        /// The session of front.
        private func listed(_ cluster: Cluster) async throws -> String {
            let list = try await cluster.framekeeper("recordings", "list", "--json")
            let rows = try #require(
                JSONSerialization.jsonObject(with: Data(list.output.utf8)) as? [[String: Any]], "\(list)")
            #expect(list.status == 0 && rows.count == 2)
            let row = try #require(rows.first { $0["camera"] as? String == "front" })
            #expect((row["segments"] as? Int ?? 0) >= 2)
            let words = try await cluster.framekeeper("recordings", "list", "--camera", "front")
            #expect(words.output.hasPrefix("SESSION") && !words.output.contains("back"), "\(words)")
            return try #require(row["session"] as? String)
        }

        private func shown(_ cluster: Cluster, _ session: String) async throws {
            let prefix = String(session.prefix(8))
            let words = try await cluster.framekeeper("recordings", "show", prefix)
            #expect(words.status == 0 && words.output.hasPrefix("session \(session), camera front"), "\(words)")
            let json = try await cluster.framekeeper("recordings", "show", prefix, "--json")
            let document = try #require(try documents(json.output).first)
            let files = try #require(document["segments"] as? [[String: Any]])
            let count = try cluster.files("front").count
            #expect(json.status == 0 && files.count == count)
            for file in files.compactMap({ $0["file"] as? String }) {
                #expect(words.output.contains(file))
                #expect(FileManager.default.fileExists(atPath: "\(cluster.storage)/\(file)"))
            }
            let repair = try await cluster.framekeeper("recordings", "repair", "--json")
            let result = try #require(try documents(repair.output).first)
            let compared = try cluster.files("front").count + cluster.files("back").count
            #expect(repair.status == 0 && result["segments"] as? Int == compared, "\(repair)")
            #expect(result["missing"] as? Int == 0 && result["quarantined"] as? Int == 0)
        }

        /// On a terminal both tell how far they are, and only where colour is welcome they use it.
        private func exported(_ cluster: Cluster, _ session: String) async throws {
            let tool = try Products.path("framekeeper")
            for colour in [true, false] {
                let clip = "\(cluster.folder)/clip-\(colour).mp4"
                let command = "\(tool) recordings export --config \(cluster.config) --session \(session) -o \(clip)"
                let export = try await screen(command, colour: colour, cluster)
                #expect(export.contains("[######") && export.contains("100%  \(clip)"), "\(export)")
                #expect(export.contains("\(clip): ") && !export.contains("\u{1B}[3"))
                try await cluster.probe([clip])
                let verify = try await screen(
                    "\(tool) recordings verify --config \(cluster.config)", colour: colour, cluster)
                #expect(verify.contains("[######") && verify.contains("100%  front \(session.prefix(8))"), "\(verify)")
                #expect(verify.contains("0 promises broken"))
                #expect(verify.contains("\u{1B}[32mcomplete\u{1B}[0m") == colour)
                #expect(verify.contains("\u{1B}[3") == colour)
            }
        }

        /// To the end, without a failure.
        private func screen(
            _ command: String, columns: Int? = nil, colour: Bool = true, _ cluster: Cluster
        ) async throws -> String {
            let output = "\(cluster.folder)/screen-\(UUID().uuidString)"
            let child = try Screen.run(command, columns: columns, colour: colour, output: output)
            let status = try await child.wait(within: .seconds(60))
            #expect(status == 0, "\(command): \(text(output))")
            return text(output)
        }

        /// A camera that nobody knows is no camera of which nothing is broken.
        private func slips(_ cluster: Cluster) async throws {
            for command in [["list"], ["verify"], ["export", "--from", "1h", "-o", "\(cluster.folder)/slip.mp4"]] {
                let answer = try await cluster.framekeeper(
                    contentsOf: ["recordings"] + command + ["--camera", "frnot"])
                #expect(answer.status == 1 && answer.output.contains("nothing is known of a camera frnot"), "\(answer)")
                #expect(answer.output.contains("the configuration knows front, back, shed"), "\(answer)")
            }
            let json = try await cluster.framekeeper("recordings", "verify", "--json", "--camera", "frnot")
            let error = try documents(json.output).first?["error"] as? [String: Any]
            #expect(json.status == 1 && error?["code"] as? String == "unknown_camera", "\(json)")
            // Configured and never recorded is no slip.
            let shed = try await cluster.framekeeper("recordings", "list", "--camera", "shed")
            #expect(shed.status == 0 && shed.output.contains("nothing recorded"), "\(shed)")
        }

        // MARK: Width

        private func narrow(_ cluster: Cluster) async throws {
            let tool = try Products.path("framekeeper")
            for command in ["status", "recordings list", "recordings verify", "config history"] {
                let shown = try await screen(
                    "\(tool) \(command) --config \(cluster.config)", columns: 60, colour: false, cluster)
                // The bar's own line is wiped before the table.
                let lines = shown.split(whereSeparator: \.isNewline).filter { !$0.contains("\u{1B}") }
                #expect(!lines.isEmpty && lines.allSatisfy { $0.count <= 60 }, "\(command): \(shown)")
                #expect(command != "status" || lines[0].contains("HEALTH"), "\(shown)")
            }
        }
    }
}
