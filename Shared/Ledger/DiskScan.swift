package import Domain

/// Compares the files of a storage folder with its ledger and mends what differs: the one repair, run by the
/// rotation-service and by the command line.
///
/// Invariants: no file is deleted here and none is moved, but for partials that `SegmentInspecting` finishes; a file
/// that cannot be read is reported and left. A row that no file can bear out is dropped. What is known, complete and
/// of the same size is not opened, but for the first segment after a hole in the numbers, once. Running it twice
/// changes nothing more; interrupted, it can begin again. Blocks for as long as it reads. When to scan does not belong
/// here.
package struct DiskScan: Sendable {
    /// A partial file that was written to so recently may have a worker that has not locked it yet.
    package static let partialAgeMin: Duration = .seconds(5)
    /// Rows per transaction.
    static let batchMax = 200

    let store: LedgerStore
    let inspector: any SegmentInspecting
    let disk: StorageDisk
    let now: @Sendable () -> WallTime

    package init(store: LedgerStore, inspector: any SegmentInspecting, now: @escaping @Sendable () -> WallTime) {
        self.store = store
        self.inspector = inspector
        self.now = now
        disk = StorageDisk(storage: store.storage)
    }

    /// - Parameter camera: nil for all, also those that are no longer configured.
    /// - Parameter progress: called after each day's folder with the part that is done, 0 to 1.
    /// - Throws: if the storage folder or the ledger fails; a fault of one file or folder is in the report.
    package func run(
        camera: CameraID? = nil, progress: (Double) -> Void = { _ in }
    ) throws(CodedError) -> ScanReport {
        var report = ScanReport()
        let present = try disk.cameras()
        let known = try store.cameras()
        let cameras = camera.map { [$0] } ?? Set(present + known).sorted()
        let unreadable = try store.unreadable()
        for (number, camera) in cameras.enumerated() {
            try dropImpossible(of: camera, &report)
            var pass = Pass(unreadable: unreadable, known: try store.closedBytes(of: camera))
            try scan(camera, &pass, &report) { progress((Double(number) + $0) / Double(cameras.count)) }
            try mendGaps(of: camera, &report)
        }
        return report
    }

    /// What is carried through the folders of one camera.
    private struct Pass {
        var unreadable: [String: Int64]
        /// Sizes of complete files by path.
        var known: [String: Int64]
        var seen: Set<String> = []
        /// Partial files that this scan found without a whole frame.
        var empty: Set<String> = []
        var segments: [SegmentRecord] = []
        var gaps: [GapRecord] = []
    }

    private func scan(
        _ camera: CameraID, _ pass: inout Pass, _ report: inout ScanReport, progress: (Double) -> Void
    ) throws(CodedError) {
        let dates: [String]
        do throws(CodedError) {
            dates = try disk.dates(of: camera)
        } catch {
            // Nothing is known about its files, so none of them is missing.
            report.quarantined.append(.init(path: camera.rawValue, reason: "\(error)"))
            return
        }
        for (number, date) in dates.enumerated() {
            defer { progress(Double(number + 1) / Double(dates.count)) }
            let listing: StorageDisk.Listing
            do throws(CodedError) {
                listing = try disk.listing(of: camera, date: date)
            } catch {
                report.quarantined.append(.init(path: "\(camera)/\(date)", reason: "\(error)"))
                // Its files are not missing because the folder cannot be read.
                pass.seen.formUnion(try store.paths(of: camera, date: date))
                continue
            }
            report.foreign += listing.foreign
            for file in listing.files.sorted(by: { $0.path.relativePath < $1.path.relativePath }) {
                try look(at: file, &pass, &report)
                if pass.segments.count >= Self.batchMax { try write(&pass) }
            }
        }
        try write(&pass)
        try settleUnseen(of: camera, &pass, &report)
        try write(&pass)
    }

    private func write(_ pass: inout Pass) throws(CodedError) {
        guard !pass.segments.isEmpty || !pass.gaps.isEmpty else { return }
        try store.record(segments: pass.segments, gaps: pass.gaps, now: now())
        pass.segments = []
        pass.gaps = []
    }

    // MARK: One file

    private func look(
        at file: StorageDisk.File, _ pass: inout Pass, _ report: inout ScanReport
    ) throws(CodedError) {
        let path = file.path.relativePath
        pass.seen.insert(path)
        if pass.unreadable[path] == file.bytes {
            report.quarantined.append(.init(path: path, reason: try store.unreadableReason(path) ?? "unreadable"))
        } else if file.path.isPartial {
            try finish(file, &pass, &report)
        } else {
            report.segments += 1
            guard pass.known[path] != file.bytes else { return }
            if try take(file, isRecovered: false, &pass, &report) { report.imported.append(path) }
        }
    }

    private func finish(
        _ file: StorageDisk.File, _ pass: inout Pass, _ report: inout ScanReport
    ) throws(CodedError) {
        let age = now() - file.modifiedAt
        guard age >= Self.partialAgeMin || age < .zero - Self.partialAgeMin else {
            report.open += 1
            return
        }
        do throws(CodedError) {
            switch try inspector.recover(partial: disk.absolute(file.path)) {
            case .busy: report.open += 1
            case .empty:
                report.empty += 1
                pass.seen.remove(file.path.relativePath)
                pass.empty.insert(file.path.relativePath)
            case .finished:
                report.opened += 1
                guard let complete = disk.file(at: file.path.completed) else { return }
                pass.seen.insert(complete.path.relativePath)
                report.segments += 1
                if try take(complete, isRecovered: true, &pass, &report) {
                    report.recovered.append(complete.path.relativePath)
                }
            }
        } catch  where error.code != .storageFull {
            try quarantine(file, error.description, &report)
        }
    }

    /// - Returns: whether the file's facts were taken over.
    private func take(
        _ file: StorageDisk.File, isRecovered: Bool, _ pass: inout Pass, _ report: inout ScanReport
    ) throws(CodedError) -> Bool {
        report.opened += 1
        let inspected: InspectedFile
        do throws(CodedError) {
            inspected = try inspector.inspect(path: disk.absolute(file.path))
        } catch {
            try quarantine(file, error.description, &report)
            return false
        }
        // A copy under another name would claim the original's place in the ledger.
        guard inspected.manifest.path.completed == file.path else {
            try quarantine(file, "its manifest belongs to \(inspected.manifest.path.completed)", &report)
            return false
        }
        pass.segments.append(
            SegmentRecord(inspected, path: file.path.relativePath, isRecovered: isRecovered))
        if let gap = GapRecord(inspected.manifest) { pass.gaps.append(gap) }
        return true
    }

    private func quarantine(
        _ file: StorageDisk.File, _ reason: String, _ report: inout ScanReport
    ) throws(CodedError) {
        let path = file.path.relativePath
        report.quarantined.append(.init(path: path, reason: reason))
        try store.recordUnreadable(path: path, bytes: file.bytes, reason: reason)
    }

    // MARK: Rows without a file

    /// A row names the partial file while its `closed` has not come, so the finished name is looked for too. The disk
    /// is asked again for each row: its file may have come after the listing.
    private func settleUnseen(
        of camera: CameraID, _ pass: inout Pass, _ report: inout ScanReport
    ) throws(CodedError) {
        var gone: [(session: SessionID, index: Int)] = []
        var never: [(session: SessionID, index: Int)] = []
        for row in try store.segments(LedgerQuery(camera: camera, states: [.open, .closed])) {
            guard !pass.seen.contains(row.path) else { continue }
            guard let path = row.place else { continue }
            if disk.file(at: path) != nil || pass.seen.contains(path.completed.relativePath) { continue }
            if path.isPartial, let complete = disk.file(at: path.completed) {
                _ = try take(complete, isRecovered: false, &pass, &report)
                continue
            }
            // Begun, never ended, and no trace of a file: nothing can be missed of it.
            if row.knowledge == .opened, !pass.empty.contains(row.path) {
                never.append((row.session, row.index))
                report.dropped.append(row.path)
                continue
            }
            gone.append((row.session, row.index))
            report.missing.append(row.path)
        }
        try store.mark(gone, .missing, now: now())
        try store.drop(never)
        let lost = pass.unreadable.keys.filter { path in
            SegmentPath(relativePath: path).map { $0.camera == camera && disk.file(at: $0) == nil } ?? true
        }
        if !lost.isEmpty { try store.forgetUnreadable(paths: lost) }
    }
}
