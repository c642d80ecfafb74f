internal import Domain
internal import FoundationEssentials

/// A segment's manifest as the text of its `comment` tag: one line of JSON.
enum ManifestText {
    static func print(_ manifest: SegmentManifest) throws(CodedError) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(manifest), as: UTF8.self)
        } catch {
            throw CodedError(.internal, "the manifest cannot be written as JSON", cause: "\(error)")
        }
    }

    /// Nil for a comment that is not a manifest, as any file from elsewhere has, and for one with a number that no
    /// segment has: what is calculated with it must not overflow.
    static func read(_ text: String) -> SegmentManifest? {
        guard let manifest = try? JSONDecoder().decode(SegmentManifest.self, from: Data(text.utf8)),
            manifest.isPossible
        else { return nil }
        return manifest
    }
}
