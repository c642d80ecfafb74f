package import Domain
internal import GRDB

/// The record of sessions, segments and gaps of one storage folder: `<storage>/ledger.sqlite`, WAL.
///
/// Owns the database and nothing on the disk beside it. One process writes it, the rotation-service, which holds
/// `.ledger.lock` in the same folder; any number read it meanwhile. Every write is one transaction and idempotent by
/// (session, index) or (session, from). The ledger is never the only copy of a truth: the files can rebuild it, so a
/// damaged one is moved aside and begun anew, and its durability is SQLite's `NORMAL`.
///
/// Calls block on the disk: not for the cooperative pool. Deciding what to delete and reading media do not belong here.
package final class LedgerStore: Sendable {
    package static let fileName = "ledger.sqlite"
    package static let lockName = ".ledger.lock"

    package enum Access: Hashable, Sendable {
        /// The rotation-service: creates, migrates, repairs.
        case owner
        /// Everyone else; the file must exist.
        case reader
    }

    /// What opening found.
    package enum Origin: Hashable, Sendable {
        case existing
        case created
        /// The old file was damaged and now lies at this path; the new one is empty until a scan fills it.
        case replaced(damaged: String)
    }

    package let storage: String
    package let origin: Origin
    let queue: DatabaseQueue

    /// - Parameters:
    ///   - storage: the storage folder, absolute.
    ///   - now: names the copy of a damaged ledger.
    /// - Throws: `notReady` for a reader where there is no ledger; `storageFull`, `storageFailed`.
    package init(storage: String, access: Access, now: WallTime) throws(CodedError) {
        self.storage = storage
        let path = "\(storage)/\(Self.fileName)"
        let isThere = DatabaseFile.exists(path)
        switch access {
        case .reader:
            guard isThere else { throw CodedError(.notReady, "there is no ledger in \(storage) yet") }
            queue = try DatabaseFile.openReader(path, LedgerSchema.migrator)
            origin = .existing
        case .owner:
            if isThere, try DatabaseFile.isDamaged(path, moments: LedgerSchema.moments) {
                let aside = try DatabaseFile.moveAside(path, now: now)
                origin = .replaced(damaged: aside)
            } else {
                origin = isThere ? .existing : .created
            }
            queue = try DatabaseFile.openOwner(path, LedgerSchema.migrator)
        }
    }

    /// Whether an error of a store means that its file is damaged: then opening it again as the owner moves it aside.
    package static func isDamage(_ error: CodedError) -> Bool { error.message == LedgerFault.damaged }

    /// Closes the database; calls afterwards throw.
    package func close() throws(CodedError) {
        do { try queue.close() } catch { throw LedgerFault.coded(error) }
    }

    func read<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.read(body) } catch { throw LedgerFault.coded(error) }
    }

    func write<T>(_ body: (Database) throws -> T) throws(CodedError) -> T {
        do { return try queue.write(body) } catch { throw LedgerFault.coded(error) }
    }
}
