import Bus
import BusContract
import ClusterConfig
import Domain
import Foundation
import TestSupport
import Testing

/// A running node follows its configuration, and nothing that a change does not concern hears of it.
extension NodeTests {
    @Suite struct ConfigurationTests {
        static func camera(_ name: String, gop: String = "1s", more: String = "") -> String {
            "  \(name): {source: \"test://pattern?size=160x120&fps=15\", encoder: {gop: \(gop)}\(more)}"
        }

        private static let two = camera("front") + "\n" + camera("yard")

        private func run(_ cameras: String = two, _ body: (Cluster) async throws -> Void) async throws {
            try await Cluster.run(cameras: cameras, rotation: "3s") { cluster in
                try await cluster.ready("front")
                try await inForce(1, cluster)
                try await body(cluster)
                #expect(try await cluster.stop() == 0)
            }
        }

        private func inForce(_ revision: Int, _ cluster: Cluster) async throws {
            try await cluster.configSays("revision \(revision) is in force") {
                $0.revision == revision && $0.valid && $0.pending == nil
            }
        }

        private func restarted(_ child: String, after pid: Int32, _ cluster: Cluster) async throws {
            try await eventually("\(child) is another process") {
                guard let now = try? cluster.pid(of: child) else { return false }
                return now != pid && ProcessTable.isAlive(now)
            }
        }

        @Test func anEditRestartsTheChangedCameraAloneAndTheOtherLosesNothing() async throws {
            try await run { cluster in
                try await cluster.startRecording("yard")
                try await cluster.passSegments(1, of: "yard")
                let (front, yard) = (
                    try cluster.pid(of: "capture-worker.front"), try cluster.pid(of: "capture-worker.yard")
                )
                let rotation = try cluster.pid(of: "rotation-service")
                try cluster.edit("gop: 1s", "gop: 2s", first: true)
                try await inForce(2, cluster)
                try await restarted("capture-worker.front", after: front, cluster)
                // What the rotation-service reads: it alone starts anew, and the boundaries move.
                try cluster.edit("interval: 3s", "interval: 2s")
                try await inForce(3, cluster)
                try await restarted("rotation-service", after: rotation, cluster)
                try await eventually("the plan is the new one") {
                    cluster.log.state(RotationState.self, at: CameraID(unchecked: "yard"))?.intervalSeconds == 2
                }
                try await cluster.passSegments(2, of: "yard")
                #expect(try cluster.pid(of: "capture-worker.yard") == yard && ProcessTable.isAlive(yard))
                try await cluster.ready("front")
                try await cluster.startRecording("front")
                try await cluster.passSegments(1, of: "front")
                try await cluster.stopAndVerify("front", "yard")
                #expect(cluster.gaps("yard").isEmpty && cluster.holes("yard").isEmpty)
            }
        }

        @Test func aBrokenEditChangesNothingNotEvenForAWorkerThatRestarts() async throws {
            try await run { cluster in
                try cluster.edit("gop: 1s", "gop: 2s", first: true)
                try await inForce(2, cluster)
                let before = try String(contentsOfFile: cluster.config, encoding: .utf8)
                try cluster.edit("gop: 2s", "gap: 2s")
                try await cluster.configSays("the file is broken") {
                    !$0.valid && $0.revision == 2 && $0.errors.contains { $0.contains("did you mean \"gop\"?") }
                }
                cluster.log.forgetStates()
                for child in ["capture-worker.front", "rotation-service", "config-writer"] {
                    let pid = try cluster.pid(of: child)
                    try cluster.signal(child, SIGKILL)
                    try await restarted(child, after: pid, cluster)
                }
                try await cluster.startRecording("front")
                #expect(cluster.stream("front")?.state == .active)
                let status = try await cluster.framekeeper("status")
                #expect(status.status == 0 && status.output.contains("is broken"), "\(status.output)")
                try await cluster.stopAndVerify("front")
                // The node's start with the broken file: what was in force is, and it says so.
                #expect(try await cluster.stop() == 0)
                cluster.log.forgetStates()
                try cluster.launch()
                try await cluster.ready("front")
                #expect(try cluster.upLog().contains("warning: the configuration file is broken. Revision 2"))
                try await cluster.configSays("still broken") { !$0.valid && $0.revision == 2 }
                try before.write(toFile: cluster.config, atomically: true, encoding: .utf8)
                try await cluster.configSays("mended") { $0.valid && $0.revision == 2 }
            }
        }

