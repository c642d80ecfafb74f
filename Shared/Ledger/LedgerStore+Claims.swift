package import Domain
internal import GRDB

/// What events tell, taken only as far as the disk bears it out: a forged event must not make retention delete, nor
/// cost a row that is true.
extension LedgerStore {
    /// Adds what an event tells of a segment. A file that contradicts it is read, once; after that its own word stands.
    package func take(
        _ told: SegmentRecord, inspector: any SegmentInspecting, now: WallTime
    ) throws(CodedError) -> ClaimOutcome {
        guard let place = told.place, told.isPossible else { return .refused("not a segment of this camera") }
        let (known, rivals) = try read { db in
            (try Self.segment(told.session, told.index, in: db), try Self.rivals(of: told, in: db))
        }
        if let known, known.state == .deleted || known.knowledge == .inspected {
            guard told.agrees(with: known) || told.knowledge == .opened else {
                return .refused("contradicts what is known of the file")
            }
            // An old `opened` has nothing to add.
            if told.knowledge == .closed { try record(segments: [told], now: now) }
            return .recorded
        }
        let disk = StorageDisk(storage: storage)
        switch told.knowledge {
        case .opened:
            guard disk.file(at: place) != nil || disk.file(at: place.completed) != nil else {
                return .refused("there is no such file")
            }
            guard rivals.isEmpty, known.map({ told.isSameOpening(as: $0) }) ?? true else {
                return .refused("contradicts what is known of the file")
            }
        case .closed, .inspected:
            guard let file = disk.file(at: place) else { return try takeMissing(told, place, known, disk, now: now) }
            let agrees = known.map { $0.knowledge == .opened ? told.isSameOpening(as: $0) : told.agrees(with: $0) }
            guard file.bytes == told.bytes, rivals.isEmpty, agrees ?? true else {
                return try inspect(told, place, inspector, now: now)
            }
        }
        try record(segments: [told], now: now)
        return .recorded
    }

    /// Gaps that are taken before the files that bear them out are known: of a session with files, and of all sessions
    /// without any of a camera. The event of a gap may come before that of the file behind it, and many may wait for a
    /// ledger that failed.
    package static let gapsAheadMax = 1000

    /// Adds what an event tells of a gap, unless the session's files leave no room for it, or it lies in the future.
    package func take(_ told: GapRecord, now: WallTime) throws(CodedError) -> ClaimOutcome {
        let rows = try segments(LedgerQuery(session: told.session)).sorted { $0.index < $1.index }
        guard told.isPossible, !told.isContradicted(by: rows) else {
            return .refused("the session's files leave no room for it")
        }
        guard !told.liesAhead(of: rows, now: now) else { return .refused("it lies in the future") }
        guard try hasRoom(for: told, rows) else { return .refused("more gaps than files that bear them out") }
        try record(segments: [], gaps: [told], now: now)
        return .recorded
    }

    /// A gap ends a file, so a session's gaps since its first file are no more than its files; each beginning is told
    /// once. Without a bound anyone on the bus could make the ledger grow for ever.
    private func hasRoom(for told: GapRecord, _ rows: [SegmentRecord]) throws(CodedError) -> Bool {
        try read { db in
            let isKnown = try Bool.fetchOne(
                db, sql: "SELECT EXISTS (SELECT 1 FROM gap WHERE session = ? AND from_ms = ?)",
                arguments: [told.session.rawValue, told.from.milliseconds])
            if isKnown == true { return true }
            let count: Int?
            if let first = rows.map(\.startedAt).min() {
                count = try Int.fetchOne(
                    db, sql: "SELECT COUNT(*) FROM gap WHERE session = ? AND to_ms >= ?",
                    arguments: [told.session.rawValue, first.milliseconds])
            } else {
                count = try Int.fetchOne(
                    db,
                    sql: """
                        SELECT COUNT(*) FROM gap WHERE camera = ?
                        AND NOT EXISTS (SELECT 1 FROM segment WHERE session = gap.session)
                        """, arguments: [told.camera.rawValue])
            }
            return count ?? 0 < rows.count + Self.gapsAheadMax
        }
    }

    /// A segment that is known to have begun, and of which neither file is there, is known to have ended without one.
    private func takeMissing(
        _ told: SegmentRecord, _ place: SegmentPath, _ known: SegmentRecord?, _ disk: StorageDisk, now: WallTime
    ) throws(CodedError) -> ClaimOutcome {
        var partial = place
        partial.isPartial = true
        guard let known, known.knowledge == .opened, told.isSameOpening(as: known), disk.file(at: partial) == nil else {
            return .refused("there is no such file")
        }
        try record(segments: [told], now: now)
        try mark([(told.session, told.index)], .missing, now: now)
        return .recorded
    }

    private func inspect(
        _ told: SegmentRecord, _ place: SegmentPath, _ inspector: any SegmentInspecting, now: WallTime
    ) throws(CodedError) -> ClaimOutcome {
        let found: InspectedFile
        do throws(CodedError) {
            found = try inspector.inspect(path: StorageDisk(storage: storage).absolute(place))
        } catch {
            return .refused("its file cannot be read")
        }
        guard found.manifest.path.completed == place else { return .refused("its file is another segment's") }
        let own = SegmentRecord(found, path: place.relativePath, isRecovered: false)
        try record(segments: [own], gaps: GapRecord(found.manifest).map { [$0] } ?? [], now: now)
        return .inspected
    }

    /// Other segments that claim the same file: the name holds only eight digits of the session.
    private static func rivals(of told: SegmentRecord, in db: Database) throws -> [SegmentRecord] {
        try Row.fetchAll(
            db,
            sql: """
                SELECT \(SegmentRecord.columns) FROM segment
                WHERE camera = ? AND started_ms = ? AND idx = ? AND session <> ? AND substr(session, 1, 8) = ?
                """,
            arguments: [
                told.camera.rawValue, told.startedAt.milliseconds, told.index, told.session.rawValue,
                told.session.short,
            ]
        ).map(SegmentRecord.init)
    }
}

extension SegmentRecord {
    /// Whether both tell of the same beginning.
    fileprivate func isSameOpening(as other: SegmentRecord) -> Bool {
        camera == other.camera && node == other.node && startedAt == other.startedAt && firstFrame == other.firstFrame
    }
}
