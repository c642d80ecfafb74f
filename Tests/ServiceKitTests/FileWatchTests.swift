import Foundation
import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("Watching files")
final class FileWatchTests {
    private let folder = NSTemporaryDirectory() + "framekeeper-watch-\(UUID().uuidString.prefix(8))"
    private var path: String { folder + "/a.yml" }

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private final class Count: Sendable {
        private let value = Mutex(0)
        func add() { value.withLock { $0 += 1 } }
        var now: Int { value.withLock { $0 } }
    }

    /// So long that what is seen is seen by inotify.
    private static let never: Duration = .seconds(3600)

    private func write(_ text: String, atomically: Bool = false) throws {
        try text.write(toFile: path, atomically: atomically, encoding: .utf8)
    }

    @Test("A write, a rename over it, a removal and a new one are told, each once it is quiet")
    func changes() async throws {
        try write("1")
        let count = Count()
        let watch = FileWatch([path], interval: Self.never) { count.add() }
        defer { watch.stop() }
        try write("22")
        try await eventually("a write is told") { count.now == 1 }
        try write("333", atomically: true)
        try await eventually("a rename is told") { count.now == 2 }
        try FileManager.default.removeItem(atPath: path)
        try await eventually("a removal is told") { count.now == 3 }
        try write("4444")
        try await eventually("a new file is told") { count.now == 4 }
    }

    @Test("Another file of the folder, and reading, are none of its business")
    func others() async throws {
        try write("1")
        let count = Count()
        let watch = FileWatch([path], interval: Self.never) { count.add() }
        defer { watch.stop() }
        try "x".write(toFile: folder + "/b.yml", atomically: true, encoding: .utf8)
        _ = try String(contentsOfFile: path, encoding: .utf8)
        try write("22")
        try await eventually("only the write is told") { count.now > 0 }
        #expect(count.now == 1)
    }

    @Test("Without notices the interval finds it; also in a folder that comes later")
    func polling() async throws {
        let count = Count()
        let late = folder + "/late/a.yml"
        let watch = FileWatch([late], interval: .milliseconds(50)) { count.add() }
        defer { watch.stop() }
        try FileManager.default.createDirectory(atPath: folder + "/late", withIntermediateDirectories: true)
        try "x".write(toFile: late, atomically: false, encoding: .utf8)
        try await eventually("it is found") { count.now > 0 }
    }
}

@Suite("Replacing somebody's file")
final class ReplaceFileTests {
    private let folder = NSTemporaryDirectory() + "framekeeper-replace-\(UUID().uuidString.prefix(8))"
    private var path: String { folder + "/a.yml" }

    init() throws { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: folder) }

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("Its mode stays, whatever the umask; a link stays a link; a new one is the owner's alone")
    func replace() throws {
        try AtomicFile.replace(Array("new".utf8), at: path)
        #expect(try mode(path) == 0o600)
        try FileManager.default.setAttributes([.posixPermissions: 0o666], ofItemAtPath: path)
        let link = folder + "/link.yml"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: path)
        try AtomicFile.replace(Array("newer".utf8), at: link)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "newer" && mode(path) == 0o666)
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link) == path)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["a.yml", "link.yml"])
    }
}
