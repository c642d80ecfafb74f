internal import Dispatch
internal import Domain
internal import Ledger
internal import Logging
internal import RotationServiceCore
internal import ServiceKit
internal import Synchronization

/// One storage folder with its ledger: performs what the Core decides about it.
///
/// Owns the folder's `.ledger.lock`, the ledger, and two queues: one for what is short (opening the ledger, writing
/// rows, counting, deleting), one for scans, which may read for minutes. Invariants: the ledger is opened and closed on
/// the short queue alone, and no lock is held while the disk is waited for; rows are written in the order of the calls;
/// a ledger that fails is tried again with the next call, and a damaged one is moved aside and begun anew, which a scan
/// then fills; where the folder's mount is away nothing is opened, and where another folder has come in its place,
/// that one's ledger is. No call blocks its caller. Created and called by `RotationService`.
final class StorageRoom: Sendable {
    /// Tombstones of deleted segments are kept for as long as an event may still be under way, and a week more.
    static let tombstonesMax: Duration = .seconds(37 * 86_400)

    /// Gaps that wait for a ledger that fails; the oldest go first.
    static let gapsMax = LedgerStore.gapsAheadMax

    private struct Open {
        var lock: FileLock?
        var ledger: LedgerStore?
        /// Not written yet, in the order of the calls.
        var gaps: [GapRecord] = []
    }

    let folder: StorageFolder
    private let mounts: [StorageMount]
    private let short: DispatchQueue
    private let scans: DispatchQueue
    private let open = Mutex(Open())
    private let logger: Logger
    private let feed: @Sendable (RotationEvent) -> Void

    /// - Parameters:
    ///   - mounts: of the cameras that record here.
    ///   - feed: takes what the Core is to hear; called on any thread.
    init(
        _ folder: StorageFolder, mounts: [StorageMount], logger: Logger,
        feed: @escaping @Sendable (RotationEvent) -> Void
    ) {
        self.folder = folder
        self.mounts = mounts
        self.logger = logger
        self.feed = feed
        short = DispatchQueue(label: "ledger")
        scans = DispatchQueue(label: "scan")
    }

    /// Takes the lock and opens the ledger. Blocks.
    /// - Returns: false if another rotation-service owns the folder.
    func enter() -> Bool {
        do throws(CodedError) {
            _ = try ledgerOfScan()
            return true
        } catch {
            logger.error("ledger not usable", metadata: ["folder": "\(folder)", "reason": "\(error)"])
            return error.code != .conflict
        }
    }

    /// After everything that was asked for, but a scan, which can begin again.
    func leave() async {
        await withCheckedContinuation { continuation in
            short.async { [self] in
                close()
                continuation.resume()
            }
        }
    }

    private func close() {
        do throws(CodedError) {
            let ledger = open.withLock { $0.ledger.take() }
            try ledger?.close()
        } catch {
            logger.warning("ledger not closed", metadata: ["folder": "\(folder)", "reason": "\(error)"])
        }
    }

    // MARK: The ledger

    /// On the short queue, where opening it may take its time: nobody else opens it meanwhile.
    private func ledger() throws(CodedError) -> LedgerStore {
        dispatchPrecondition(condition: .onQueue(short))
        if let ledger = try ledgerInPlace() { return ledger }
        close()
        open.withLock { open in if !(open.lock?.isInPlace ?? true) { open.lock = nil } }
        if open.withLock({ $0.lock == nil }) {
            try AtomicFile.createFolder(folder.path)
            guard let lock = try FileLock.take("\(folder)/\(LedgerStore.lockName)") else {
                throw CodedError(.conflict, "another rotation-service owns \(folder)")
            }
            open.withLock { $0.lock = lock }
        }
        let ledger = try LedgerStore(storage: folder.path, access: .owner, now: ServiceClock.now().wall)
        open.withLock { $0.ledger = ledger }
        log(ledger.origin)
        return ledger
    }

    /// The open ledger, unless its folder has been replaced by another. Throws while the folder's mount is away.
    private func ledgerInPlace() throws(CodedError) -> LedgerStore? {
        for mount in mounts { try mount.check() }
        let (ledger, lock) = open.withLock { ($0.ledger, $0.lock) }
        return lock?.isInPlace ?? false ? ledger : nil
    }

