import Domain
import Foundation
import Ledger
import TestSupport
import Testing

@Suite("The history of cameras and nodes")
struct HistoryStoreTests {
    private let folder: TestFolder
    private let start = WallTime(milliseconds: 1_772_366_400_000)
    private let front = HistorySubject.camera(CameraID(unchecked: "front"))

    init() throws { folder = try TestFolder() }

    private func store() throws -> HistoryStore { try HistoryStore(folder: folder.path, now: start) }

    private func sample(_ seconds: Int, fps: Double, count: Int = 5, dropped: Double = 1) -> HistorySample {
        var sample = HistorySample(front, at: start + .seconds(seconds), count: count)
        sample.fps = fps
        sample.droppedFrames = dropped
        sample.partWriteSeconds = fps / 1000
        return sample
    }

    private func read(_ store: HistoryStore, _ step: HistoryStep) throws -> [HistorySample] {
        try store.samples(of: front, step: step, from: start - .seconds(7200), to: start + .seconds(7200))
    }

    @Test("A sample of 10 s is in its minute and its hour, and parts told later are added")
    func resolutions() throws {
        let store = try store()
        try store.add((0..<6).map { sample($0 * 10, fps: Double(10 + $0)) })
        try store.add([sample(60, fps: 30)])
        #expect(try read(store, .tenSeconds).map(\.fps) == [10, 11, 12, 13, 14, 15, 30])
        let minutes = try read(store, .minute)
        #expect(minutes.map(\.at) == [start, start + .seconds(60)])
        #expect(minutes.map(\.fps) == [12.5, 30] && minutes.map(\.droppedFrames) == [6, 1])
        #expect(minutes.map(\.count) == [30, 5] && minutes.first?.partWriteSeconds == 0.015)
        let hour = try #require(try read(store, .hour).first)
        #expect(hour.fps == 15 && hour.droppedFrames == 7 && hour.count == 35)
    }

    @Test("The middle of an hour may be a restart")
    func restart() throws {
        let first = try store()
        try first.add([sample(0, fps: 10)])
        try first.close()
        let second = try store()
        #expect(second.origin == .existing)
        try second.add([sample(10, fps: 20)])
        #expect(try read(second, .hour).map(\.fps) == [15])
    }

    @Test("Each resolution is forgotten at its time, and who has no sample left too")
    func pruning() throws {
        let store = try store()
        try store.add([sample(0, fps: 10)])
        try store.prune(at: start + .seconds(86_400))
        #expect(try read(store, .tenSeconds).count == 1)
        try store.prune(at: start + .seconds(86_411))
        #expect(try read(store, .tenSeconds).isEmpty && read(store, .minute).count == 1)
        try store.prune(at: start + .seconds(31 * 86_400))
        #expect(try read(store, .minute).isEmpty && read(store, .hour).count == 1)
        try store.prune(at: start + .seconds(731 * 86_400))
        #expect(try read(store, .hour).isEmpty)
        try store.add([sample(0, fps: 3)])
        #expect(try read(store, .hour).map(\.fps) == [3])
    }

    @Test("Who has no sample left is found by the key, not by reading every sample for each subject")
    func plan() async throws {
        let store = try store()
        try store.add([sample(0, fps: 10)])
        try store.close()
        let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
        let question = "EXPLAIN QUERY PLAN " + HistoryStore.forgetSubjects
        let file = "\(folder.path)/\(HistoryStore.fileName)"
        let plan = try await Tool.run("python3", ["-c", script, file, question], within: .seconds(20))
        #expect(plan.contains("SEARCH sample USING PRIMARY KEY (step=? AND subject=?)"), "\(plan)")
        #expect(!plan.contains("SCAN sample"))
    }

    @Test("A damaged file is moved aside and begun anew")
    func damage() throws {
        let path = "\(folder.path)/\(HistoryStore.fileName)"
        try String(repeating: "no database ", count: 400).write(toFile: path, atomically: true, encoding: .utf8)
        let store = try store()
        guard case .replaced(let damaged) = store.origin else {
            Issue.record("taken for good")
            return
        }
        #expect(FileManager.default.fileExists(atPath: damaged))
        try store.add([sample(0, fps: 3)])
        #expect(try read(store, .tenSeconds).count == 1)
    }

    @Test("Merging is the same in every order", arguments: UInt64(0)..<20)
    func order(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var parts = (0..<5).map { _ in
            sample(
                0, fps: random.unit() * 60, count: random.int(in: 1...9),
                dropped: Double(random.int(in: 0...3)))
        }
        let whole = merged(parts)
        parts.shuffle(using: &random)
        let other = merged(parts)
        #expect(abs((whole.fps ?? 0) - (other.fps ?? 1)) < 1e-9)
        #expect(whole.count == other.count && whole.droppedFrames == other.droppedFrames)
        #expect(whole.partWriteSeconds == other.partWriteSeconds)
    }

    private func merged(_ parts: [HistorySample]) -> HistorySample {
        parts.dropFirst().reduce(parts[0]) { $0.merged(with: $1) }
    }
}
