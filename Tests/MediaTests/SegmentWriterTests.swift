import Domain
import Foundation
import Media
import TestSupport
import Testing

@Suite struct SegmentWriterTests {
    private func writer(
        _ source: any MediaSource, _ folder: String, durability: Durability = .powerCut
    ) throws -> SegmentWriter {
        try SegmentWriter(
            storage: folder, manifest: MediaCopy.manifest(index: 0), format: source.open(), durability: durability)
    }

    private func packet(_ source: any MediaSource) throws -> Packet {
        guard case .packet(let packet) = try source.next() else { throw CodedError(.internal, "no packet") }
        return packet
    }

    @Test func theFirstPartIsThereWithTheSecondFrame() throws {
        let fixtures = try MediaFixtures()
        let source = NumberedPattern.source(fps: 60)
        defer { source.close() }
        let writer = try writer(source, fixtures.folder)
        #expect(!writer.hasUnwritten)
        #expect(try writer.append(packet(source)) == nil)
        #expect(writer.hasUnwritten)
        let report = try #require(try writer.append(packet(source)))
        #expect(report.isFirst && report.videoFrames == 1)
        let path = fixtures.path(writer.path.relativePath)
        #expect(try SegmentFileReader.inspect(path).videoFrames == 1)
        #expect(try SegmentFileReader.inspect(path).manifest == MediaCopy.manifest(index: 0))
        writer.abandon()
    }

    @Test func aSilentSourceIsFlushedAndGoesOn() throws {
        let fixtures = try MediaFixtures()
        let source = NumberedPattern.source(fps: 60)
        defer { source.close() }
        let writer = try writer(source, fixtures.folder)
        for _ in 0..<5 { _ = try writer.append(packet(source)) }
        let report = try #require(try writer.flushPart())
        #expect(report.videoFrames == 4)
        #expect(!writer.hasUnwritten)
        #expect(try writer.flushPart() == nil)
        for _ in 0..<5 { _ = try writer.append(packet(source)) }
        let finished = try writer.finish(nextVideoDTS: nil)
        #expect(finished.videoFrames == 10)
        #expect(!finished.path.isPartial && writer.path == finished.path)
        #expect(try SegmentFileReader.verify(fixtures.path("\(finished.path)"), decode: true).faults == [])
    }

    @Test func nothingIsTakenAfterTheEnd() throws {
        let fixtures = try MediaFixtures()
        let source = NumberedPattern.source(fps: 60)
        defer { source.close() }
        let writer = try writer(source, fixtures.folder, durability: .processCrash)
        _ = try writer.append(packet(source))
        writer.abandon()
        #expect(throws: CodedError.self) { try writer.append(packet(source)) }
        #expect(throws: CodedError.self) { try writer.finish(nextVideoDTS: nil) }
    }

    @Test func aMissingStorageFolderIsAnError() throws {
        let source = NumberedPattern.source(fps: 60)
        defer { source.close() }
        let format = try source.open()
        #expect {
            try SegmentWriter(
                storage: "/nonexistent/storage", manifest: MediaCopy.manifest(index: 0), format: format,
                durability: .powerCut)
        } throws: { ($0 as? CodedError)?.code == .storageFailed }
    }

    /// A real full disk: a small tmpfs. Only root may mount one.
    @Test(.enabled(if: getuid() == 0)) func aFullDiskIsReportedAndLeavesAPlayablePartial() throws {
        let fixtures = try MediaFixtures()
        let disk = fixtures.path("disk")
        try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
        try fixtures.run("mount", ["-t", "tmpfs", "-o", "size=128k", "tmpfs", disk])
        defer {
            do { try fixtures.run("umount", [disk]) } catch { Issue.record(error) }
        }
        let clip = try fixtures.clip("clip.mp4", seconds: 20)
        let source = SegmentCopyTests.source(clip)
        defer { source.close() }
        let writer = try writer(source, disk)
        var framesOnDisk = 0
        #expect {
            while true { framesOnDisk += try writer.append(packet(source))?.videoFrames ?? 0 }
        } throws: { ($0 as? CodedError)?.code == .storageFull }
        #expect(throws: CodedError.self) { try writer.flushPart() }
        let partial = "\(disk)/\(writer.path)"
        writer.abandon()
        #expect(try SegmentFileReader.inspect(partial).videoFrames == framesOnDisk)
        let recovered = try #require(try SegmentRecovery.finish(partial))
        #expect(recovered.bytesCut == 0)
        let finished = try #require(recovered.finalPath)
        #expect(try SegmentFileReader.verify(finished, decode: true).faults == [])
    }
}
