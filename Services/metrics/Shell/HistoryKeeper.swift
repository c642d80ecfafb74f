internal import Domain
internal import Ledger
internal import Logging
internal import MetricsCore
internal import ServiceKit
internal import Synchronization

/// Writes what the Core keeps into the history, in batches, and reads it for who asks. Owns the database.
///
/// A disk that is full or gone costs the history and nothing else: samples wait, bounded, and the next batch tries
/// again. Calls block.
final class HistoryKeeper: Sendable {
    /// Between two batches: a crash costs the samples of so long.
    static let batchSeconds = 60
    static let pruneInterval: Duration = .seconds(3600)

    private struct State {
        var store: HistoryStore?
        var prunedAt: MonotonicTime?
    }

    private let state = Mutex(State())
    private let folder: String
    private let board: MetricsBoard
    private let logger: Logger

    init(stateDir: String, board: MetricsBoard, logger: Logger) {
        folder = "\(stateDir)/metrics"
        self.board = board
        self.logger = logger
    }

    /// Writes what waits.
    func flush() {
        let samples = board.takeSamples()
        do throws(CodedError) {
            let store = try opened()
            if !samples.isEmpty {
                try store.add(samples)
                board.take(.measured(.historyWritten(samples: samples.count)))
            }
        } catch {
            // One transaction: what threw has written nothing.
            board.putBack(samples)
            board.take(.measured(.historyFailed))
            return failed("the history cannot be written", error)
        }
        do throws(CodedError) { try prune() } catch { failed("the history cannot be pruned", error) }
    }

    private func failed(_ what: String, _ error: CodedError) {
        logger.error("\(what)", metadata: ["reason": "\(error)"])
        // A file that was damaged meanwhile is moved aside when it is opened again. For want of room nothing is.
        if error.code != .storageFull { state.withLock { $0.store = nil } }
    }

    /// As JSON: columns of the same length, nil where nothing was measured.
    func document(
        _ subject: HistorySubject, _ query: HistoryQuery, at now: WallTime
    ) throws(CodedError) -> String {
        let to = query.to ?? now
        // As much as its resolution shows well, if nobody says otherwise.
        let from = query.from ?? to - .seconds(query.step.rawValue * 360)
        flush()
        let samples = try opened().samples(of: subject, step: query.step, from: from, to: to)
        var document = JSONText()
        document.add("subject", subject.text)
        document.add("step_seconds", query.step.rawValue)
        document.add("at", raw: JSONText.list(samples.map { JSONText.quoted($0.at.rfc3339) }))
        for (name, value) in Self.columns {
            document.add(name, raw: JSONText.list(samples.map { value($0).map(JSONText.number) ?? "null" }))
        }
        return document.closed
    }

    private static let columns: [(String, @Sendable (HistorySample) -> Double?)] = [
        ("fps", { $0.fps }), ("bitrate_bps", { $0.bitrateBps }), ("part_write_seconds", { $0.partWriteSeconds }),
        ("dropped_frames", { $0.droppedFrames }), ("recording_seconds", { $0.recordingSeconds }),
        ("free_bytes", { $0.freeBytes }), ("used_bytes", { $0.usedBytes }),
        ("bus_roundtrip_seconds", { $0.busRoundtripSeconds }),
    ]

    private func opened() throws(CodedError) -> HistoryStore {
        if let store = state.withLock({ $0.store }) { return store }
        try AtomicFile.createFolder(folder, mode: 0o700)
        let store = try HistoryStore(folder: folder, now: ServiceClock.now().wall)
        if case .replaced(let damaged) = store.origin {
            logger.error("the history was damaged; a new one begins", metadata: ["kept": "\(damaged)"])
        }
        // Another thread may have been faster; SQLite lets both live, and one of them goes.
        return state.withLock { state in
            if let other = state.store { return other }
            state.store = store
            return store
        }
    }

    private func prune() throws(CodedError) {
        let now = ServiceClock.now()
        let isDue = state.withLock { state in
            state.prunedAt.map { now.monotonic - $0 >= Self.pruneInterval } ?? true
        }
        guard isDue else { return }
        try opened().prune(at: now.wall)
        state.withLock { $0.prunedAt = now.monotonic }
    }
}
