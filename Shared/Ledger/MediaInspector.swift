package import Domain
internal import Media

/// The media library behind the ledger's question what a file holds.
package struct MediaInspector: SegmentInspecting {
    package init() {}

    /// A partial file beyond this without a readable part is damaged rather than empty: the first part and the
    /// header are not so large. It is kept for a person to look at.
    private static let emptyBytesMax: Int64 = 16 << 20

    package func inspect(path: String) throws(CodedError) -> InspectedFile {
        let found = try SegmentFileReader.inspect(path)
        guard let manifest = found.manifest else { throw CodedError(.storageFailed, "no readable manifest") }
        guard found.parts > 0, !found.isTorn else {
            throw CodedError(
                .storageFailed, "\(found.fileBytes - found.completeBytes) bytes of \(found.fileBytes) are not readable")
        }
        return InspectedFile(
            manifest: manifest, frames: UInt64(found.videoFrames), duration: found.duration, bytes: found.fileBytes)
    }

    package func recover(partial path: String) throws(CodedError) -> PartialOutcome {
        let found = try SegmentFileReader.inspect(path)
        guard found.parts > 0 || found.fileBytes <= Self.emptyBytesMax else {
            throw CodedError(.storageFailed, "no readable part in \(found.fileBytes) bytes")
        }
        guard let recovered = try SegmentRecovery.finish(path) else { return .busy }
        return recovered.finalPath.map(PartialOutcome.finished) ?? .empty
    }
}
