internal import ClusterConfig

/// Where the media server whose file is read listens for RTSP, to know an address of its own again.
struct OwnListeners: Hashable, Sendable {
    /// `HOST:PORT` by scheme, the host as one on the same machine reaches it.
    var places: [String: String] = [:]

    private static let loopback: Set<String> = ["localhost", "127.0.0.1", "::1"]
    private static let portDefaults = ["rtsp": 554, "rtsps": 322]

    /// The path of this server that an address names; nil for every other place.
    func path(at address: String) -> String? {
        guard let separator = address.firstRange(of: "://") else { return nil }
        let scheme = String(address[..<separator.lowerBound])
        let rest = address[separator.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last ?? authority
        guard let port = Self.portDefaults[scheme], let own = places[scheme],
            let own = HostAndPort(written: own, portDefault: port),
            let named = HostAndPort(written: String(host), portDefault: port), named.port == own.port,
            named.host == own.host || Self.loopback.contains(named.host) && Self.loopback.contains(own.host)
        else { return nil }
        return String(rest[authority.endIndex...].drop { $0 == "/" }.prefix { !"?#".contains($0) })
    }

    /// `$RTSP_PORT`, as the server fills it in.
    var port: String? { places["rtsp"]?.split(separator: ":").last.map(String.init) }
}