        @Test func aChangeWaitsForTheRecordingAndRollbackBringsTheOldTextBack() async throws {
            try await run { cluster in
                try await cluster.startRecording("front")
                let first = try String(contentsOfFile: cluster.config, encoding: .utf8)
                let pid = try cluster.pid(of: "capture-worker.front")
                let session = cluster.recording("front")?.session
                try cluster.edit("gop: 1s", "gop: 2s", first: true)
                try await cluster.configSays("it waits for front") { $0.pending?.waitsFor.map(\.rawValue) == ["front"] }
                try await cluster.passSegments(1, of: "front")
                #expect(try cluster.pid(of: "capture-worker.front") == pid)
                #expect(cluster.recording("front")?.session == session)
                try await cluster.stopAndVerify("front")
                try await inForce(2, cluster)
                try await restarted("capture-worker.front", after: pid, cluster)
                #expect(cluster.gaps("front").isEmpty)
                let history = try await cluster.framekeeper("config", "history")
                #expect(history.status == 0 && history.output.contains("superseded"), "\(history.output)")
                let back = try await cluster.framekeeper("config", "rollback", "--why", "it was better")
                #expect(back.status == 0 && back.output.contains("revision 3 is in force"), "\(back.output)")
                #expect(try String(contentsOfFile: cluster.config, encoding: .utf8) == first)
                let again = try await cluster.framekeeper("config", "history", "--json")
                #expect(again.output.contains("it was better") && again.output.contains("\"origin\":\"rollback\""))
            }
        }

        @Test func whoWaitsForAChangeHearsThatAnotherTookItsPlace() async throws {
            try await run { cluster in
                try await cluster.startRecording("front")
                let text = try String(contentsOfFile: cluster.config, encoding: .utf8)
                func file(_ gop: String) throws -> String {
                    let path = "\(cluster.folder)/\(gop).yml"
                    try text.replacingOccurrences(of: "gop: 1s", with: "gop: \(gop)")
                        .write(toFile: path, atomically: true, encoding: .utf8)
                    return path
                }
                let (second, third, fourth) = (try file("2s"), try file("3s"), try file("4s"))
                async let first = cluster.framekeeper("config", "apply", second)
                try await cluster.configSays("it waits") { $0.pending?.revision == 2 }
                #expect(try await cluster.framekeeper("config", "rollback", "1").status == 0)
                let rolledBack = try await first
                #expect(rolledBack.status == 1, "\(rolledBack.output)")
                #expect(rolledBack.output.contains("took the place of revision 2: revision 1 is in force"))
                async let other = cluster.framekeeper("config", "apply", third)
                try await cluster.configSays("the next one waits") { $0.pending?.revision == 3 }
                #expect(try await cluster.framekeeper("config", "apply", "--now", fourth).status == 0)
                let pushed = try await other
                #expect(pushed.status == 1, "\(pushed.output)")
                #expect(pushed.output.contains("took the place of revision 3: revision 4"))
            }
        }

        @Test func nowDoesNotWaitAndTheGapHasItsCause() async throws {
            let cameras = Self.camera("front", more: ", record: always")
            try await run(cameras) { cluster in
                try await eventually("front records", within: .seconds(30)) {
                    cluster.recording("front")?.state == .recording
                }
                try await cluster.passSegments(1, of: "front")
                let text = try String(contentsOfFile: cluster.config, encoding: .utf8)
                let new = "\(cluster.folder)/new.yml"
                try text.replacingOccurrences(of: "gop: 1s", with: "gop: 2s")
                    .write(toFile: new, atomically: true, encoding: .utf8)
                let patient = try await cluster.framekeeper("config", "apply", new)
                #expect(patient.status == 1 && patient.output.contains("front records always"), "\(patient.output)")
                #expect(patient.output.contains("--now"))
                let pid = try cluster.pid(of: "capture-worker.front")
                let pushed = try await cluster.framekeeper("config", "apply", "--now")
                #expect(pushed.status == 0 && pushed.output.contains("revision 2 is in force"), "\(pushed.output)")
                try await restarted("capture-worker.front", after: pid, cluster)
                try await eventually("the session goes on and its gap is told") { !cluster.gaps("front").isEmpty }
                try await cluster.passSegments(1, of: "front")
                #expect(cluster.gaps("front").map(\.cause) == [.workerDied])
                let broken = try await cluster.framekeeper("config", "apply", "\(cluster.folder)/none.yml")
                #expect(broken.status == 78 && broken.output.contains("no such file"))
                try "cameras: {front: {}}".write(toFile: new, atomically: true, encoding: .utf8)
                let refused = try await cluster.framekeeper("config", "apply", new)
                #expect(refused.status == 78 && refused.output.contains("\(new):1:"), "\(refused.output)")
                #expect(refused.output.contains("revision 2 stays in force"))
            }
        }

