internal import Domain

/// Addresses that a camera here can have.
extension CommandReading {
    /// The same check that the configuration makes.
    /// - Parameter isLiteral: a `$` in it is one, and no variable.
    func checked(_ source: String, isLiteral: Bool = false) throws(Untranslated) -> Translation {
        guard isLiteral || !source.contains("$") else {
            throw Untranslated("its input has a variable in it, which only the media server can fill in")
        }
        do throws(CodedError) {
            _ = try SourceAddress(source)
            return Translation(source: source)
        } catch {
            throw Untranslated("its input does not fit: \(error.message)")
        }
    }

    /// The two variables of the server whose values stand in its file.
    func filled(_ address: String) -> String {
        var text = address
        for (name, value) in [("MTX_PATH", path), ("RTSP_PORT", listeners.port ?? "")] where !value.isEmpty {
            text = text.replacing("${\(name)}", with: value).replacing("$\(name)", with: value)
        }
        return text
    }

    /// An input of the kinds that both programs have: `rtsp://`, or a file.
    func source(at written: String, loops: Bool, fedBy feeder: String?) throws(Untranslated) -> Translation {
        let address = filled(written)
        if address == "-" || Self.pipes.contains(where: address.hasPrefix) {
            throw Untranslated(
                "its input is a pipe" + (feeder.map { " that \($0) fills" } ?? "") + ", which no camera here can be")
        }
        guard let scheme = Self.scheme(of: address) else { return try file(address, loops: loops) }
        switch scheme.lowercased() {
        case "rtsp", "rtsps": return try stream(scheme.lowercased() + address.dropFirst(scheme.count))
        case "file":
            let rest = address.dropFirst(scheme.count + 1)
            return try file(String(rest.hasPrefix("//") ? rest.dropFirst(2) : rest), loops: loops)
        default: throw Untranslated("its input is \(scheme):…, which no camera here can be")
        }
    }

    private static let pipes = ["pipe:", "fd:", "/dev/stdin", "/dev/fd/", "/proc/self/fd/"]

    /// As ffmpeg takes the begin of an address for a protocol, with or without slashes.
    private static func scheme(of address: String) -> String? {
        guard let colon = address.firstIndex(of: ":"), colon != address.startIndex else { return nil }
        let scheme = address[..<colon]
        let isScheme = scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.,".contains($0)) }
        return isScheme ? String(scheme) : nil
    }

    private func stream(_ address: String) throws(Untranslated) -> Translation {
        var translation = try checked(address)
        if let own = listeners.path(at: address) {
            guard own != path else { throw Untranslated("its input is the path itself, at this media server") }
            translation.remarks.append(
                "its input is the path \(own) of this media server, not a camera: better use that path's own source")
        }
        return translation
    }

    private func file(_ path: String, loops: Bool) throws(Untranslated) -> Translation {
        guard !path.contains("?"), !path.isEmpty else {
            throw Untranslated("its input is nothing, or a file with a '?' in its name")
        }
        let isAbsolute = path.hasPrefix("/")
        var translation = try checked("file://\(isAbsolute ? path : "\(folder)/\(path)")" + (loops ? "?loop=1" : ""))
        if !isAbsolute { translation.remarks.append("the relative path of its input is taken to begin at \(folder)") }
        return translation
    }

    // MARK: What is wished of a webcam or of the test pattern

    /// `?size=…&fps=…&format=…`, and what of it could not be kept.
    static func query(
        size: String?, rate: String?, kind: PictureKind? = nil
    ) -> (text: String, remarks: [String]) {
        var items: [String] = []
        var remarks: [String] = []
        if let size {
            let sides = sizes[size] ?? size
            let isSize = sides.split(separator: "x").filter { Int($0) != nil }.count == 2
            if isSize { items.append("size=\(sides)") } else { remarks.append("the picture size \(size) is left out") }
        }
        if let rate {
            let whole = rate.hasSuffix("/1") ? String(rate.dropLast(2)) : rate
            if Int(whole) != nil {
                items.append("fps=\(whole)")
            } else {
                remarks.append("the frame rate \(rate) is left out, since it is not a whole number")
            }
        }
        if let kind { items.append("format=\(kind.rawValue)") }
        return (items.isEmpty ? "" : "?" + items.joined(separator: "&"), remarks)
    }

    static let patternRemark = "the test picture is Framekeeper's own"

    /// ffmpeg's names for sizes that webcams have (libavutil/parseutils.c).
    private static let sizes = [
        "qvga": "320x240", "vga": "640x480", "svga": "800x600", "hd480": "852x480", "hd720": "1280x720",
        "hd1080": "1920x1080", "uhd2160": "3840x2160",
    ]
}

extension MediaServerImport.Encoder {
    /// - Returns: false if no camera can have it.
    mutating func take(bitrate: Double?) -> Bool {
        guard let bitrate, EncoderSettings.bitrateRange.contains(bitrate) else { return false }
        self.bitrate = Int(bitrate.rounded())
        return true
    }

    mutating func take(preset: String) -> Bool {
        guard EncoderSettings.presets.contains(preset) else { return false }
        self.preset = preset
        return true
    }

    /// The other program counts frames; here it is a time.
    mutating func take(gopFrames: Double?, rate: Double?) -> Bool {
        guard let gopFrames, let rate, rate > 0, gopFrames >= 0,
            let gop = Duration(wholeSeconds: (gopFrames / rate * 1000).rounded() / 1000),
            EncoderSettings.gopRange.contains(gop)
        else { return false }
        self.gop = gop
        return true
    }

    /// `30`, `29.97`, `30000/1001`.
    static func rate(_ text: String) -> Double? {
        let halves = text.split(separator: "/", omittingEmptySubsequences: false).map { Double($0) }
        switch halves.count {
        case 1: return halves[0]
        case 2: return halves[0].flatMap { over in halves[1].flatMap { $0 > 0 ? over / $0 : nil } }
        default: return nil
        }
    }
}