    /// From elsewhere; waits for what the short queue is about only if the ledger is not open.
    private func ledgerOfScan() throws(CodedError) -> LedgerStore {
        if let ledger = try ledgerInPlace() { return ledger }
        let opened: Result<LedgerStore, CodedError> = short.sync {
            do throws(CodedError) { return .success(try ledger()) } catch { return .failure(error) }
        }
        return try opened.get()
    }

    private func log(_ origin: LedgerStore.Origin) {
        switch origin {
        case .existing: break
        case .created: logger.info("ledger created", metadata: ["folder": "\(folder)"])
        case .replaced(let damaged):
            logger.error("ledger was damaged and is rebuilt from the files", metadata: ["kept": "\(damaged)"])
        }
    }

    /// Writes, on the short queue; the Core hears of a failure.
    private func write(_ what: String, _ body: @escaping @Sendable (LedgerStore) throws(CodedError) -> Void) {
        short.async { [self] in
            do throws(CodedError) {
                try body(try ledger())
            } catch {
                failed(what, error)
            }
        }
    }

    private func failed(_ what: String, _ error: CodedError) {
        logger.error("ledger failed", metadata: ["folder": "\(folder)", "doing": "\(what)", "reason": "\(error)"])
        if LedgerStore.isDamage(error) { open.withLock { $0.ledger = nil } }
        feed(.ledgerFailed(folder, error))
    }

    func record(_ segment: SegmentRecord) {
        write("segment") { [self] ledger throws(CodedError) in
            let now = ServiceClock.now().wall
            log(try ledger.take(segment, inspector: MediaInspector(), now: now), of: segment.camera, segment.path)
        }
    }

    /// A gap that no file tells of comes with no scan either: it is kept until the ledger takes it.
    func record(_ gap: GapRecord) {
        open.withLock { open in
            if open.gaps.count >= Self.gapsMax { open.gaps.removeFirst() }
            open.gaps.append(gap)
        }
        writeGaps()
    }

    private func writeGaps() {
        write("gap") { [self] ledger throws(CodedError) in
            while let gap = open.withLock({ $0.gaps.first }) {
                log(try ledger.take(gap, now: ServiceClock.now().wall), of: gap.camera, "gap from \(gap.from)")
                open.withLock { open in if open.gaps.first == gap { open.gaps.removeFirst() } }
            }
        }
    }

    /// What an event claimed and the disk does not bear out.
    private func log(_ outcome: ClaimOutcome, of camera: CameraID, _ claim: String) {
        switch outcome {
        case .recorded: break
        case .inspected:
            logger.warning("event contradicts its file", metadata: ["camera": "\(camera)", "claim": "\(claim)"])
        case .refused(let reason):
            logger.warning(
                "event refused", metadata: ["camera": "\(camera)", "claim": "\(claim)", "reason": "\(reason)"])
        }
    }

    func endSessions(of camera: CameraID, except session: SessionID?) {
        write("session") { ledger throws(CodedError) in try ledger.endSessions(of: camera, except: session) }
    }

    // MARK: Scans

    func scan(_ scope: ScanScope) {
        scans.async { [self] in
            let result: Result<ScanCounts, CodedError>
            do throws(CodedError) {
                result = .success(try scanned(scope))
            } catch {
                logger.error("scan failed", metadata: ["folder": "\(folder)", "reason": "\(error)"])
                if LedgerStore.isDamage(error) { open.withLock { $0.ledger = nil } }
                result = .failure(error)
            }
            feed(.scanEnded(folder, scope, result))
        }
    }

    private func scanned(_ scope: ScanScope) throws(CodedError) -> ScanCounts {
        let ledger = try ledgerOfScan()
        let scan = DiskScan(store: ledger, inspector: MediaInspector(), now: { ServiceClock.now().wall })
        let report: ScanReport
        switch scope {
        case .camera(let camera): report = try scan.run(camera: camera)
        case .everything:
            report = try scan.run()
            try ledger.forgetDeleted(before: ServiceClock.now().wall - Self.tombstonesMax)
        }
        log(report)
        var counts = ScanCounts()
        counts.segments = report.segments
        counts.recovered = report.recovered.count
        counts.imported = report.imported.count
        counts.missing = report.missing.count
        counts.quarantined = report.quarantined.count
        return counts
    }

