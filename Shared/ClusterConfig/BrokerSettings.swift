/// How to reach the broker.
package struct BrokerSettings: Sendable, Hashable {
    package var url: BrokerURL
    package var username: String?
    package var password: Secret?
    package var tls: TLSFiles
    /// The first level of every topic; it may have several, `home/framekeeper`.
    package var topicRoot: String

    package init(
        url: BrokerURL = .embeddedDefault, username: String? = nil, password: Secret? = nil,
        tls: TLSFiles = TLSFiles(), topicRoot: String = BrokerSettings.topicRootDefault
    ) {
        self.url = url
        self.username = username
        self.password = password
        self.tls = tls
        self.topicRoot = topicRoot
    }

    package static let topicRootDefault = "framekeeper"

    /// PEM files, absolute paths. `mqtts://` without `ca` trusts the system's authorities.
    package struct TLSFiles: Sendable, Hashable {
        package var ca: String?
        package var cert: String?
        package var key: String?

        package init(ca: String? = nil, cert: String? = nil, key: String? = nil) {
            self.ca = ca
            self.cert = cert
            self.key = key
        }
    }
}

/// `broker.url`.
package enum BrokerURL: Sendable, Hashable {
    /// `framekeeper up` starts a broker of its own: a private unix socket for this node's processes (see
    /// `EmbeddedBrokerPaths`) and a TCP listener for everyone else, on loopback unless another address is given.
    case embedded(host: String, port: Int)
    case tcp(host: String, port: Int, tls: Bool)
    case unix(path: String)

    package static let embeddedDefault = BrokerURL.embedded(host: "127.0.0.1", port: portDefault)
    /// IANA `mqtt` and `secure-mqtt`.
    package static let portDefault = 1883
    package static let portDefaultTLS = 8883
    /// What `sockaddr_un.sun_path` holds, without its final NUL (unix(7)).
    package static let socketPathBytesMax = 107
}

extension BrokerURL: CustomStringConvertible {
    package var description: String {
        switch self {
        case .embedded(let host, let port): "embedded://\(Self.bracketed(host)):\(port)"
        case .tcp(let host, let port, let tls): "\(tls ? "mqtts" : "mqtt")://\(Self.bracketed(host)):\(port)"
        case .unix(let path): "unix://\(path)"
        }
    }

    /// RFC 3986 section 3.2.2: an IPv6 address stands in brackets.
    private static func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

    /// Nil for anything but `embedded`, `embedded://HOST:PORT`, `mqtt://`, `mqtts://`, `unix:///PATH`. User and
    /// password in the address are refused: they have keys of their own.
    package init?(written text: String) {
        if text == "embedded" {
            self = .embeddedDefault
            return
        }
        guard let separator = text.firstRange(of: "://") else { return nil }
        let scheme = text[..<separator.lowerBound].lowercased()
        let rest = String(text[separator.upperBound...])
        if scheme == "unix" {
            guard rest.hasPrefix("/"), rest.utf8.count <= Self.socketPathBytesMax, !rest.contains("\u{0}") else {
                return nil
            }
            self = .unix(path: rest)
            return
        }
        let port = scheme == "mqtts" ? Self.portDefaultTLS : Self.portDefault
        guard let authority = Self.authority(rest, portDefault: port) else { return nil }
        switch scheme {
        case "embedded": self = .embedded(host: authority.host, port: authority.port)
        case "mqtt": self = .tcp(host: authority.host, port: authority.port, tls: false)
        case "mqtts": self = .tcp(host: authority.host, port: authority.port, tls: true)
        default: return nil
        }
    }

    /// `host`, `host:port`, `[::1]`, `[::1]:port`, with or without a final slash.
    static func authority(_ text: String, portDefault: Int) -> (host: String, port: Int)? {
        var rest = text[...]
        if rest.last == "/" { rest.removeLast() }
        let host: Substring
        if rest.first == "[" {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            host = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
        } else {
            host = rest.prefix { $0 != ":" }
            rest = rest[host.endIndex...]
        }
        let allowed = host.utf8.allSatisfy { byte in
            (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                || [UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":")].contains(byte)
        }
        guard !host.isEmpty, host.utf8.count <= 253, allowed else { return nil }
        if rest.isEmpty { return (String(host), portDefault) }
        guard rest.first == ":", let port = Int(rest.dropFirst()), (1...65_535).contains(port) else { return nil }
        return (String(host), port)
    }
}

/// A text that no log, state or error may show.
package struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let text: String
    package init(_ text: String) { self.text = text }

    /// For the one call that needs it.
    package func reveal() -> String { text }
    package var description: String { Self.mask }
    package var debugDescription: String { Self.mask }
    /// `dump` and `String(reflecting:)` see nothing either.
    package var customMirror: Mirror { Mirror(self, children: []) }
    package static let mask = "********"
}
