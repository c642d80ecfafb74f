internal import Domain

/// `metrics`.
extension ConfigurationReader {
    mutating func metrics(_ field: Field?) -> MetricsSettings {
        let fields = fields(field, known: ["listen", "token", "history", "read_only", "allow_origins"])
        var settings = MetricsSettings()
        settings.listen = value(
            fields["listen"], or: settings.listen, expected: "HOST:PORT, such as 127.0.0.1:9920",
            HostAndPort.init(written:))
        settings.history = flag(fields["history"], or: settings.history)
        settings.readOnly = flag(fields["read_only"], or: settings.readOnly)
        settings.token = token(fields["token"])
        if let listen = fields["listen"], !Self.isLoopback(settings.listen.host), fields["token"] == nil {
            report("a listener beyond loopback needs metrics.token", at: listen)
        }
        let origins = items(fields["allow_origins"])
        if origins.count > MetricsSettings.originsMax {
            report("at most \(MetricsSettings.originsMax) origins", at: origins[MetricsSettings.originsMax])
        }
        settings.allowOrigins = origins.prefix(MetricsSettings.originsMax).compactMap { origin($0) }
        return settings
    }

    /// A wrong token is never quoted.
    private mutating func token(_ field: Field?) -> Secret? {
        guard let field, let text = text(field) else { return nil }
        guard MetricsSettings.isToken(text) else {
            let range = MetricsSettings.tokenLengthRange
            report(
                "expected \(range.lowerBound) to \(range.upperBound) letters, digits, '-', '_', '.' or '~'", at: field)
            return nil
        }
        return Secret(text)
    }

    private mutating func origin(_ field: Field) -> String? {
        let origin = value(field, or: "", expected: "an origin such as https://panel.lan, without a path") { text in
            MetricsSettings.isOrigin(text) ? text : nil
        }
        return origin.isEmpty ? nil : origin
    }
}
