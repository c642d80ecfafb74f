internal import BusContract
internal import ClusterConfig
internal import Domain
internal import Glibc
internal import Ledger
internal import ServiceKit

/// The repair of this node's storage folders where no rotation-service does it: takes each folder's ledger lock, so
/// that none can start meanwhile, and lets `DiskScan` compare and mend. Blocks on the disk.
struct StorageRepair: Sendable {
    let node: NodeID
    /// Those that exist.
    let folders: [String]

    init(_ configuration: ClusterConfiguration) {
        node = configuration.node
        folders = RecordingArchive.storagePaths(configuration).filter { access($0, F_OK) == 0 }
    }

    /// Whether a rotation-service owns one of the folders; then it does all of them.
    func isServed() throws(CodedError) -> Bool {
        for folder in folders where try FileLock.isHeld("\(folder)/\(LedgerStore.lockName)") { return true }
        return false
    }

    /// - Parameter progress: called now and then with the part of a folder that is done, 0 to 1, and the folder.
    func run(progress: (Double, String) -> Void) throws(CodedError) -> StorageResult {
        var total = StorageResult(node: node, segments: 0, recovered: 0, imported: 0, missing: 0, quarantined: 0)
        for folder in folders {
            let report = try scan(folder) { progress($0, folder) }
            total.segments += report.segments
            total.recovered += report.recovered.count
            total.imported += report.imported.count
            total.missing += report.missing.count
            total.quarantined += report.quarantined.count
        }
        return total
    }

    private func scan(_ folder: String, progress: (Double) -> Void) throws(CodedError) -> ScanReport {
        guard let lock = try FileLock.take("\(folder)/\(LedgerStore.lockName)") else {
            throw CodedError(.conflict, "a rotation-service has just taken \(folder); try again")
        }
        return try withExtendedLifetime(lock) { () throws(CodedError) in
            let ledger = try LedgerStore(storage: folder, access: .owner, now: ServiceClock.now().wall)
            let scan = DiskScan(store: ledger, inspector: MediaInspector(), now: { ServiceClock.now().wall })
            let report = try scan.run(progress: progress)
            try ledger.close()
            return report
        }
    }
}
