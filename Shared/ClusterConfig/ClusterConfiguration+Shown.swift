internal import Domain

/// A tree of texts, numbers and flags in a fixed order: what `config show` prints as YAML or as JSON.
package indirect enum ShownValue: Sendable, Hashable {
    case text(String)
    case number(Double)
    case flag(Bool)
    case list([ShownValue])
    case map([(key: String, value: ShownValue)])

    package static func == (left: ShownValue, right: ShownValue) -> Bool { left.json == right.json }
    package func hash(into hasher: inout Hasher) { hasher.combine(json) }
}

extension ClusterConfiguration {
    /// The configuration as it holds after defaults, environment and flags; the keys are those of the file. Passwords
    /// are masked, sources stand without their credentials and secrets.
    package var shown: ShownValue {
        var keys: [(key: String, value: ShownValue)] = [
            ("node", .text(node.rawValue)), ("state_dir", .text(stateDir)), ("broker", broker.shown),
            ("storage", storage.shown), ("rotation", rotation.shown), ("lifecycle", lifecycle.shown),
        ]
        if let mediaServer { keys.append(("mediamtx", mediaServer.shown)) }
        keys.append(("health", health.shown))
        keys.append(("metrics", metrics.shown))
        keys.append(("cameras", .map(cameras.map { ($0.id.rawValue, $0.shown) })))
        return .map(keys)
    }
}

extension BrokerSettings {
    fileprivate var shown: ShownValue {
        var keys: [(key: String, value: ShownValue)] = [("url", .text(url.description))]
        if let username { keys.append(("username", .text(username))) }
        if let password { keys.append(("password", .text(password.description))) }
        let files = [("ca", tls.ca), ("cert", tls.cert), ("key", tls.key)]
        let named = files.compactMap { key, path in path.map { (key: key, value: ShownValue.text($0)) } }
        if !named.isEmpty { keys.append(("tls", .map(named))) }
        keys.append(("topic_root", .text(topicRoot)))
        return .map(keys)
    }
}

extension MediaServerSettings {
    fileprivate var shown: ShownValue {
        var keys: [(key: String, value: ShownValue)] = [
            ("api", .text(api)), ("rtsp", .text(rtsp)), ("public_rtsp", .text(publicRTSP)),
        ]
        if let username { keys.append(("username", .text(username))) }
        if let password { keys.append(("password", .text(password.description))) }
        if let configFile { keys.append(("config_file", .text(configFile))) }
        keys += [
            ("publish", .text(publish.rawValue)), ("hook_listen", .text(hookListen.description)),
            ("hook_url", .text(hookURL)),
        ]
        return .map(keys)
    }
}

extension HealthSettings {
    fileprivate var shown: ShownValue {
        .map([
            ("restart", .flag(restart)),
            ("backoff", .map([("first", .text(backoffFirst.written)), ("most", .text(backoffMost.written))])),
            ("disk_warning", .text(diskWarning.written)), ("clock_offset_max", .text(clockOffsetMax.written)),
        ])
    }
}

extension MetricsSettings {
    fileprivate var shown: ShownValue {
        var keys: [(key: String, value: ShownValue)] = [("listen", .text(listen.description))]
        if let token { keys.append(("token", .text(token.description))) }
        keys += [
            ("history", .flag(history)), ("read_only", .flag(readOnly)),
            ("allow_origins", .list(allowOrigins.map { .text($0) })),
        ]
        return .map(keys)
    }
}

extension StorageSettings {
    fileprivate var shown: ShownValue {
        var limits: [(key: String, value: ShownValue)] = []
        if let maxAge = retention.maxAge { limits.append(("max_age", .text(maxAge.written))) }
        if let maxSize = retention.maxSize { limits.append(("max_size", .number(Double(maxSize.bytes)))) }
        if let minFree = retention.minFree { limits.append(("min_free", .number(Double(minFree.bytes)))) }
        return .map([
            ("path", .text(path)), ("durability", .text(durability.rawValue)), ("retention", .map(limits)),
        ])
    }
}

