package import Domain

/// When the files of each folder are compared with its ledger. Owns what is wanted, what runs, and who waits for it.
///
/// Invariants: one scan per folder at a time; a wish that comes while one runs is kept, since the running one may
/// already have passed the place; a scan of everything serves the wishes for single cameras. Called by `RotationCore`.
package struct ScanPlan: Hashable, Sendable {
    /// Between the scans of everything that nobody asked for.
    package static let period: Duration = .seconds(300)
    /// After a connect, so that events that waited are read from the bus and not from the files.
    package static let afterConnect: Duration = .seconds(3)
    /// After a worker went: time for its successor to finish the file that it left open.
    package static let afterWorkerGone: Duration = .seconds(10)
    /// After a segment was opened while an older one is open: time for a late `closed`.
    package static let afterOrphan: Duration = .seconds(30)
    /// After a segment was opened that does not follow the last one: time for events that come in another order.
    package static let afterPassedOver: Duration = .seconds(5)
    /// After a ledger that could not be written or a folder that could not be read.
    package static let afterFailure: Duration = .seconds(30)
    /// People that wait for one scan; the next are refused.
    package static let waitersMax = 32

    private struct Folder: Hashable, Sendable {
        var running: ScanScope?
        var wanted: [ScanScope: MonotonicTime] = [:]
    }

    private struct Waiter: Hashable, Sendable {
        var token: CommandToken
        /// Folders that have not been scanned for it yet; a running scan does not count.
        var missing: Set<StorageFolder>
        var counts = ScanCounts()
    }

    private var folders: [StorageFolder: Folder]
    private var waiters: [Waiter] = []
    /// The waiters that each running scan serves.
    private var served: [StorageFolder: [CommandToken]] = [:]

    package init(_ folders: [StorageFolder]) {
        self.folders = Dictionary(uniqueKeysWithValues: folders.map { ($0, Folder()) })
    }

    package var wakeAt: MonotonicTime? {
        folders.values.filter { $0.running == nil }.flatMap(\.wanted.values).min()
    }

    package mutating func want(_ scope: ScanScope, of folder: StorageFolder, at time: MonotonicTime) {
        let known = folders[folder]?.wanted[scope]
        folders[folder]?.wanted[scope] = min(known ?? time, time)
    }

    package mutating func wantAll(at time: MonotonicTime) {
        for folder in folders.keys { want(.everything, of: folder, at: time) }
    }

    package mutating func cancel(_ scope: ScanScope, of folder: StorageFolder) {
        folders[folder]?.wanted[scope] = nil
    }

    /// - Returns: false if too many wait.
    package mutating func wait(_ token: CommandToken, at time: MonotonicTime) -> Bool {
        guard waiters.count < Self.waitersMax else { return false }
        waiters.append(Waiter(token: token, missing: Set(folders.keys)))
        wantAll(at: time)
        return true
    }

    /// The scans that begin now.
    package mutating func begin(at time: MonotonicTime) -> [(StorageFolder, ScanScope)] {
        var begun: [(StorageFolder, ScanScope)] = []
        for folder in folders.keys.sorted() {
            guard let state = folders[folder], state.running == nil else { continue }
            let due = state.wanted.filter { $0.value <= time }.keys
            guard !due.isEmpty else { continue }
            if due.contains(.everything) {
                folders[folder]?.wanted = [:]
                served[folder] = waiters.filter { $0.missing.contains(folder) }.map(\.token)
                begun.append((folder, .everything))
            } else if let scope = due.min(by: { Self.text($0) < Self.text($1) }) {
                folders[folder]?.wanted[scope] = nil
                begun.append((folder, scope))
            }
            folders[folder]?.running = begun.last?.1
        }
        return begun
    }

    /// - Returns: who has waited for this and what all scans for them found.
    package mutating func ended(
        _ folder: StorageFolder, _ scope: ScanScope, _ result: Result<ScanCounts, CodedError>, at time: MonotonicTime
    ) -> [(CommandToken, Result<ScanCounts, CodedError>)] {
        folders[folder]?.running = nil
        switch result {
        case .success: if scope == .everything { want(.everything, of: folder, at: time + Self.period) }
        case .failure: want(scope, of: folder, at: time + Self.afterFailure)
        }
        guard scope == .everything, let tokens = served.removeValue(forKey: folder) else { return [] }
        return tokens.compactMap { answer($0, folder, result) }
    }

    private mutating func answer(
        _ token: CommandToken, _ folder: StorageFolder, _ result: Result<ScanCounts, CodedError>
    ) -> (CommandToken, Result<ScanCounts, CodedError>)? {
        guard let place = waiters.firstIndex(where: { $0.token == token }) else { return nil }
        switch result {
        case .failure(let error):
            waiters.remove(at: place)
            return (token, .failure(error))
        case .success(let counts):
            waiters[place].missing.remove(folder)
            waiters[place].counts = waiters[place].counts + counts
            guard waiters[place].missing.isEmpty else { return nil }
            return (token, .success(waiters.remove(at: place).counts))
        }
    }

    private static func text(_ scope: ScanScope) -> String {
        switch scope {
        case .everything: ""
        case .camera(let camera): camera.rawValue
        }
    }
}
