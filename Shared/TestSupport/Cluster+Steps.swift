package import BusContract
internal import Domain
internal import Foundation

/// What several tests of faults do with a node.
extension Cluster {
    package func startRecording(_ camera: String) async throws {
        try await ready(camera)
        try await command("ON", camera)
    }

    /// Ends the recordings, then waits until the command line finds every promise kept.
    package func stopAndVerify(_ cameras: String...) async throws { try await stopAndVerify(contentsOf: cameras) }

    package func stopAndVerify(contentsOf cameras: [String]) async throws {
        for camera in cameras { try await command("OFF", camera) }
        try await verify()
    }

    private func command(_ word: String, _ camera: String) async throws {
        let reply: Reply<RecordingResult> = try await ask(word, on: "cameras/\(camera)/recording/set")
        guard reply.status == .ok else { throw CodedError(.internal, "\(word) to \(camera): \(reply)") }
    }

    /// The ledger hears of the last file a moment after the reply, and of what no event told by its next scan.
    package func verify(within: Duration = .seconds(45)) async throws {
        var verdict = try await framekeeper("recordings", "verify")
        do {
            try await eventually("verify finds nothing wrong", within: within) {
                if verdict.status == 0 { return true }
                verdict = try await framekeeper("recordings", "verify")
                return verdict.status == 0
            }
        } catch {
            throw CodedError(.internal, "\(error): \(verdict.output)")
        }
    }

    /// Each gap once, as it was told last.
    package func gaps(_ camera: String) -> [GapEvent] {
        // Told again, a gap has grown; its key is the session and the beginning.
        var newest: [WallTime: GapEvent] = [:]
        for gap in log.events(GapEvent.self, at: CameraID(unchecked: camera)) { newest[gap.from] = gap }
        return newest.values.sorted { $0.from < $1.from }
    }

    package func stream(_ camera: String) -> StreamState? {
        log.state(StreamState.self, at: CameraID(unchecked: camera))
    }

    /// Every state of the stream that was said, in order: one may last shorter than a look at the newest takes.
    package func streams(_ camera: String) -> [StreamState] {
        log.events(StreamState.self, at: CameraID(unchecked: camera))
    }

    /// Closed segments, each once, in order.
    package func segments(_ camera: String) -> [SegmentEvent] {
        var newest: [Int: SegmentEvent] = [:]
        for segment in closed(camera) { newest[segment.index] = segment }
        return newest.values.sorted { $0.index < $1.index }
    }

    /// How many frame numbers are skipped between closed segments, hole by hole.
    package func holes(_ camera: String) -> [UInt64] {
        let all = segments(camera)
        return zip(all, all.dropFirst()).compactMap { last, next in
            last.lastFrame.map { next.firstFrame - $0 - 1 }
        }.filter { $0 > 0 }
    }

    /// Waits until `count` more segments than now are closed.
    package func passSegments(_ count: Int, of camera: String) async throws {
        let before = segments(camera).count
        try await eventually("\(count) more segments of \(camera)", within: .seconds(60)) {
            segments(camera).count >= before + count
        }
    }

    package func upLog() throws -> String { try String(contentsOfFile: "\(folder)/up.log", encoding: .utf8) }

    package func partialFiles() -> [String] {
        let names = FileManager.default.enumerator(atPath: storage)?.compactMap { $0 as? String } ?? []
        return names.filter { $0.hasSuffix(SegmentPath.partialSuffix) }
    }

    /// Files that ffprobe cannot read fail the test.
    package func probe(_ files: [String]) async throws {
        for file in files { _ = try await Tool.run("ffprobe", ["-v", "error", "-show_format", file]) }
    }
}
