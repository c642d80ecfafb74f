/// `broker`.
extension ConfigurationReader {
    mutating func broker(_ field: Field?) -> BrokerSettings {
        let fields = fields(field, known: ["url", "username", "password", "tls", "topic_root"])
        let url = value(
            fields["url"], or: .embeddedDefault,
            expected:
                "embedded, embedded://HOST:PORT, mqtt://HOST, mqtts://HOST or unix:///PATH, without user and password",
            BrokerURL.init(written:))
        var settings = BrokerSettings(
            url: url, username: text(fields["username"]), password: text(fields["password"]).map(Secret.init),
            tls: tls(fields["tls"]),
            topicRoot: value(
                fields["topic_root"], or: BrokerSettings.topicRootDefault,
                expected: "topic levels such as framekeeper or home/framekeeper", Self.topicRoot))
        if let tls = fields["tls"] {
            if case .tcp(_, _, tls: true) = url {
            } else {
                report("only for mqtts:// addresses", at: tls)
                settings.tls = BrokerSettings.TLSFiles()
            }
        }
        if case .embedded(let host, _) = url, !Self.isLoopback(host), let field = fields["url"],
            settings.username == nil || settings.password == nil
        {
            report("a broker that listens beyond loopback needs broker.username and broker.password", at: field)
        }
        return settings
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host.hasPrefix("127.")
    }

    private mutating func tls(_ field: Field?) -> BrokerSettings.TLSFiles {
        let fields = fields(field, known: ["ca", "cert", "key"])
        if let field, (fields["cert"] == nil) != (fields["key"] == nil) {
            report("cert and key go together", at: field)
        }
        return BrokerSettings.TLSFiles(
            ca: path(fields["ca"]), cert: path(fields["cert"]), key: path(fields["key"]))
    }

    /// Levels that a broker and an ACL take as they are (MQTT 5.0 section 4.7): no wildcard, no empty level, not `$…`.
    private static func topicRoot(_ text: String) -> String? {
        let levels = text.split(separator: "/", omittingEmptySubsequences: false)
        let isPlain = levels.allSatisfy { level in
            !level.isEmpty
                && level.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20) || byte == 0x2D || byte == 0x5F
                }
        }
        return isPlain && text.utf8.count <= 128 ? text : nil
    }
}
