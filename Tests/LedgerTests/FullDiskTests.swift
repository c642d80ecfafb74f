import Domain
import Foundation
import Glibc
import Ledger
import Testing

/// A file system that is really full: a small tmpfs, where this user may mount one.
@Suite(.enabled(if: SmallDisk.canMount, "this user may not mount a tmpfs")) struct FullDiskTests {
    @Test func aFullDiskIsNamedAndPasses() throws {
        let fixture = try LedgerFixture()
        let disk = try #require(try SmallDisk(kilobytes: 1024))
        let store = try LedgerStore(storage: disk.path, access: .owner, now: fixture.start)
        func record(_ index: Int) throws {
            try store.record(
                segments: [SegmentRecord(fixture.closed(fixture.manifest(index)), camera: LedgerFixture.front)],
                now: fixture.start)
        }
        try record(0)
        let filler = "\(disk.path)/filler"
        let file = Glibc.open(filler, O_WRONLY | O_CREAT, 0o644)
        let block = [UInt8](repeating: 1, count: 4096)
        while write(file, block, block.count) > 0 {}
        Glibc.close(file)

        var refused: CodedError?
        var written = 1
        for index in 1..<2000 where refused == nil {
            do {
                try record(index)
                written = index + 1
            } catch let error as CodedError {
                refused = error
            }
        }
        #expect(refused?.code == .storageFull)
        #expect(try store.segments().count == written, "what was acknowledged is there")

        unlink(filler)
        try record(written)
        #expect(try store.segments().count == written + 1, "the same store goes on")
        try store.close()
        let again = try LedgerStore(storage: disk.path, access: .owner, now: fixture.start)
        #expect(again.origin == .existing)
        #expect(try again.segments().count == written + 1)
        try again.close()
    }
}

/// A mounted tmpfs that goes with this object.
private final class SmallDisk {
    let path: String

    /// Not every container may mount, even as root.
    static let canMount: Bool = {
        do { return try SmallDisk(kilobytes: 64) != nil } catch { return false }
    }()

    init?(kilobytes: Int) throws {
        path = NSTemporaryDirectory() + "framekeeper-small-\(UUID().uuidString.lowercased())"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        guard mount("tmpfs", path, "tmpfs", 0, "size=\(kilobytes)k") == 0 else {
            rmdir(path)
            return nil
        }
    }

    deinit {
        umount(path)
        rmdir(path)
    }
}
