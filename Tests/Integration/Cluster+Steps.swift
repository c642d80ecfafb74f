import BusContract
import Domain
import Foundation
import TestSupport
import Testing

/// What several tests of faults do with a node.
extension Cluster {
    func startRecording(_ camera: String) async throws {
        try await ready(camera)
        let reply: Reply<RecordingResult> = try await ask("ON", on: "cameras/\(camera)/recording/set")
        #expect(reply.status == .ok, "\(reply)")
    }

    /// Ends the recordings, then waits until the command line finds every promise kept.
    func stopAndVerify(_ cameras: String...) async throws {
        for camera in cameras {
            let reply: Reply<RecordingResult> = try await ask("OFF", on: "cameras/\(camera)/recording/set")
            #expect(reply.status == .ok, "\(reply)")
        }
        try await verify()
    }

    /// The ledger hears of the last file a moment after the reply, and of what no event told by its next scan.
    func verify(within: Duration = .seconds(45)) async throws {
        var verdict = try await framekeeper("recordings", "verify")
        do {
            try await eventually("verify finds nothing wrong", within: within) {
                if verdict.status == 0 { return true }
                verdict = try await framekeeper("recordings", "verify")
                return verdict.status == 0
            }
        } catch {
            Issue.record("\(verdict.output)")
            throw error
        }
    }

    /// Each gap once, as it was told last.
    func gaps(_ camera: String) -> [GapEvent] {
        // Told again, a gap has grown; its key is the session and the beginning.
        var newest: [WallTime: GapEvent] = [:]
        for gap in log.events(GapEvent.self, at: CameraID(unchecked: camera)) { newest[gap.from] = gap }
        return newest.values.sorted { $0.from < $1.from }
    }

    func stream(_ camera: String) -> StreamState? { log.state(StreamState.self, at: CameraID(unchecked: camera)) }

    /// Closed segments, each once, in order.
    func segments(_ camera: String) -> [SegmentEvent] {
        var newest: [Int: SegmentEvent] = [:]
        for segment in closed(camera) { newest[segment.index] = segment }
        return newest.values.sorted { $0.index < $1.index }
    }

    /// How many frame numbers are skipped between closed segments, hole by hole.
    func holes(_ camera: String) -> [UInt64] {
        let all = segments(camera)
        return zip(all, all.dropFirst()).compactMap { last, next in
            last.lastFrame.map { next.firstFrame - $0 - 1 }
        }.filter { $0 > 0 }
    }

    /// Waits until `count` more segments than now are closed.
    func passSegments(_ count: Int, of camera: String) async throws {
        let before = segments(camera).count
        try await eventually("\(count) more segments of \(camera)", within: .seconds(60)) {
            segments(camera).count >= before + count
        }
    }

    func upLog() throws -> String { try String(contentsOfFile: "\(folder)/up.log", encoding: .utf8) }

    func partialFiles() -> [String] {
        let names = FileManager.default.enumerator(atPath: storage)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(".partial.mp4") }
    }

    /// Files that ffprobe cannot read fail the test.
    func probe(_ files: [String]) async throws {
        for file in files { _ = try await Tool.run("ffprobe", ["-v", "error", "-show_format", file]) }
    }
}

/// Processes as /proc shows them.
enum ProcessTable {
    static func isAlive(_ pid: Int32) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
        // The state follows the name in parentheses (proc(5)).
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ").dropFirst().first != "Z"
    }

    /// Segment files that a process has open.
    static func openSegments(_ pid: Int32) -> [String] {
        let root = "/proc/\(pid)/fd"
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return numbers.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "\(root)/\($0)") }
            .filter { $0.hasSuffix(".mp4") }
    }
}

extension Date {
    /// Seconds since this moment, with two places.
    var ago: String { String(format: "%.2f s", Date().timeIntervalSince(self)) }
}
