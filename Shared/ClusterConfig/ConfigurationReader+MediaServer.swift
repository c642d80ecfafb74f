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
        return MediaServerSettings(
            api: address(fields["api"], or: base.api, scheme: "http", port: 9997), rtsp: rtsp,
            publicRTSP: address(fields["public_rtsp"], or: rtsp, scheme: "rtsp", port: 8554),
            username: text(fields["username"]), password: text(fields["password"]).map(Secret.init),
            configFile: path(fields["config_file"]), publish: word(fields["publish"], or: base.publish),
            hookListen: listen,
            hookURL: fields["hook_url"].map { address($0, or: base.hookURL, scheme: "http", port: 9921) })
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
