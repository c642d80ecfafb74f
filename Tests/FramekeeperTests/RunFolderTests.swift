import Domain
import Foundation
import TestSupport
import Testing

@testable import FramekeeperShell

@Suite("The notes of running children", .timeLimit(.minutes(1)))
struct RunFolderTests {
    @Test("A disk that hangs keeps nobody waiting, and no note is overtaken")
    func hangingDisk() async throws {
        let folder = try TestFolder()
        let taken = try RunFolder.take(stateDir: folder.path("state"))
        let run = try #require(taken)
        func isNoted(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(run.path)/\(name).pid") }
        // A pipe in place of the file aside: opening it waits for somebody who reads.
        let pipe = "\(run.path)/first.pid.\(getpid()).new"
        #expect(mkfifo(pipe, 0o600) == 0)
        run.note("first", pid: getpid()) { Issue.record("not noted: \($0)") }
        run.forget("first")
        run.note("second", pid: getpid()) { Issue.record("not noted: \($0)") }
        await run.settle(within: .milliseconds(50))
        #expect(!isNoted("second"))
        let reader = open(pipe, O_RDONLY)
        defer { close(reader) }
        await run.settle(within: .seconds(20))
        #expect(!isNoted("first") && isNoted("second"))
    }

    @Test("A note that cannot be written is told")
    func refusedNote() async throws {
        let folder = try TestFolder()
        let taken = try RunFolder.take(stateDir: folder.path("state"))
        let run = try #require(taken)
        try FileManager.default.createDirectory(atPath: "\(run.path)/child.pid", withIntermediateDirectories: false)
        await withCheckedContinuation { told in run.note("child", pid: getpid()) { _ in told.resume() } }
    }
}
