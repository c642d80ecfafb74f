package import Domain

/// Writes one segment.
package final class SegmentWriter {
    /// Where the file lies; partial until `finish` has returned.
    package private(set) var path: SegmentPath
    /// Whether packets were appended that no part on disk holds yet.
    package var hasUnwritten: Bool { false }

    package init(
        storage: String, manifest: SegmentManifest, format: StreamFormat, durability: Durability
    ) throws(CodedError) {
        path = manifest.path
        throw CodedError(.internal, "not built yet")
    }

    /// Takes a packet; writes a part when one is due and then says so.
    package func append(_ packet: Packet) throws(CodedError) -> PartReport? { nil }
    /// Writes what there is, for when nothing came for a second.
    package func flushPart() throws(CodedError) -> PartReport? { nil }
    /// Writes the last part and gives the file its final name.
    package func finish(nextVideoDTS: Int64?) throws(CodedError) -> SegmentReport {
        throw CodedError(.internal, "not built yet")
    }
    /// Closes the file as it is and leaves the partial for repair.
    package func abandon() {}
}
