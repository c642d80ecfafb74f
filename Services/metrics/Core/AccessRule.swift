/// Who may ask for what. A value without IO: a request's head in, a decision out.
///
/// Without a token the server listens on loopback alone and must still tell a person at this host from a web page in
/// that person's browser: a name that leads to loopback (DNS rebinding) and a request from another page are refused.
package struct AccessRule: Hashable, Sendable {
    /// Nil: nobody needs one.
    package var token: String?
    package var isReadOnly: Bool
    package var allowOrigins: [String]

    package init(token: String?, isReadOnly: Bool, allowOrigins: [String]) {
        self.token = token
        self.isReadOnly = isReadOnly
        self.allowOrigins = allowOrigins
    }

    package enum Decision: Hashable, Sendable {
        case allowed
        /// 401: no token, or a wrong one, and where that stood.
        case unauthorized(wrong: Credential?)
        /// 403.
        case forbidden(String)
    }

    /// Where a token stands in a request.
    package enum Credential: Hashable, Sendable {
        /// `Authorization`: somebody typed it, or a program has it.
        case bearer
        /// A browser sends it along by itself, also long after it has become a wrong one.
        case cookie
    }

    /// The cookie in which a browser carries the token after it has signed in, since pictures, videos and event streams
    /// cannot send a header. Browsers give a cookie to every port of a host: its name holds the port that this browser
    /// asks, so that two services at one host do not take each other's away.
    package static func cookieName(_ head: HTTPRequestHead) -> String {
        let host = head.header("host") ?? ""
        let port = host.lastIndex(of: ":").map { host[host.index(after: $0)...] } ?? ""
        let isPort = (1...5).contains(port.utf8.count) && port.utf8.allSatisfy { (0x30...0x39).contains($0) }
        return isPort ? "framekeeper_token_\(port)" : "framekeeper_token"
    }

    /// Where the request shows a token, right or wrong; signing in takes none from a cookie.
    package func credential(_ route: Route, _ head: HTTPRequestHead) -> Credential? {
        if head.header("authorization").flatMap(Self.bearer) != nil { return .bearer }
        return route != .signIn && head.cookie(Self.cookieName(head)) != nil ? .cookie : nil
    }

    package func decide(_ route: Route, _ head: HTTPRequestHead) -> Decision {
        let origin = head.header("origin")
        if token == nil, !Self.isPlainHost(head.header("host")) {
            return .forbidden("without metrics.token this server answers to an address or to localhost alone")
        }
        let isForeign = origin.map { !isOwn($0, head) && !allowOrigins.contains($0) } ?? false
        if route.isCommand {
            if isForeign || (origin != nil && !isOwn(origin ?? "", head)) {
                return .forbidden("commands come from no other page")
            }
            if head.header("sec-fetch-site") == "cross-site" { return .forbidden("commands come from no other page") }
            if isReadOnly, case .control = route { return .forbidden("metrics.read_only is set") }
        }
        guard let token, !route.isOpen || route == .signIn else { return .allowed }
        let credential = credential(route, head)
        let shown =
            switch credential {
            case .bearer: head.header("authorization").flatMap(Self.bearer)
            case .cookie: head.cookie(Self.cookieName(head))
            case nil: String?.none
            }
        guard let shown else { return .unauthorized(wrong: nil) }
        return Self.isEqual(shown, token) ? .allowed : .unauthorized(wrong: credential)
    }

    /// What tells a browser that another page may read the answer; nil: it may not.
    package func allowedOrigin(_ head: HTTPRequestHead) -> String? {
        head.header("origin").flatMap { allowOrigins.contains($0) ? $0 : nil }
    }

    private func isOwn(_ origin: String, _ head: HTTPRequestHead) -> Bool {
        guard let host = head.header("host") else { return false }
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// RFC 6750 section 2.1; the scheme is written in any case.
    private static func bearer(_ header: String) -> String? {
        let words = header.split(separator: " ", maxSplits: 1)
        guard words.count == 2, words[0].lowercased() == "bearer" else { return nil }
        return String(words[1])
    }

    /// In a time that does not depend on where the two differ.
    private static func isEqual(_ left: String, _ right: String) -> Bool {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        var difference = left.count ^ right.count
        for place in right.indices { difference |= Int(right[place] ^ (place < left.count ? left[place] : 0)) }
        return difference == 0
    }

    /// `localhost` or an address, with or without a port: no name that somebody else could point here.
    private static func isPlainHost(_ header: String?) -> Bool {
        guard let header, !header.isEmpty else { return false }
        if header.hasPrefix("[") {
            guard let end = header.lastIndex(of: "]") else { return false }
            return header[end...].dropFirst().allSatisfy { $0 == ":" || $0.isNumber }
        }
        let parts = header.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 1 || parts[1].allSatisfy(\.isNumber) else { return false }
        if parts[0].lowercased() == "localhost" { return true }
        let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        return numbers.count == 4 && numbers.allSatisfy { UInt8($0) != nil }
    }
}
