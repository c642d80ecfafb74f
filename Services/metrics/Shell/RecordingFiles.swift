internal import ClusterConfig
internal import Domain
internal import Ledger
internal import MetricsCore
internal import ServiceKit

/// The recordings of this node, by what its ledgers say: nothing is opened that a ledger does not name, and no text of
/// a request ever becomes a path.
///
/// A ledger is opened for each question and closed after it: the rotation-service may put another file in its place at
/// any time. Calls block.
struct RecordingFiles: Sendable {
    /// Absolute storage folders, the node's own first.
    let folders: [String]

    init(_ configuration: ClusterConfiguration) {
        var folders = [configuration.storage.path]
        for camera in configuration.ownCameras where !folders.contains(camera.storage.path) {
            folders.append(camera.storage.path)
        }
        self.folders = folders
    }

    init(folders: [String]) { self.folders = folders }

    /// As JSON, in the order of time.
    func recordings(_ query: RecordingsQuery) throws(CodedError) -> String {
        let found = try collect(query) { ledger, query throws(CodedError) in try ledger.segments(query) }
            .sorted { ($0.startedAt, $0.index) < ($1.startedAt, $1.index) }
        return page("recordings", found, query.limit) { $0.text }
    }

    func gaps(_ query: RecordingsQuery) throws(CodedError) -> String {
        let found = try collect(query) { ledger, query throws(CodedError) in try ledger.gaps(query) }
            .sorted { $0.from < $1.from }
        return page("gaps", found, query.limit) { $0.text }
    }

    /// `more`: there is more behind the last one; ask again from its beginning.
    private func page<Row>(_ key: String, _ rows: [Row], _ limit: Int, _ text: (Row) -> String) -> String {
        var document = JSONText()
        document.add(key, raw: JSONText.list(rows.prefix(limit).map(text)))
        document.add("more", rows.count > limit)
        return document.closed
    }

    private func collect<Row>(
        _ query: RecordingsQuery, _ read: (LedgerStore, LedgerQuery) throws(CodedError) -> [Row]
    ) throws(CodedError) -> [Row] {
        let asked = LedgerQuery(
            camera: query.camera, session: query.session, from: query.from, to: query.to, limit: query.limit + 1)
        var rows: [Row] = []
        for folder in folders {
            rows += try withLedger(folder) { ledger throws(CodedError) in try read(ledger, asked) } ?? []
        }
        return rows
    }

    enum Found {
        case file(ServedFile, isOpen: Bool)
        /// Deleted by retention, or missing.
        case gone
        case unknown
    }

    /// The file of `<session>_<index>`.
    func file(_ id: String) throws(CodedError) -> Found {
        let parts = id.split(separator: "_", maxSplits: 1)
        guard parts.count == 2, let session = SessionID(rawValue: String(parts[0])), parts[1].utf8.count <= 9,
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let index = Int(parts[1])
        else { return .unknown }
        for folder in folders {
            let found = try withLedger(folder) { ledger throws(CodedError) in
                try ledger.segment(session, index: index)
            }
            guard let segment = found ?? nil else { continue }
            // The ledger's path is checked again: the folder is written by others too.
            guard let path = SegmentPath(relativePath: segment.path), segment.state != .deleted else { return .gone }
            if let file = ServedFile(path: "\(folder)/\(path.relativePath)") {
                return .file(file, isOpen: path.isPartial)
            }
            // It was completed since the ledger was read.
            if path.isPartial, let file = ServedFile(path: "\(folder)/\(path.completed.relativePath)") {
                return .file(file, isOpen: false)
            }
            return .gone
        }
        return .unknown
    }

    /// Nil where there is no ledger yet.
    private func withLedger<Value>(
        _ folder: String, _ body: (LedgerStore) throws(CodedError) -> Value
    ) throws(CodedError) -> Value? {
        let ledger: LedgerStore
        do throws(CodedError) {
            ledger = try LedgerStore(storage: folder, access: .reader, now: ServiceClock.now().wall)
        } catch  where error.code == .notReady {
            return nil
        }
        let value = try body(ledger)
        // Its file goes with the object at the latest.
        try? ledger.close()
        return value
    }
}

extension SegmentRecord {
    /// As the HTTP interface shows it.
    fileprivate var text: String {
        var document = JSONText()
        let id = "\(session)_\(index)"
        document.add("id", id)
        document.add("camera", camera.rawValue)
        document.add("node", node.rawValue)
        document.add("session", session.rawValue)
        document.add("index", index)
        document.add("state", state.rawValue)
        document.add("started_at", startedAt.rfc3339)
        if let endedAt { document.add("ended_at", endedAt.rfc3339) }
        if let duration { document.add("duration_seconds", duration.publishedSeconds) }
        if let frames { document.add("frames", frames) }
        if let bytes { document.add("bytes", Int(bytes)) }
        if let offsetSeconds { document.add("offset_seconds", offsetSeconds) }
        if let reason { document.add("reason", reason.rawValue) }
        if state == .open || state == .closed { document.add("url", "/recordings/\(id).mp4") }
        return document.closed
    }
}

extension GapRecord {
    fileprivate var text: String {
        var document = JSONText()
        document.add("camera", camera.rawValue)
        document.add("session", session.rawValue)
        document.add("from", from.rfc3339)
        document.add("to", to.rfc3339)
        document.add("seconds", duration.publishedSeconds)
        document.add("cause", cause.rawValue)
        if let framesLost { document.add("frames_lost", framesLost) }
        return document.closed
    }
}
