package import Domain

/// Reads segment files.
package enum SegmentFileReader {
    package static func inspect(_ path: String) throws(CodedError) -> SegmentInspection {
        throw CodedError(.internal, "not built yet")
    }
    package static func verify(_ path: String, decode: Bool = false) throws(CodedError) -> SegmentVerification {
        throw CodedError(.internal, "not built yet")
    }
}
