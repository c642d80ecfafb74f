internal import Domain

/// A look at a JSON text before any parser recurses into it: valid UTF-8, no NUL, and not nested deeper than
/// anything this project writes. One pass, no recursion, so no payload can exhaust a thread's stack.
enum JSONShape {
    /// The deepest message of the contract has 4 levels.
    static let depthMax = 32

    /// - Throws: `invalid_payload`.
    static func check(_ bytes: [UInt8]) throws(CodedError) {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw BusCodec.notUTF8 }
        var depth = 0
        var isInString = false
        var isEscaped = false
        for byte in bytes {
            if byte == 0 { throw CodedError(.invalidPayload, "the payload contains NUL") }
            if isInString {
                if isEscaped {
                    isEscaped = false
                } else if byte == UInt8(ascii: "\\") {
                    isEscaped = true
                } else if byte == UInt8(ascii: "\"") {
                    isInString = false
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                if depth > depthMax {
                    throw CodedError(.invalidPayload, "the JSON is nested deeper than \(depthMax) levels")
                }
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
        }
    }
}
