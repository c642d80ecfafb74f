internal import Domain

/// What no file bears out is taken out of the ledger: rows and gaps that anyone may once have told it.
extension DiskScan {
    /// Before the files are looked at, so that a file whose row goes is read and enters as what it is. A row of a file
    /// that was deleted by hand is not concerned: its path and numbers are those of a segment.
    func dropImpossible(of camera: CameraID, _ report: inout ScanReport) throws(CodedError) {
        let rows = try store.segments(LedgerQuery(camera: camera))
        var dropped = rows.filter { $0.place == nil || !$0.isPossible }
        // The name of a file holds eight digits of its session; two that claim one file cannot both be right.
        let claims = Dictionary(grouping: rows) { $0.place?.completed }
        for (place, rivals) in claims where place != nil && rivals.count > 1 {
            let isKnown = rivals.contains { $0.knowledge == .inspected } || place.flatMap(disk.file) != nil
            if isKnown { dropped += rivals.filter { $0.knowledge != .inspected } }
        }
        report.dropped += dropped.map(\.path)
        try store.drop(dropped.map { ($0.session, $0.index) })
    }

    /// After the files were looked at: their numbers say where there is room for a gap.
    func mendGaps(of camera: CameraID, _ report: inout ScanReport) throws(CodedError) {
        let listed = try store.gaps(LedgerQuery(camera: camera))
        for (session, gaps) in Dictionary(grouping: listed, by: \.session).sorted(by: { $0.key < $1.key }) {
            let rows = try store.segments(LedgerQuery(session: session)).sorted { $0.index < $1.index }
            let moment = now()
            let forged = gaps.filter {
                !$0.isPossible || $0.isContradicted(by: rows) || $0.liesAhead(of: rows, now: moment)
            }
            try drop(forged, &report)
            try askFiles(rows, Set(gaps).subtracting(forged), isShaken: !forged.isEmpty, &report)
        }
    }

    private func drop(_ gaps: [GapRecord], _ report: inout ScanReport) throws(CodedError) {
        report.dropped += gaps.map { "gap in \($0.session.short) from \($0.from)" }
        try store.drop([], gaps: gaps)
    }

    /// Where more is listed as lost than numbers are skipped, and where a gap that went may have replaced a true one,
    /// the file after the hole knows.
    private func askFiles(
        _ rows: [SegmentRecord], _ gaps: Set<GapRecord>, isShaken: Bool, _ report: inout ScanReport
    ) throws(CodedError) {
        let gapsByNext = Dictionary(grouping: gaps) { $0.boundary(in: rows)?.next.index }
        for (last, next) in zip(rows, rows.dropFirst()) where next.index == last.index + 1 && next.state == .closed {
            guard let lastFrame = last.lastFrame, next.firstFrame > lastFrame &+ 1 else { continue }
            let here = gapsByNext[next.index] ?? []
            let lost = here.reduce(UInt64(0)) { $0.addingClamped(max($1.framesLost ?? 1, 1)) }
            guard lost > next.firstFrame - lastFrame - 1 || (here.isEmpty && isShaken) else { continue }
            guard let place = next.place, disk.file(at: place) != nil else { continue }
            report.opened += 1
            let found: InspectedFile
            do throws(CodedError) {
                found = try inspector.inspect(path: disk.absolute(place))
            } catch {
                // The look at the files has reported it, or the next one will.
                continue
            }
            guard found.manifest.session == next.session, let told = GapRecord(found.manifest) else { continue }
            try drop(here.filter { $0 != told }.sorted { $0.from < $1.from }, &report)
            try store.record(segments: [], gaps: [told], now: now())
        }
    }
}
