internal import Domain

/// `mediamtx`.
extension ConfigurationReader {
    private static let mediaServerKeys = [
        "api", "rtsp", "public_rtsp", "username", "password", "config_file", "publish", "hook_listen", "hook_url",
    ]

    /// Nil without the section.
    mutating func mediaServer(_ field: Field?) -> MediaServerSettings? {
        guard let field else { return nil }
        let fields = fields(field, known: Self.mediaServerKeys)
        let base = MediaServerSettings()
        let rtsp = address(fields["rtsp"], or: base.rtsp, scheme: "rtsp", port: 8554)
        let listen = value(
            fields["hook_listen"], or: base.hookListen, expected: "HOST:PORT, such as 127.0.0.1:9921",
            HostAndPort.init(written:))
        if let field = fields["hook_listen"], !Self.isLoopback(listen.host), fields["hook_url"] == nil {
            report(
                "beyond loopback the media server must be told how it reaches this host: set mediamtx.hook_url",
                at: field)
        }
        if (fields["username"] == nil) != (fields["password"] == nil) {
            report("username and password go together", at: field)
        }
        let (username, password) = (text(fields["username"]), text(fields["password"]))
        do throws(CodedError) {
            _ = try RTSPLogin(username: username ?? "", password: username == nil ? "" : password ?? "")
        } catch {
            report(error.message, at: fields["username"] ?? field)
        }
        return MediaServerSettings(
            api: address(fields["api"], or: base.api, scheme: "http", port: 9997), rtsp: rtsp,
            publicRTSP: address(fields["public_rtsp"], or: rtsp, scheme: "rtsp", port: 8554),
            username: username, password: password.map(Secret.init),
            configFile: path(fields["config_file"]), publish: word(fields["publish"], or: base.publish),
            hookListen: listen,
            hookURL: fields["hook_url"].map { address($0, or: base.hookURL, scheme: "http", port: 9921) })
    }

    // MARK: Cameras of the media server's own

    /// What the media server would not take as a source, in words that do not quote it; nil if nothing. In the server's
    /// file such an address would end it, and with it every camera's live view.
    static func faultOfPulled(_ url: String) -> String? {
        guard let scheme = url.firstRange(of: "://") else { return nil }
        let rest = url[scheme.upperBound...]
        guard !rest.contains("#") else { return "the media server takes no # in an address; as a letter it is %23" }
        guard rest.unicodeScalars.allSatisfy({ $0.value > 0x20 && $0.value != 0x7F }) else {
            return "no control characters belong in an address"
        }
        guard isCoded(rest.prefix { $0 != "?" }) else {
            return "in an address % begins a byte such as %2F; as a letter it is %25"
        }
        let authority = rest.prefix { !"/?".contains($0) }
        let at = authority.lastIndex(of: "@")
        let host = at.map { authority[authority.index(after: $0)...] } ?? authority
        guard HostAndPort(written: String(host), portDefault: 554) != nil else {
            return "expected HOST or HOST:PORT, and in a password %2F for / and %3F for ?"
        }
        guard let at else { return nil }
        let login = authority[..<at]
        guard let colon = login.firstIndex(of: ":"), colon != login.startIndex, login.index(after: colon) != at else {
            return "the media server wants user and password, or neither"
        }
        return login.utf8.allSatisfy(isOfLogin) ? nil : "of signs, a login may hold -._~!$&'()*+,;=:@ and %XX"
    }

    private static func isCoded(_ text: Substring) -> Bool {
        let parts = text.split(separator: "%", omittingEmptySubsequences: false).dropFirst()
        return parts.allSatisfy { $0.prefix(2).count == 2 && $0.prefix(2).allSatisfy(\.isHexDigit) }
    }

    /// RFC 3986 section 3.2.1, and what the server's own reader lets pass.
    private static func isOfLogin(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) && byte < 0x80
            || "-._~!$&'()*+,;=:@%".utf8.contains(byte)
    }

    /// `SCHEME://HOST[:PORT]` and nothing else; credentials have keys of their own.
    private mutating func address(_ field: Field?, or fallback: String, scheme: String, port: Int) -> String {
        value(
            field, or: fallback, expected: "\(scheme)://HOST:PORT without user, password and path"
        ) { text in
            guard text.lowercased().hasPrefix("\(scheme)://"),
                let place = HostAndPort(written: String(text.dropFirst(scheme.count + 3)), portDefault: port)
            else { return nil }
            return "\(scheme)://\(place)"
        }
    }
}

extension HostAndPort {
    /// Nil for anything but `host:port`, `[::1]:port` and, with a default, the same without a port.
    package init?(written text: String, portDefault: Int) {
        guard let (host, port) = BrokerURL.authority(text, portDefault: portDefault) else { return nil }
        self.init(host: host, port: port)
    }

    init?(written text: String) {
        guard text.contains(":") else { return nil }
        self.init(written: text, portDefault: 0)
        guard port > 0 else { return nil }
    }
}
