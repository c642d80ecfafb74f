package import Domain

/// What can go wrong with the media server, closed. No case holds a secret: what the server says may quote an address
/// with its password, and is masked before it gets here.
package enum MediaServerFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// Refused, broken off, or no route; the reason is the system's.
    case unreachable(String)
    /// It took the connection and did not answer in time.
    case silent
    case unauthorized
    /// No such path, or, for a whole part of the API, not enabled.
    case notFound
    /// It understood and says no; the reason is its own.
    case rejected(String)
    /// What came is not what this API says.
    case unreadable(String)

    package var description: String {
        switch self {
        case .unreachable(let reason): "not reachable: \(reason)"
        case .silent: "does not answer"
        case .unauthorized: "refuses the user or the password"
        case .notFound: "does not know what was asked for"
        case .rejected(let reason): "refuses: \(reason)"
        case .unreadable(let reason): "answers something else than its API does: \(reason)"
        }
    }

    package var coded: CodedError { CodedError(.mediaServerUnavailable, "the media server \(self)") }

    /// The most that is kept of a foreign sentence.
    private static let reasonBytesMax = 400

    /// Takes the authority and path out of every address: which part of one is a password is not for us to guess.
    package static func masked(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let scheme = rest.firstRange(of: "://") {
            result += rest[..<scheme.upperBound] + "(hidden)"
            rest = rest[scheme.upperBound...].drop { !$0.isWhitespace && !"'\"".contains($0) }
        }
        result += rest
        return result.utf8.count <= reasonBytesMax ? result : String(result.prefix(reasonBytesMax)) + "…"
    }
}
