internal import CAVFormat
internal import CAVShim
internal import Domain
internal import Glibc

/// The one place where errors of libav and of the file system become the project's own.
enum LibavError {
    /// libav's words for a code; they never quote an address.
    static func text(_ code: Int32) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(AV_ERROR_MAX_STRING_SIZE)) { buffer in
            guard let start = buffer.baseAddress else { return "error \(code)" }
            av_strerror(code, start, buffer.count)
            return String(cString: start)
        }
    }

    /// A source that did not open or broke. `what` must not hold a secret.
    static func source(_ code: Int32, _ what: String) -> CodedError {
        let isUnauthorized = code == cav_error_unauthorized() || code == cav_error_from_errno(EACCES)
        return CodedError(isUnauthorized ? .unauthorized : .sourceUnavailable, what, cause: text(code))
    }

    /// A media server that refused or broke the connection. `what` must not hold a secret.
    static func mediaServer(_ code: Int32, _ what: String) -> CodedError {
        let refusals = [cav_error_unauthorized(), cav_error_forbidden(), cav_error_from_errno(EACCES)]
        return CodedError(refusals.contains(code) ? .unauthorized : .mediaServerUnavailable, what, cause: text(code))
    }

    /// A call on our own data that should have worked.
    static func `internal`(_ code: Int32, _ what: String) -> CodedError {
        CodedError(.internal, what, cause: text(code))
    }

    /// What libav could not write to a file: its code is an `errno`, or a word of its own.
    static func storage(libav code: Int32, _ what: String) -> CodedError {
        guard code < 0, code >= -errnoMax else { return CodedError(.storageFailed, what, cause: text(code)) }
        return storage(-code, what)
    }

    /// The kernel's MAX_ERRNO; libav's own codes lie far beyond.
    private static let errnoMax: Int32 = 4095

    /// A file operation that set `errno`.
    static func storage(_ number: Int32, _ what: String) -> CodedError {
        switch number {
        case ENOSPC, EDQUOT: CodedError(.storageFull, what, cause: String(cString: strerror(number)))
        case EEXIST: CodedError(.conflict, what, cause: String(cString: strerror(number)))
        default: CodedError(.storageFailed, what, cause: String(cString: strerror(number)))
        }
    }
}

/// libav as a whole: its log is taken off stderr once, before the first use.
enum MediaLibrary {
    private static let prepared: Void = {
        cav_drop_log_messages()
        avformat_network_init()
    }()

    /// Whoever calls libav first calls this; repeated calls cost nothing.
    static func prepare() { _ = prepared }
}
