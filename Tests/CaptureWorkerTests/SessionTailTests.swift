import Domain
import Foundation
import Media
import TestSupport
import Testing

@testable import CaptureWorkerCore
@testable import CaptureWorkerShell

/// Where a session ends on disk, whatever became of its last file: no number of a frame is ever used again.
@Suite struct SessionTailTests {
    private static let framesOfLast = 50

    private let fixtures: MediaFixtures
    /// Of the last segment, which its worker left open.
    private let partial: String
    private let session: WorkerMemory.Session

    init() throws {
        fixtures = try MediaFixtures()
        let clip = try fixtures.clip("clip.mp4", seconds: 6)
        var copy = MediaCopy(storage: fixtures.folder, segmentSeconds: .seconds(2))
        let source = MediaSources.make(
            .file(.init(path: clip, loops: false, atFullSpeed: true)), encoder: EncoderSettings(), audio: false,
            openTimeout: .seconds(10), stallTimeout: .seconds(5))
        try copy.run(source)
        try #require(copy.paths.count == 3 && copy.reports[2].videoFrames == Self.framesOfLast)
        partial = copy.paths[2].replacingOccurrences(of: ".mp4", with: ".partial.mp4")
        try FileManager.default.moveItem(atPath: copy.paths[2], toPath: partial)
        let manifest = MediaCopy.manifest(index: 2)
        let clock = SessionClock(Now(monotonic: .zero, wall: manifest.startedAt))
        session = WorkerMemory.Session(
            id: manifest.session, startedAt: manifest.startedAt, clock: clock, nextIndex: 3, nextFrame: 1,
            newestAt: manifest.startedAt)
    }

    private func read() -> (tail: SessionTail?, told: [CodedError]) {
        let told = Told()
        let reader = SessionTailReader(storage: fixtures.folder, camera: CameraID(unchecked: "front")) { _, error in
            told.errors.append(error)
        }
        return (reader.read(session), told.errors)
    }

    /// Filled and read by one thread.
    private final class Told: @unchecked Sendable { var errors: [CodedError] = [] }

    @Test func theOpenFileIsFinished() throws {
        let (tail, told) = read()
        #expect(tail?.lastIndex == 2 && tail?.nextFrame == UInt64(Self.framesOfLast) && told.isEmpty)
        #expect(tail?.recovered.map(\.index) == [2])
        #expect(read().tail?.recovered == [])
    }

    @Test func aFileThatAnotherFinishesAtThisMomentCounts() throws {
        let other = open(partial, O_RDONLY)
        defer { close(other) }
        try #require(flock(other, LOCK_EX | LOCK_NB) == 0)
        let (tail, told) = read()
        #expect(tail?.lastIndex == 2 && tail?.nextFrame == UInt64(Self.framesOfLast) && told.isEmpty)
        #expect(tail?.recovered == [])
    }

    @Test func aFileThatCannotBeFinishedIsRead() throws {
        let taken = partial.replacingOccurrences(of: ".partial.mp4", with: ".mp4")
        try Data("something else".utf8).write(to: URL(fileURLWithPath: taken))
        let (tail, told) = read()
        #expect(tail?.lastIndex == 2 && tail?.nextFrame == UInt64(Self.framesOfLast))
        #expect(told.map(\.code).contains(.conflict) && tail?.recovered == [])
    }

    @Test func whatAnUnreadableFileHoldsIsNeverUsedAgain() throws {
        try FileManager.default.removeItem(atPath: partial)
        try FileManager.default.createDirectory(atPath: partial, withIntermediateDirectories: false)
        let (tail, told) = read()
        #expect(tail?.lastIndex == 2 && told.count == 1)
        #expect(try #require(tail).nextFrame >= RecordingLimits.framesOfFileMax)
        #expect(try #require(tail).endedAt >= session.newestAt)
    }
}
