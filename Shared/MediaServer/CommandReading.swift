/// What a hook command of the media server takes its pictures from. It knows the two programs that people start there,
/// ffmpeg and gst-launch, and their usual inputs; for everything else it says why not.
struct CommandReading {
    enum Outcome: Hashable {
        /// A camera's `source`, and what got lost on the way.
        case source(String, remarks: [String])
        case notTranslated(String)
    }

    /// Relative paths of a command begin here as far as anyone can tell.
    let folder: String

    func read(_ command: String) -> Outcome {
        read(Self.words(command), depth: 0)
    }

    private func read(_ words: [String], depth: Int) -> Outcome {
        let names = words.map { $0.split(separator: "/").last.map(String.init) ?? "" }
        if let shell = names.firstIndex(where: { ["sh", "bash", "dash", "ash"].contains($0) }), depth == 0,
            let flag = words[shell...].firstIndex(of: "-c"), words.indices.contains(flag + 1)
        {
            return read(Self.words(words[flag + 1]), depth: 1)
        }
        if let start = names.firstIndex(of: "ffmpeg") { return ffmpeg(Array(words[(start + 1)...])) }
        if let start = names.firstIndex(where: { $0.hasPrefix("gst-launch") }) {
            return gstreamer(Array(words[(start + 1)...]))
        }
        let name = words.first.map { $0.count > 40 ? "\($0.prefix(40))…" : $0 } ?? "nothing"
        return .notTranslated("its command is neither ffmpeg nor gst-launch: \(name)")
    }

