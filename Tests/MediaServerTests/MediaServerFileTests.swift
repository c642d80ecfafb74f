import ClusterConfig
import Domain
import Foundation
import MediaServer
import Synchronization
import TestSupport
import Testing

/// The server's own file on a real disk.
struct MediaServerFileTests {
    private let folder: TestFolder
    private var file: MediaServerFile { MediaServerFile(path: folder.path("mediamtx.yml"), node: Samples.node) }

    init() throws {
        folder = try TestFolder()
        try folder.write([UInt8]("# mine\napi: yes\npaths:\n  cam:\n"), to: "mediamtx.yml")
    }

    private func attributes(_ name: String) throws -> [FileAttributeKey: Any] {
        try FileManager.default.attributesOfItem(atPath: folder.path(name))
    }

    @Test func writesOnceAndKeepsTheOriginalBesideIt() throws {
        let original = try folder.bytes("mediamtx.yml")
        chmod(folder.path("mediamtx.yml"), 0o640)
        let report = try file.update([try Samples.path("front")])
        #expect(report.isWritten)
        #expect(report.backup == folder.path("mediamtx.yml.framekeeper-backup"))
        #expect(try folder.bytes("mediamtx.yml.framekeeper-backup") == original)
        #expect(try attributes("mediamtx.yml")[.posixPermissions] as? Int == 0o640)
        #expect(try attributes("mediamtx.yml.framekeeper-backup")[.posixPermissions] as? Int == 0o640)
        let again = try file.update([try Samples.path("front")])
        #expect(!again.isWritten)
        #expect(again.backup == nil)
        // Another edit of ours is no new original; one of its author's is.
        #expect(try file.update([try Samples.path("yard")]).backup == nil)
        try folder.write(try folder.bytes("mediamtx.yml") + [UInt8]("logLevel: info\n"), to: "mediamtx.yml")
        let newer = try file.update([try Samples.path("front")])
        #expect(newer.backup == folder.path("mediamtx.yml.framekeeper-backup-2"))
        #expect(try folder.bytes("mediamtx.yml.framekeeper-backup") == original)
        // Aside files are gone.
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(!names.contains { $0.hasSuffix(".new") })
    }

    /// Its mode is its owner's affair, and stays; that a password stands there is said.
    @Test func aPasswordThatOthersMayReadIsSaid() throws {
        let camera = try Samples.camera("door", source: "rtsp://viewer:geheim@10.0.0.9/live", ingest: .mediaServer)
        let door = try #require(PathSettings(camera, fleet: Samples.fleet()))
        for (mode, isShown) in [(0o644, true), (0o640, true), (0o600, false)] as [(mode_t, Bool)] {
            chmod(folder.path("mediamtx.yml"), mode)
            #expect(try file.update([door], rereads: true).showsLogin == isShown)
            #expect(try attributes("mediamtx.yml")[.posixPermissions] as? Int == Int(mode))
        }
        chmod(folder.path("mediamtx.yml"), 0o644)
        #expect(try !file.update([door]).showsLogin, "nothing was written")
        #expect(try !file.update([door, try Samples.path("front")], refused: ["door"]).showsLogin)
        #expect(try !file.update([try Samples.path("front")]).showsLogin)
    }

    /// The server does not look at a second write within a second of a reload.
    @Test func neverWritesSoonAfterAnybodyElse() throws {
        for name in ["front", "yard"] {
            let before = try changedAt()
            #expect(try file.update([try Samples.path(name)]).isWritten)
            #expect(try changedAt() - before >= 1.29)
        }
    }

    private func changedAt() throws -> Double {
        var status = stat()
        guard stat(folder.path("mediamtx.yml"), &status) == 0 else { throw Samples.Missing() }
        return Double(status.st_ctim.tv_sec) + Double(status.st_ctim.tv_nsec) / 1e9
    }

    @Test func aSymbolicLinkStaysOne() throws {
        rename(folder.path("mediamtx.yml"), folder.path("real.yml"))
        symlink("real.yml", folder.path("mediamtx.yml"))
        #expect(try file.update([try Samples.path("front")]).isWritten)
        #expect(try attributes("mediamtx.yml")[.type] as? FileAttributeType == .typeSymbolicLink)
        #expect(try folder.bytes("real.yml").text.contains("front"))
    }

    @Test func whatCannotBeEditedStaysAsItIs() throws {
        try folder.write([UInt8]("api: yes\npaths:\n  cam: 5\n"), to: "mediamtx.yml")
        let before = try changedAt()
        let error = #expect(throws: CodedError.self) { try file.update([try Samples.path("front")]) }
        #expect(error?.code == .conflict)
        #expect(error?.message.contains("paths.cam") == true)
        #expect(try changedAt() == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["mediamtx.yml"])
    }

    @Test func aMissingFileIsSaidAndNotMade() throws {
        try folder.remove("mediamtx.yml")
        let error = #expect(throws: CodedError.self) { try file.update([try Samples.path("front")]) }
        #expect(error?.message.contains("no such file") == true)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
        mkdir(folder.path("mediamtx.yml"), 0o755)
        #expect(throws: CodedError.self) { try file.update([try Samples.path("front")]) }
        rmdir(folder.path("mediamtx.yml"))
    }

    /// The server ends when it reads half a file, and it reads within milliseconds.
    @Test func whoeverReadsMeanwhileSeesAWholeFile() throws {
        let reader = KeenReader(folder.path("mediamtx.yml"))
        var written: Set<Data> = [Data(try folder.bytes("mediamtx.yml"))]
        for names in [["front"], ["front", "yard"]] {
            _ = try file.update(try names.map { try Samples.path($0) })
            written.insert(Data(try folder.bytes("mediamtx.yml")))
        }
        let seen = reader.stop()
        #expect(seen.isSubset(of: written))
        #expect(seen.count > 1)
    }
}

/// Reads a file all the time, on a thread of its own.
private final class KeenReader: Sendable {
    private struct State {
        var seen: Set<Data> = []
        var isStopped = false
    }

    private let state = Mutex(State())

    init(_ path: String) {
        let thread = Thread { [self] in
            while !state.withLock({ $0.isStopped }) {
                guard let whole = FileManager.default.contents(atPath: path) else { continue }
                state.withLock { _ = $0.seen.insert(whole) }
            }
        }
        thread.start()
    }

    func stop() -> Set<Data> {
        state.withLock { state in
            state.isStopped = true
            return state.seen
        }
    }
}