    private func log(_ report: ScanReport) {
        for path in report.recovered { logger.warning("segment recovered", metadata: ["file": "\(path)"]) }
        for what in report.dropped { logger.warning("ledger mended", metadata: ["dropped": "\(what)"]) }
        for path in report.missing { logger.warning("segment missing", metadata: ["file": "\(path)"]) }
        for file in report.quarantined {
            logger.warning("file not usable", metadata: ["file": "\(file.path)", "reason": "\(file.reason)"])
        }
        logger.debug(
            "scanned",
            metadata: [
                "folder": "\(folder)", "segments": "\(report.segments)", "imported": "\(report.imported.count)",
                "opened": "\(report.opened)",
            ])
    }

    // MARK: Space

    func takeInventory() {
        if open.withLock({ !$0.gaps.isEmpty }) { writeGaps() }
        short.async { [self] in
            do throws(CodedError) {
                feed(.inventoryTaken(folder, .success(try inventory())))
            } catch {
                logger.error("storage not readable", metadata: ["folder": "\(folder)", "reason": "\(error)"])
                if LedgerStore.isDamage(error) { failed("inventory", error) }
                feed(.inventoryTaken(folder, .failure(error)))
            }
        }
    }

    private func inventory() throws(CodedError) -> Inventory {
        let ledger = try ledger()
        let space = try StorageDisk(storage: folder.path).space()
        let holdings = try ledger.holdings(oldestPerCamera: RetentionPlan.deletionsMax)
        return Inventory(
            cameras: holdings.map { camera in
                Inventory.Camera(
                    camera: camera.camera, bytes: camera.bytes, newestAt: camera.newestAt,
                    oldest: camera.oldest.map(StoredSegment.init))
            }, totalBytes: space.totalBytes, freeBytes: space.freeBytes)
    }

    func delete(_ segments: [StoredSegment]) {
        short.async { [self] in
            do throws(CodedError) {
                feed(.deletionEnded(folder, .success(try deleted(segments))))
            } catch {
                feed(.deletionEnded(folder, .failure(error)))
            }
        }
    }

    /// - Returns: how many went; throws only if none did.
    private func deleted(_ segments: [StoredSegment]) throws(CodedError) -> Int {
        let disk = StorageDisk(storage: folder.path)
        let now = ServiceClock.now().wall
        let rows = segments.map { ($0.session, $0.index) }
        let outcome = try ledger().delete(rows, now: now) { place throws(CodedError) in
            let segment = segments[place]
            do throws(CodedError) {
                let path = try path(of: segment)
                try disk.remove(path)
                disk.removeFolderIfEmpty(of: path, now: now)
                logger.info("segment deleted", metadata: ["file": "\(segment.path)", "bytes": "\(segment.bytes)"])
            } catch {
                logger.error("segment not deleted", metadata: ["file": "\(segment.path)", "reason": "\(error)"])
                throw error
            }
        }
        if let error = outcome.ledgerFailure { failed("deletion", error) }
        if outcome.gone.isEmpty, let error = outcome.failure ?? outcome.ledgerFailure { throw error }
        return outcome.gone.count
    }

    /// The row and the name of its file must agree on what the segment is, whatever somebody told the ledger: no limit
    /// of one camera costs another's file.
    private func path(of segment: StoredSegment) throws(CodedError) -> SegmentPath {
        guard let path = SegmentPath(relativePath: segment.path), !path.isPartial, path.camera == segment.camera,
            path.session8 == segment.session.short, path.index == segment.index
        else { throw CodedError(.storageFailed, "not this segment's path: \(segment.path)") }
        return path
    }
}

extension StoredSegment {
    init(_ record: SegmentRecord) {
        self.init(
            camera: record.camera, session: record.session, index: record.index, path: record.path,
            startedAt: record.startedAt, endedAt: record.endedAt ?? record.startedAt, bytes: record.bytes ?? 0)
    }
}
