internal import Domain

/// `cameras.<camera>.encoder` and `cameras.<camera>.controls`.
extension ConfigurationReader {
    /// Names and values are checked by the camera itself, when it is opened.
    mutating func controls(_ field: Field?, source: SourceAddress?) -> [ControlName: ControlSetting] {
        guard let field else { return [:] }
        guard case .v4l2? = source?.kind else {
            if source != nil { report("only for v4l2:// sources", at: field) }
            return [:]
        }
        var settings: [ControlName: ControlSetting] = [:]
        for entry in entries(field) {
            let path = Self.join(field.path, entry.key)
            guard let name = ControlName(rawValue: entry.key) else {
                report("a control's name is 1 to 63 of a-z, 0-9 and '_'", path: path, mark: entry.keyMark)
                continue
            }
            settings[name] = controlSetting(Field(node: entry.value, path: path))
        }
        return settings
    }

    private mutating func controlSetting(_ field: Field) -> ControlSetting? {
        let expected = "a whole number, true or false, the words of a menu, or default"
        return value(field, or: nil, expected: expected) { text -> ControlSetting?? in
            switch text {
            case "true": return .number(1)
            case "false": return .number(0)
            default:
                if let number = Int32(text) { return .number(Int(number)) }
                let isWord = text.utf8.count <= ControlSetting.wordBytesMax && text.contains { $0.isLetter }
                return isWord ? .word(text) : .none
            }
        }
    }

    /// A mapping, or the kind alone.
    mutating func encoder(_ field: Field?) -> EncoderSettings {
        if let field, case .scalar = field.node.content, !field.node.isNull {
            return EncoderSettings(kind: word(field, or: .auto))
        }
        let fields = fields(field, known: ["kind", "preset", "bitrate", "gop"])
        var settings = EncoderSettings(kind: word(fields["kind"], or: .auto))
        if let preset = fields["preset"], let text = text(preset) {
            if EncoderSettings.presets.contains(text) {
                settings.preset = text
            } else {
                report(
                    "expected \(Self.list(EncoderSettings.presets))", at: preset,
                    suggestion: NearestWord.of(text, in: EncoderSettings.presets))
            }
        }
        settings.bitrate = value(
            fields["bitrate"], or: nil, expected: "bits per second from 10k to 1000M, such as 2M or 800k"
        ) { text in Self.bitrate(text).map { .some($0) } }
        settings.gop = duration(fields["gop"], or: settings.gop, in: EncoderSettings.gopRange)
        return settings
    }

    /// `800k`, `2M`, `2.5Mbit/s`, or a bare number of bits per second.
    private static func bitrate(_ text: String) -> Int? {
        var digits = text[...]
        for unit in ["bit/s", "bps"] where digits.hasSuffix(unit) { digits = digits.dropLast(unit.count) }
        while digits.last == " " { digits.removeLast() }
        var factor = 1.0
        switch digits.last {
        case "k"?, "K"?: factor = 1e3
        case "M"?: factor = 1e6
        default: break
        }
        if factor > 1 { digits.removeLast() }
        guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E }), let number = Double(digits),
            EncoderSettings.bitrateRange.contains(number * factor)
        else { return nil }
        return Int((number * factor).rounded())
    }
}
