package import Domain
internal import Glibc

extension CodedError {
    /// Maps an `errno` value (errno(3)); call it with the value read right after the call that failed.
    package static func system(_ number: Int32, _ message: String) -> CodedError {
        let code: ErrorCode
        switch number {
        case ENOSPC, EDQUOT: code = .storageFull
        case EACCES, EPERM: code = .unauthorized
        case ETIMEDOUT: code = .timeout
        default: code = .storageFailed
        }
        return CodedError(code, message, cause: systemText(number))
    }

    package static func lastSystemError(_ message: String) -> CodedError { .system(errno, message) }

    private static func systemText(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        // The XSI variant fills the buffer and returns 0; on an unknown number the text says so itself.
        _ = strerror_r(number, &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