        @Test func camerasComeAndGo() async throws {
            try await run { cluster in
                try await cluster.startRecording("front")
                let (front, yard) = (
                    try cluster.pid(of: "capture-worker.front"), try cluster.pid(of: "capture-worker.yard")
                )
                let hall = Self.camera("hall")
                try cluster.edit(Self.camera("yard"), hall)
                try await inForce(2, cluster)
                try await cluster.ready("hall")
                try await eventually("the worker of yard has ended") { !ProcessTable.isAlive(yard) }
                for noun in ["config", "availability", "stream", "recording", "rotation"] {
                    try await eventually("\(noun) of yard is cleared") {
                        cluster.log.messages(on: "cameras/yard/\(noun)").last?.payload.isEmpty ?? true
                    }
                }
                try await cluster.startRecording("hall")
                // Quickly there and back: only what holds in the end counts.
                try cluster.edit(hall, hall.replacingOccurrences(of: "1s", with: "2s"))
                try cluster.edit(hall.replacingOccurrences(of: "1s", with: "2s"), hall)
                try await cluster.passSegments(2, of: "hall")
                #expect(try cluster.pid(of: "capture-worker.front") == front)
                try await cluster.stopAndVerify("front", "hall")
                #expect(cluster.gaps("front").isEmpty && cluster.gaps("hall").isEmpty)
            }
        }

        @Test func aConfigWriterThatIsKilledAndAHistoryThatIsDamagedCostNothing() async throws {
            try await run { cluster in
                try await cluster.startRecording("front")
                let children = ["broker", "rotation-service", "capture-worker.front", "capture-worker.yard"]
                let pids = try children.map(cluster.pid(of:))
                let writer = try cluster.pid(of: "config-writer")
                try cluster.edit("gop: 1s", "gop: 2s", first: true)
                try await cluster.configSays("it waits") { $0.pending?.revision == 2 }
                let history = "\(ActiveText.folder(stateDir: cluster.stateDir))/revisions.sqlite"
                cluster.log.forgetStates()
                try cluster.signal("config-writer", SIGKILL)
                try await restarted("config-writer", after: writer, cluster)
                try await cluster.configSays("it waits again") { $0.pending?.revision == 2 && $0.revision == 1 }
                try Data(repeating: 3, count: 9000).write(to: URL(fileURLWithPath: history))
                let second = try cluster.pid(of: "config-writer")
                cluster.log.forgetStates()
                try cluster.signal("config-writer", SIGKILL)
                try await restarted("config-writer", after: second, cluster)
                try await cluster.configSays("it waits again, by the file") { $0.pending?.revision == 2 }
                #expect(try children.map(cluster.pid(of:)) == pids)
                try await cluster.stopAndVerify("front")
                try await inForce(2, cluster)
                #expect(cluster.gaps("front").isEmpty)
                #expect(try cluster.upLog().contains("the history of the configuration was damaged"))
            }
        }

        @Test func anotherBrokerPortWaitsForTheStartOfTheNode() async throws {
            try await run { cluster in
                let other = try MosquittoBroker.freePort()
                try cluster.edit("embedded://127.0.0.1:\(cluster.port)", "embedded://127.0.0.1:\(other)")
                try await cluster.configSays("it waits for the start") {
                    $0.pending?.reason.contains("framekeeper up") ?? false
                }
                let status = try await cluster.framekeeper("status")
                #expect(status.status == 0, "commands go to the broker that runs: \(status.output)")
                #expect(try await cluster.stop() == 0)
                try cluster.launch()
                try await eventually("the node is up on the other port", within: .seconds(30)) {
                    try await cluster.framekeeper("status").output.contains("front")
                }
                let history = try await cluster.framekeeper("config", "history")
                #expect(history.output.contains("applied"), "\(history.output)")
            }
        }
    }
}

extension Cluster {
    /// Puts a text in the place of another in the node's file, by a rename, as editors do.
    func edit(_ old: String, _ new: String, first: Bool = false) throws {
        let text = try String(contentsOfFile: config, encoding: .utf8)
        let range = try #require(text.range(of: old), "no \(old) in the file")
        let changed =
            first ? text.replacingCharacters(in: range, with: new) : text.replacingOccurrences(of: old, with: new)
        try changed.write(toFile: config, atomically: true, encoding: .utf8)
    }

    /// Waits until the newest `config` state says so.
    func configSays(_ what: String, _ condition: (ConfigState) -> Bool) async throws {
        try await eventually(what, within: .seconds(30)) {
            log.state(ConfigState.self, at: FleetAddress()).map(condition) ?? false
        }
    }
}
