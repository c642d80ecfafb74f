internal import Domain

/// What one comparison of files and ledger did.
package struct ScanReport: Hashable, Sendable {
    /// A file that is left in place and not in the ledger, because it cannot be read or is not what its name says.
    package struct Quarantined: Hashable, Sendable, Codable {
        /// Relative to the storage folder.
        package var path: String
        package var reason: String
    }

    /// Complete files of ours that were seen.
    package var segments = 0
    /// Partial files that were finished.
    package var recovered: [String] = []
    /// Complete files that the ledger did not know.
    package var imported: [String] = []
    /// Rows whose file is not there any more.
    package var missing: [String] = []
    package var quarantined: [Quarantined] = []
    /// Rows and gaps that the files contradict, or that can never have been true: they were taken out of the ledger.
    package var dropped: [String] = []
    /// Partial files that a worker is writing.
    package var open = 0
    /// Partial files without a whole frame.
    package var empty = 0
    /// Files, links and folders that are none of ours.
    package var foreign = 0
    /// Files that had to be opened; a second scan of an unchanged folder opens none.
    package var opened = 0

    package init() {}
}
