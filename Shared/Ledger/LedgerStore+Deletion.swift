package import Domain

/// How far a deletion came.
package struct DeletionOutcome: Sendable {
    /// Places in what was to be deleted.
    package var gone: [Int] = []
    /// The first file that would not go; its row is as it was.
    package var failure: CodedError?
    /// The ledger does not say what the files say, until a scan.
    package var ledgerFailure: CodedError?
}

extension LedgerStore {
    /// First the rows, then the files: whoever reads the ledger finds no row whose file is about to go, and after a
    /// crash between them the next scan takes the files up again.
    ///
    /// - Parameter remove: deletes the file of the segment at that place.
    package func delete(
        _ segments: [(session: SessionID, index: Int)], now: WallTime, remove: (Int) throws(CodedError) -> Void
    ) -> DeletionOutcome {
        var outcome = DeletionOutcome()
        do throws(CodedError) {
            try mark(segments, .deleted, now: now)
        } catch {
            outcome.ledgerFailure = error
            // A disk that is full to the last byte takes the rows only when a file has gone.
            guard error.code == .storageFull else { return outcome }
        }
        for place in segments.indices {
            do throws(CodedError) {
                try remove(place)
                outcome.gone.append(place)
            } catch {
                outcome.failure = outcome.failure ?? error
            }
        }
        do throws(CodedError) {
            let kept = Set(segments.indices).subtracting(outcome.gone)
            try mark(kept.map { segments[$0] }, .closed, now: now)
            // Once more: a scan may have seen a file that its row said was gone.
            try mark(outcome.gone.map { segments[$0] }, .deleted, now: now)
            outcome.ledgerFailure = nil
        } catch {
            outcome.ledgerFailure = error
        }
        return outcome
    }
}
