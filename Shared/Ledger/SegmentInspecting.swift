package import Domain

/// What one reading of a complete segment file yields.
package struct InspectedFile: Hashable, Sendable {
    package var manifest: SegmentManifest
    /// Video access units.
    package var frames: UInt64
    /// From the first frame's beginning to the last one's end.
    package var duration: Duration
    /// Of the file.
    package var bytes: Int64

    package init(manifest: SegmentManifest, frames: UInt64, duration: Duration, bytes: Int64) {
        self.manifest = manifest
        self.frames = frames
        self.duration = duration
        self.bytes = bytes
    }
}

/// How the repair reads and finishes media files. Ledger knows nothing of containers; the rotation-service and the
/// command line put the media library behind this, tests put a table.
package protocol SegmentInspecting: Sendable {
    /// Reads a complete file. `path` is absolute. Throws `storageFailed` for a file that is no whole segment.
    func inspect(path: String) throws(CodedError) -> InspectedFile

    /// Finishes a partial file whose worker is gone. `path` is absolute.
    func recover(partial path: String) throws(CodedError) -> PartialOutcome
}

/// What became of a partial file.
package enum PartialOutcome: Hashable, Sendable {
    /// Its worker holds the lock: it is being written.
    case busy
    /// Complete at this absolute path.
    case finished(path: String)
    /// It held no whole frame; its worker died before the first part was on disk. The file is left in place.
    case empty
}
