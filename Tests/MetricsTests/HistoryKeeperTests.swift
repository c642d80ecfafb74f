import ClusterConfig
import Domain
import Ledger
import Logging
import ServiceKit
import TestSupport
import Testing

@testable import MetricsCore
@testable import MetricsShell

@Suite("What is written to the history", .timeLimit(.minutes(1)))
struct HistoryKeeperTests {
    private let folder: TestFolder
    private let board: MetricsBoard
    private let now = ServiceClock.now().wall
    private let front = HistorySubject.camera(CameraID(unchecked: "front"))

    init() throws {
        folder = try TestFolder()
        board = MetricsBoard(
            MetricsCore(node: NodeID(unchecked: "attic"), cameras: [], version: "1", at: ServiceClock.now()))
        try AtomicFile.createFolder(folder.path("metrics"))
        try HistoryStore(folder: folder.path("metrics"), now: now).close()
    }

    private var keeper: HistoryKeeper {
        HistoryKeeper(
            stateDir: folder.path(""), board: board,
            logger: Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) })
    }

    private func sample(_ ago: Duration) -> HistorySample {
        var sample = HistorySample(front, at: HistoryStep.tenSeconds.start(of: now - ago), count: 1)
        sample.droppedFrames = 4
        return sample
    }

    private func run(_ statement: String) async throws {
        let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])"
        let file = folder.path("metrics/\(HistoryStore.fileName)")
        _ = try await Tool.run("python3", ["-c", script, file, statement], within: .seconds(20))
    }

    private func stored(_ step: HistoryStep, since ago: Duration) throws -> [HistorySample] {
        let store = try HistoryStore(folder: folder.path("metrics"), now: now)
        defer { try? store.close() }
        return try store.samples(of: front, step: step, from: now - ago, to: now + .seconds(1))
    }

    @Test("What cannot be pruned is tried again, and what was written with it is written once")
    func prune() async throws {
        let years = Duration.seconds(3 * 366 * 86400)
        try await run("CREATE TRIGGER kept BEFORE DELETE ON sample BEGIN SELECT RAISE(ABORT, 'not now'); END")
        board.putBack([sample(years), sample(.seconds(60))])
        let keeper = keeper
        for _ in 0..<3 { keeper.flush() }
        #expect(try stored(.tenSeconds, since: .seconds(120)).map(\.droppedFrames) == [4])
        #expect(try stored(.hour, since: years + .seconds(86400)).count == 2)
        try await run("DROP TRIGGER kept")
        keeper.flush()
        #expect(try stored(.hour, since: years + .seconds(86400)).count == 1)
    }

    @Test("What cannot be written waits for the next batch")
    func add() async throws {
        try await run("CREATE TRIGGER full BEFORE INSERT ON sample BEGIN SELECT RAISE(ABORT, 'not now'); END")
        board.putBack([sample(.seconds(60))])
        let keeper = keeper
        keeper.flush()
        #expect(try stored(.tenSeconds, since: .seconds(120)).isEmpty)
        try await run("DROP TRIGGER full")
        keeper.flush()
        #expect(try stored(.tenSeconds, since: .seconds(120)).map(\.droppedFrames) == [4])
    }
}
