import Domain
import Foundation
import ServiceKit
import TestSupport
import Testing

@Suite("Files that survive")
struct FileTests {
    /// A folder of its own for one test.
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = NSTemporaryDirectory() + "fk-files-" + UUID().uuidString
        try AtomicFile.createFolder(folder)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private func failure<Value>(_ body: () throws(CodedError) -> Value) -> CodedError? {
        do throws(CodedError) {
            _ = try body()
            return nil
        } catch {
            return error
        }
    }

    @Test("A write replaces the whole file and leaves nothing beside it")
    func atomicWrite() throws {
        try withFolder { folder in
            let path = folder + "/leases.json"
            #expect(try AtomicFile.read(path) == nil)
            try AtomicFile.write(Array("one".utf8), to: path)
            try AtomicFile.write(Array(repeating: 7, count: 300_000), to: path)
            #expect(try AtomicFile.read(path) == Array(repeating: 7, count: 300_000))
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["leases.json"])
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            let refusal = failure { () throws(CodedError) in try AtomicFile.read(path, atMost: 1000) }
            #expect(refusal?.code == .storageFailed)
        }
    }

    @Test("A write that cannot be done says why, and the old file stays")
    func failedWrite() throws {
        try withFolder { folder in
            let missing = failure { () throws(CodedError) in try AtomicFile.write([1], to: folder + "/no/where") }
            #expect(missing?.code == .storageFailed)
            #expect(missing?.description.contains("No such file") == true)
            try AtomicFile.createFolder(folder + "/taken/below")
            let taken = failure { () throws(CodedError) in try AtomicFile.write([1], to: folder + "/taken") }
            #expect(taken != nil)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["taken"])
            #expect(CodedError.system(28, "x").code == .storageFull)
        }
    }

    @Test("What is no file takes what is written, and stays what it is")
    func delivery() throws {
        try withFolder { folder in
            let pipe = folder + "/pipe"
            try #require(mkfifo(pipe, 0o600) == 0)
            // Both ends are open, so that nobody has to wait for the other.
            let end = open(pipe, O_RDWR | O_CLOEXEC | O_NONBLOCK)
            defer { close(end) }
            try AtomicFile.deliver(Array("one".utf8), to: pipe, mode: 0o644)
            var bytes = [UInt8](repeating: 0, count: 16)
            #expect(read(end, &bytes, bytes.count) == 3 && bytes.starts(with: Array("one".utf8)))
            try AtomicFile.deliver([1], to: "/dev/null", mode: 0o644)
            #expect(try AtomicFile.read("/dev/null") == [])

            try AtomicFile.deliver([1], to: folder + "/file", mode: 0o644)
            try FileManager.default.createSymbolicLink(atPath: folder + "/link", withDestinationPath: "file")
            try AtomicFile.deliver([2], to: folder + "/link", mode: 0o600)
            #expect(try AtomicFile.read(folder + "/file") == [2])
            let mode = try FileManager.default.attributesOfItem(atPath: folder + "/file")[.posixPermissions] as? Int
            #expect(mode == 0o644)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["file", "link", "pipe"])
            #expect(failure { () throws(CodedError) in try AtomicFile.deliver([1], to: folder, mode: 0o600) } != nil)
        }
    }

    @Test("One holder at a time; the lock ends with its holder")
    func lock() async throws {
        let folder = try TestFolder()
        let path = folder.path(".lock")
        #expect(try !FileLock.isHeld(path))
        var held = try FileLock.take(path)
        try #require(held).write("42")
        #expect(try FileLock.isHeld(path))
        #expect(try FileLock.isHeld(path))
        #expect(try FileLock.take(path) == nil)
        #expect(try AtomicFile.read(path) == Array("42".utf8))
        held = nil
        // A process that another test starts has a copy of the descriptor from its fork to its program.
        try await eventually("it is not held") { try !FileLock.isHeld(path) }
        try await eventually("it can be taken") { try FileLock.take(path) != nil }
    }

    @Test("The process knows what it costs")
    func statistics() {
        let statistics = ProcessStatistics.current()
        #expect(statistics.rssBytes > 1_000_000)
        #expect(statistics.cpuSeconds > 0)
    }
}
