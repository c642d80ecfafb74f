/// The metrics service of a node (section `metrics`): where it listens, who may ask, what it keeps.
package struct MetricsSettings: Sendable, Hashable {
    package var listen: HostAndPort
    /// What a caller shows as `Authorization: Bearer …`; nil: everybody who reaches `listen` may ask, which is only
    /// possible on loopback.
    package var token: Secret?
    /// Whether samples are kept in `<state_dir>/metrics`.
    package var history: Bool
    /// Whether commands over HTTP are refused.
    package var readOnly: Bool
    /// Origins of other web pages that may read, such as `https://panel.lan`; none by default.
    package var allowOrigins: [String]

    package init(
        listen: HostAndPort = .metricsDefault, token: Secret? = nil, history: Bool = true, readOnly: Bool = false,
        allowOrigins: [String] = []
    ) {
        self.listen = listen
        self.token = token
        self.history = history
        self.readOnly = readOnly
        self.allowOrigins = allowOrigins
    }

    /// Long enough that nobody guesses it, short enough for one header line.
    package static let tokenLengthRange = 16...256
    package static let originsMax = 16

    /// A token stands in a header and in a cookie: letters, digits, `-`, `_`, `.` and `~` (RFC 6750 section 2.1 and RFC
    /// 6265 section 4.1.1 in common).
    package static func isToken(_ text: String) -> Bool {
        tokenLengthRange.contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || "-_.~".utf8.contains(byte)
            }
    }

    /// `scheme://host[:port]` as browsers send it (RFC 6454 section 6.1): lower case, no path.
    package static func isOrigin(_ text: String) -> Bool {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return false }
        let place = text.dropFirst(scheme.count)
        return !place.isEmpty && place.utf8.count <= 255
            && place.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || "-.:[]".utf8.contains(byte)
            }
    }
}

extension HostAndPort {
    package static let metricsDefault = HostAndPort(host: "127.0.0.1", port: 9920)
}
