internal import Domain
internal import GRDB
internal import Glibc

/// The one place where errors of SQLite and of the system become coded errors.
enum LedgerFault {
    static let damaged = "the ledger is damaged"

    /// Whether the file is damaged or no database at all, so that only a new one helps.
    static func isCorruption(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return [.SQLITE_CORRUPT, .SQLITE_NOTADB].contains(error.resultCode)
    }

    static func coded(_ error: any Error) -> CodedError {
        if let error = error as? CodedError { return error }
        guard let error = error as? DatabaseError else {
            return CodedError(.storageFailed, "the ledger failed", cause: "\(error)")
        }
        let text = error.message ?? "SQLite error \(error.extendedResultCode.rawValue)"
        if error.resultCode == .SQLITE_FULL { return CodedError(.storageFull, "no room for the ledger", cause: text) }
        if isCorruption(error) { return CodedError(.storageFailed, damaged, cause: text) }
        return CodedError(.storageFailed, "the ledger failed", cause: text)
    }

    /// - Parameter doing: what failed, as in `cannot <doing>`.
    static func system(_ doing: String, _ number: Int32) -> CodedError {
        let code: ErrorCode = number == ENOSPC || number == EDQUOT ? .storageFull : .storageFailed
        return CodedError(code, "cannot \(doing)", cause: String(cString: strerror(number)))
    }
}