    /// As a shell splits: blanks, quotes, backslashes. Nothing is expanded.
    static func words(_ command: String) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        var isEscaped = false
        for character in command {
            if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\", quote != "'" {
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "'" || character == "\"" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let done = word { words.append(done) }
                word = nil
            } else {
                word = (word ?? "") + String(character)
            }
        }
        if let done = word { words.append(done) }
        return words
    }

    // MARK: ffmpeg

    private struct Input {
        var options: [String: String] = [:]
        var address = ""
    }

    private func ffmpeg(_ words: [String]) -> Outcome {
        let inputs = Self.inputs(words)
        guard !inputs.isEmpty else { return .notTranslated("its ffmpeg has no input") }
        var reasons: [String] = []
        for input in inputs {
            switch read(input) {
            case .source(let source, var remarks):
                if inputs.count > 1 { remarks.append("only one of the \(inputs.count) inputs of its ffmpeg is taken") }
                if words.contains("-vf") || words.contains("-filter_complex") {
                    remarks.append("the picture is not filtered any more (-vf, -filter_complex)")
                }
                return .source(source, remarks: remarks)
            case .notTranslated(let reason): reasons.append(reason)
            }
        }
        return .notTranslated(reasons.joined(separator: "; "))
    }

    private static func inputs(_ words: [String]) -> [Input] {
        var inputs: [Input] = []
        var input = Input()
        var index = 0
        while index < words.count {
            let word = words[index]
            index += 1
            guard word.hasPrefix("-"), word.count > 1 else { continue }
            let value = words.indices.contains(index) ? words[index] : ""
            if word == "-i" {
                input.address = value
                inputs.append(input)
                input = Input()
                index += 1
            } else if !value.hasPrefix("-") || Int(value) != nil {
                input.options[String(word.dropFirst())] = value
                index += 1
            } else {
                input.options[String(word.dropFirst())] = ""
            }
        }
        return inputs
    }

    private func read(_ input: Input) -> Outcome {
        let address = input.address
        guard !address.contains("$") else {
            return .notTranslated("its input has a variable in it, which only the media server can fill in")
        }
        let format = input.options["f"]
        if format == "lavfi" { return pattern(address) }
        if format == "v4l2" || format == "video4linux2" || address.hasPrefix("/dev/video") {
            let (query, left) = Self.query(
                size: input.options["video_size"] ?? input.options["s"],
                rate: input.options["framerate"] ?? input.options["r"])
            let kind = input.options["input_format"]
            return checkedSource(
                "v4l2://\(address)\(query)",
                remarks: left + (kind.map { ["the pixel format is chosen by itself (-input_format \($0))"] } ?? []))
        }
        if address.hasPrefix("rtsp://") || address.hasPrefix("rtsps://") { return checkedSource(address) }
        guard format == nil || ["mp4", "mov", "matroska", "mpegts", "h264", "hevc", "flv"].contains(format) else {
            return .notTranslated("its input is of the kind \(format ?? "")")
        }
        if let scheme = address.firstRange(of: "://"), !address.hasPrefix("file://") {
            return .notTranslated("its input is \(address[..<scheme.upperBound])…, which no camera here can be")
        }
        return file(
            address.hasPrefix("file:") ? String(address.dropFirst(address.hasPrefix("file://") ? 7 : 5)) : address,
            loops: (input.options["stream_loop"] ?? "0") != "0")
    }

    private func file(_ path: String, loops: Bool) -> Outcome {
        guard !path.contains("?"), !path.isEmpty, path != "-" else {
            return .notTranslated("its input is a pipe or a file with a '?' in its name")
        }
        let isAbsolute = path.hasPrefix("/")
        return checkedSource(
            "file://\(isAbsolute ? path : "\(folder)/\(path)")" + (loops ? "?loop=1" : ""),
            remarks: isAbsolute ? [] : ["the relative path of its input is taken to begin at \(folder)"])
    }

    /// `testsrc=size=1280x720:rate=30`.
    private func pattern(_ graph: String) -> Outcome {
        let source = graph.prefix { $0 != "," && $0 != "[" }
        let halves = source.split(separator: "=", maxSplits: 1)
        let name = halves.first.map(String.init) ?? ""
        guard name.contains("testsrc") || name.contains("smpte") || name == "color" || name.contains("bars") else {
            return .notTranslated("its input is the ffmpeg filter \(name)")
        }
        var options: [Substring: Substring] = [:]
        for option in (halves.count > 1 ? halves[1] : "").split(separator: ":") {
            let pair = option.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { options[pair[0]] = pair[1] }
        }
        let (query, left) = Self.query(
            size: String(options["size"] ?? options["s"] ?? "320x240"),
            rate: String(options["rate"] ?? options["r"] ?? "25"))
        return checkedSource("test://pattern\(query)", remarks: left + ["the test picture is Framekeeper's own"])
    }

    /// ffmpeg's names for sizes that webcams have (libavutil/parseutils.c).
    private static let sizes = [
        "qvga": "320x240", "vga": "640x480", "svga": "800x600", "hd480": "852x480", "hd720": "1280x720",
        "hd1080": "1920x1080", "uhd2160": "3840x2160",
    ]

    /// `?size=…&fps=…`, and what of it could not be kept.
    private static func query(size: String?, rate: String?) -> (text: String, remarks: [String]) {
        var items: [String] = []
        var remarks: [String] = []
        if let size {
            let sides = sizes[size] ?? size
            let isSize = sides.split(separator: "x").filter { Int($0) != nil }.count == 2
            if isSize { items.append("size=\(sides)") } else { remarks.append("the picture size \(size) is left out") }
        }
        if let rate {
            if Int(rate) != nil {
                items.append("fps=\(rate)")
            } else {
                remarks.append("the frame rate \(rate) is left out, since it is not a whole number")
            }
        }
        return (items.isEmpty ? "" : "?" + items.joined(separator: "&"), remarks)
    }

    // MARK: GStreamer

    private func gstreamer(_ words: [String]) -> Outcome {
        // A caps filter is one word, `video/x-raw,width=1280,height=720,framerate=30/1`, or several.
        let parts = words.flatMap { $0.split(separator: ",").map { $0.trimmed } }
        func value(_ key: String) -> String? {
            guard let part = parts.first(where: { $0.hasPrefix("\(key)=") }) else { return nil }
            let text = part.dropFirst(key.count + 1)
            let bare = text.hasPrefix("(") ? text.drop { $0 != ")" }.dropFirst() : text
            return String(bare)
        }
        let rate = value("framerate").map { $0.hasSuffix("/1") ? String($0.dropLast(2)) : $0 }
        let size = value("width").flatMap { width in value("height").map { "\(width)x\($0)" } }
        let (query, left) = Self.query(size: size, rate: rate)
        if words.contains("v4l2src") {
            return checkedSource("v4l2://\(value("device") ?? "/dev/video0")\(query)", remarks: left)
        }
        if words.contains("rtspsrc"), let location = value("location") { return checkedSource(location) }
        if words.contains("videotestsrc") {
            return checkedSource("test://pattern\(query)", remarks: left + ["the test picture is Framekeeper's own"])
        }
        return .notTranslated("its GStreamer source is none of v4l2src, rtspsrc and videotestsrc")
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        let tail = drop { $0.isWhitespace }
        guard let last = tail.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(tail[...last])
    }
}