extension RotationSettings {
    fileprivate var shown: ShownValue {
        .map([
            ("interval", .text(interval.written)), ("align", .text(align.rawValue)),
            ("stagger", .text(stagger.written)),
        ])
    }
}

extension LifecyclePolicies {
    fileprivate var shown: ShownValue {
        .map(
            [("recording", recording), ("viewing", viewing), ("snapshot", snapshot)].map { name, policy in
                let keys: [(key: String, value: ShownValue)] = [
                    ("close_after", .text(policy.closeAfter.written)), ("restart", .flag(policy.restart)),
                    ("start_timeout", .text(policy.startTimeout.written)),
                ]
                return (key: name, value: .map(keys))
            })
    }
}

extension CameraConfiguration {
    fileprivate var shown: ShownValue {
        var codec: [(key: String, value: ShownValue)] = [
            ("kind", .text(encoder.kind.rawValue)), ("preset", .text(encoder.preset)),
        ]
        if let bitrate = encoder.bitrate { codec.append(("bitrate", .number(Double(bitrate)))) }
        codec.append(("gop", .text(encoder.gop.written)))
        let turned: [(key: String, value: ShownValue)] = controls.keys.sorted().compactMap { name in
            switch controls[name] {
            case .number(let number)?: (name.rawValue, .number(Double(number)))
            case .word(let word)?: (name.rawValue, .text(word))
            case nil: nil
            }
        }
        var keys: [(key: String, value: ShownValue)] = [
            ("source", .text(source.publicText)), ("ingest", .text(ingest.rawValue)), ("node", .text(node.rawValue)),
            ("groups", .list(groups.map { .text($0.rawValue) })), ("record", .text(record.rawValue)),
            ("preroll", .text(preroll.written)), ("audio", .flag(audio)), ("encoder", .map(codec)),
            ("rotation", rotation.shown), ("lifecycle", lifecycle.shown), ("storage", storage.shown),
        ]
        if !turned.isEmpty { keys.append(("controls", .map(turned))) }
        return .map(keys)
    }
}

extension ShownValue {
    package var json: String {
        switch self {
        case .text(let text): Self.quoted(text)
        case .number(let number): Self.printed(number)
        case .flag(let flag): flag ? "true" : "false"
        case .list(let items): "[" + items.map(\.json).joined(separator: ",") + "]"
        case .map(let keys): "{" + keys.map { "\(Self.quoted($0)):\($1.json)" }.joined(separator: ",") + "}"
        }
    }

    package var yaml: String { lines(indent: "").joined(separator: "\n") }

    private func lines(indent: String) -> [String] {
        guard case .map(let keys) = self else { return [indent + inline] }
        return keys.flatMap { key, value in
            if case .map(let inner) = value, !inner.isEmpty {
                return ["\(indent)\(key):"] + value.lines(indent: indent + "  ")
            }
            return ["\(indent)\(key): \(value.inline)"]
        }
    }

    /// A text that YAML could take for something else stands in quotes.
    private var inline: String {
        switch self {
        case .text(let text):
            let isPlain =
                text.utf8.allSatisfy { byte in
                    (0x61...0x7A).contains(byte | 0x20) || (0x2F...0x39).contains(byte) || byte == 0x5F || byte == 0x2E
                        || byte == 0x2D
                } && text.contains { $0.isLetter }
                && !["true", "false", "yes", "no", "on", "off", "null"].contains(text)
            return isPlain ? text : Self.quoted(text)
        case .list(let items): return "[" + items.map(\.inline).joined(separator: ", ") + "]"
        case .map(let keys): return keys.isEmpty ? "{}" : json
        case .number, .flag: return json
        }
    }

    private static func printed(_ number: Double) -> String {
        number == number.rounded() && abs(number) < 1e15 ? String(Int64(number)) : String(number)
    }

    /// RFC 8259 section 7.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
