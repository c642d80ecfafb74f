package import Domain

/// Where a stream is published, with the login kept apart from it: the whole URL exists only inside `url()`, which
/// libav gets to see and nobody else. Pure.
package struct RTSPAddress: Sendable, Hashable, CustomStringConvertible {
    /// `rtsp://host:port/path` or `rtsps://`, without a login.
    package let location: String
    /// 554 or, with TLS, 322 where the location names none.
    let port: Int
    private let login: RTSPLogin

    package init(_ location: String, username: String = "", password: String = "") throws(CodedError) {
        guard case .rtsp = try SourceAddress(location).kind, let scheme = location.firstRange(of: "://") else {
            throw CodedError(.invalidArgument, "expected rtsp:// or rtsps://")
        }
        let authority = location[scheme.upperBound...].prefix { !"/?#".contains($0) }
        guard !authority.contains("@") else {
            throw CodedError(.invalidArgument, "the login of a media server does not belong in its address")
        }
        login = try RTSPLogin(username: username, password: password)
        self.location = location
        // An IPv6 address has colons of its own, between brackets.
        let behindHost =
            authority.lastIndex(of: "]").map { authority[authority.index(after: $0)...] }
            ?? authority.drop { $0 != ":" }
        let isTLS = location.prefix(5).lowercased() == "rtsps"
        let named = behindHost.first == ":" ? Int(behindHost.dropFirst()) : nil
        port = behindHost.isEmpty ? isTLS ? 322 : 554 : named ?? 0
        guard (1...65_535).contains(port) else {
            throw CodedError(.invalidArgument, "the address of a media server ends in a port from 1 to 65535")
        }
    }

    /// Without the login.
    package var description: String { location }

    /// With the login. Never print it, never put it into an error.
    func url() -> String {
        guard let coded = login.coded, let scheme = location.firstRange(of: "://") else { return location }
        return "\(location[..<scheme.upperBound])\(coded)@\(location[scheme.upperBound...])"
    }
}

extension RTSPAddress {
    /// To read from there.
    package var source: SourceAddress { .rtsp(url: url()) }
}
