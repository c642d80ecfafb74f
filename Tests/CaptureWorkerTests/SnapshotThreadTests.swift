import BusContract
import CaptureWorkerCore
import Domain
import Logging
import Media
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import CaptureWorkerShell

/// What a job makes of the group of pictures that it finds, and what of that goes out.
@Suite struct SnapshotThreadTests {
    private typealias Outcome = Result<[SnapshotTaker.Picture], CodedError>

    /// A stream whose newest group the test decides, and one job on it.
    private final class Bench: Sendable {
        let folder: TestFolder
        let taker: SnapshotTaker
        let thread: SnapshotThread
        let group: Mutex<[CapturePipeline.Kept]>
        let groups = Mutex(0)
        let requests = Mutex(0)
        let outcome = Mutex<Outcome?>(nil)

        init(_ kept: [CapturePipeline.Kept], start: SnapshotThread.ThreadStart? = nil) throws {
            let (folder, camera) = (try TestFolder(), CoreBench.camera)
            let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            let place = CameraFolder(
                storage: folder.path("storage"), camera: camera,
                mount: StorageMount(
                    storage: folder.path("storage"), camera: camera, stateDir: folder.path("state"), logger: logger))
            try place.take {}
            self.folder = folder
            let taker = SnapshotTaker(storage: folder.path("storage"), camera: camera, folder: place)
            self.taker = taker
            thread = start.map { SnapshotThread(taker, start: $0) } ?? SnapshotThread(taker)
            group = Mutex(kept)
        }

        func ask(within time: Duration) {
            let deadline = ServiceClock.now().monotonic + time
            let job = SnapshotThread.Job(wishes: [SnapshotCommand()], deadline: deadline) { outcome in
                self.outcome.withLock { $0 = outcome }
            }
            let stream = SnapshotThread.Stream {
                self.groups.withLock { $0 += 1 }
                return self.group.withLock { $0 }
            } requestKeyFrame: {
                self.requests.withLock { $0 += 1 }
            }
            thread.put(job, from: stream)
        }
    }

    private func longGroup() throws -> [CapturePipeline.Kept] {
        let fixtures = try MediaFixtures()
        let clip = try fixtures.clip(
            "long.mp4", seconds: 38, size: "64x64", video: ["-g", "2000", "-keyint_min", "2000"])
        let kept = try withExtendedLifetime(fixtures) { try StreamPublisherTests.kept(clip) }
        #expect(kept.count > SnapshotMaker.picturesMax)
        return kept
    }

    /// The recording beside it goes on, and the next snapshot is tried anew.
    @Test func aSystemWithoutThreadsRefusesASnapshot() throws {
        let fixtures = try MediaFixtures()
        let kept = try StreamPublisherTests.kept(try fixtures.clip("clip.mp4", seconds: 1))
        let refusal = CodedError(.notReady, "no thread")
        let threads = Mutex<[@Sendable () -> Void]>([])
        let hasThreads = Mutex(false)
        let bench = try Bench(kept) { body throws(CodedError) in
            guard hasThreads.withLock({ $0 }) else { throw refusal }
            threads.withLock { $0.append(body) }
        }
        bench.ask(within: .seconds(3600))
        guard case .failure(refusal)? = bench.outcome.withLock({ $0 }) else {
            Issue.record("not refused")
            return
        }
        hasThreads.withLock { $0 = true }
        bench.ask(within: .seconds(3600))
        #expect(threads.withLock { $0.count } == 1)
    }

    @Test func theNextKeyFrameIsAskedForAndTaken() async throws {
        let kept = try longGroup()
        let bench = try Bench(kept)
        bench.ask(within: .seconds(3600))
        try await eventually("a key frame is asked for") { bench.requests.withLock { $0 } == 1 }
        bench.thread.frameCame(isKey: false)
        #expect(bench.outcome.withLock { $0 == nil })
        bench.group.withLock { $0 = [kept[0]] }
        bench.thread.frameCame(isKey: true)
        let outcome = try await eventually("the picture is taken") { bench.outcome.withLock { $0 } }
        #expect(try outcome.get().map(\.facts.width) == [64])
        #expect(bench.requests.withLock { $0 } == 1)
    }

    /// An older picture on the bus would be taken for the one that is told of.
    @Test func ofAPictureTooLargeForTheBusACoarserCopyIsMade() throws {
        let fixtures = try MediaFixtures()
        let kept = try StreamPublisherTests.kept(try fixtures.clip("clip.mp4", seconds: 1))
        let bench = try Bench(kept)
        func picture(_ bytesMax: Int) throws -> SnapshotTaker.Picture {
            var taker = bench.taker
            taker.imageBytesMax = bytesMax
            let wish = SnapshotCommand(quality: 100)
            let pictures = try taker.take(
                [wish], from: kept, follower: PictureFollower(), at: ServiceClock.now())
            return try #require(pictures.first)
        }
        let whole = try picture(SnapshotImage.bytesMax)
        #expect(try whole.image.get().count == whole.facts.bytes && whole.facts.imageBytes == nil)
        let coarser = try picture(whole.facts.bytes / 2)
        let image = try coarser.image.get()
        #expect(coarser.facts.bytes == whole.facts.bytes && image.count <= whole.facts.bytes / 2)
        #expect(coarser.facts.imageBytes == image.count && image.starts(with: [0xFF, 0xD8]))
        let none = try picture(100)
        #expect { try none.image.get() } throws: { ($0 as? CodedError)?.code == .payloadTooLarge }
        #expect(none.facts.imageBytes == nil && none.facts.bytes == whole.facts.bytes)
    }

    @Test func whereNoneComesTheAskerIsTold() async throws {
        let bench = try Bench(try longGroup())
        bench.ask(within: .milliseconds(500))
        let outcome = try await eventually("the asker is told") { bench.outcome.withLock { $0 } }
        #expect { try outcome.get() } throws: { ($0 as? CodedError)?.code == .timeout }
        #expect(bench.requests.withLock { $0 } == 1)
        #expect(bench.groups.withLock { $0 } == 1, "what could not be decoded is not tried again")
    }
}
