internal import Domain

/// The translation as Framekeeper's own file.
extension MediaServerImport {
    package enum Secrets: Hashable, Sendable {
        /// As given: for a file that nobody else may read.
        case written
        /// As `${CAMERA_FRONT_PASSWORD}`, to be set in the environment: for everything that somebody may see.
        case fromEnvironment
    }

    /// The variables that `text(.fromEnvironment)` needs, in the order of the cameras.
    package var variables: [String] { cameras.compactMap { Self.hidden($0).variable } }

    package func text(_ secrets: Secrets) -> String {
        var lines = ["# Made from \(Self.oneLine(name)) by framekeeper config import-mediamtx."]
        lines += remarks.map { "#   \($0.path.map { "\(Self.oneLine($0)): " } ?? "")\(Self.oneLine($0.text))" }
        if api != nil || rtsp != nil {
            lines += ["mediamtx:"]
            if let api { lines.append("  api: \(SettingValue.quoted(api))") }
            if let rtsp { lines.append("  rtsp: \(SettingValue.quoted(rtsp))") }
            if let username {
                lines += [
                    "  # Its API wants a user; the password belongs into secrets.yml.",
                    "  # username: \(SettingValue.quoted(username))", "  # password: !secret mediamtx",
                ]
            }
        }
        lines.append(cameras.isEmpty ? "cameras: {}" : "cameras:")
        for camera in cameras { lines += text(of: camera, secrets) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func text(of camera: Camera, _ secrets: Secrets) -> [String] {
        let source =
            switch secrets {
            // What `${` begins would be looked up in the environment.
            case .written:
                camera.source.split(separator: "${", omittingEmptySubsequences: false).joined(separator: "$${")
            case .fromEnvironment: Self.hidden(camera).source
            }
        var lines = ["  \(SettingValue.quoted(camera.id.rawValue)):", "    source: \(SettingValue.quoted(source))"]
        if camera.recordsAlways { lines.append("    record: always") }
        if let rotation = camera.rotation { lines.append("    rotation: {interval: \(rotation.written)}") }
        if let maxAge = camera.maxAge { lines.append("    storage: {retention: {max_age: \(maxAge.written)}}") }
        if !camera.hasAudio { lines.append("    audio: false") }
        if let encoder = Self.text(of: camera.encoder) { lines.append("    encoder: {\(encoder)}") }
        return lines
    }

    private static func text(of encoder: Encoder) -> String? {
        let items = [
            encoder.preset.map { "preset: \($0)" }, encoder.bitrate.map { "bitrate: \(written(bitrate: $0))" },
            encoder.gop.map { "gop: \($0.written)" },
        ]
        let given = items.compactMap { $0 }
        return given.isEmpty ? nil : given.joined(separator: ", ")
    }

    private static func written(bitrate: Int) -> String {
        if bitrate.isMultiple(of: 1_000_000) { return "\(bitrate / 1_000_000)M" }
        return bitrate.isMultiple(of: 1000) ? "\(bitrate / 1000)k" : "\(bitrate)"
    }

    /// A source without its password. Where it cannot be told which part that is, the whole address comes from the
    /// environment.
    private static func hidden(_ camera: Camera) -> (source: String, variable: String?) {
        let source = camera.source
        guard source.hasPrefix("rtsp"), let scheme = source.firstRange(of: "://") else { return (source, nil) }
        let stem = "CAMERA_" + camera.id.rawValue.uppercased().split(separator: "-").joined(separator: "_")
        let rest = source[scheme.upperBound...]
        let authority = rest.prefix { !"/?#".contains($0) }
        let path = rest[authority.endIndex...]
        guard !path.contains("="), !path.contains("@"), !source.contains("$") else {
            return ("${\(stem)_SOURCE}", "\(stem)_SOURCE")
        }
        guard let at = authority.lastIndex(of: "@") else { return (source, nil) }
        guard let colon = authority[..<at].firstIndex(of: ":") else { return (source, nil) }
        return (source[...colon] + "${\(stem)_PASSWORD}" + source[at...], "\(stem)_PASSWORD")
    }

    /// Foreign text in a comment must not end it.
    private static func oneLine(_ text: String) -> String {
        String(
            String.UnicodeScalarView(
                text.unicodeScalars.map {
                    $0.value < 0x20 || (0x7F...0x9F).contains($0.value) || $0.value == 0x2028 || $0.value == 0x2029
                        ? " " : $0
                }))
    }
}
