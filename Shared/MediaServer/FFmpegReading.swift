internal import Domain

/// One ffmpeg of a hook command: its input as a camera's source, and what its encoder is told as the camera's encoder.
struct FFmpegReading {
    private struct Input {
        var options = FFmpegOptions()
        var address = ""
    }

    /// A camera on its way.
    private struct Draft {
        var camera: CommandReading.Translation
        /// What a camera has no word for.
        var missed: [String] = []
        /// Pictures a second, if they are encoded here.
        var rate: Double?
        var isEncoded = false
    }

    private let hook: CommandReading
    private let feeder: String?
    private var inputs: [Input] = []
    /// Those of the outputs.
    private var options = FFmpegOptions()
    private var outputCount = 0

    /// - Parameter words: what follows the program's name.
    init(_ words: ArraySlice<String>, hook: CommandReading, feeder: String?) {
        self.hook = hook
        self.feeder = feeder
        var rest = words
        while let word = rest.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else {
                outputCount += 1
                continue
            }
            let name = String(word.dropFirst())
            let next = rest.first ?? ""
            if name == "i" {
                inputs.append(Input(options: options, address: next))
                (options, outputCount) = (FFmpegOptions(), 0)
                rest = rest.dropFirst()
            } else if !FFmpegOptions.flags.contains(name), !next.hasPrefix("-") || Double(next) != nil {
                options.append(name, next)
                rest = rest.dropFirst()
            } else {
                options.append(name, "")
            }
        }
    }

    func read() throws(CommandReading.Untranslated) -> CommandReading.Translation {
        guard !inputs.isEmpty else { throw CommandReading.Untranslated("its ffmpeg has no input") }
        var reasons: [String] = []
        for input in inputs {
            do throws(CommandReading.Untranslated) {
                var draft = try draft(of: input)
                takeOutput(into: &draft)
                return finished(draft)
            } catch {
                reasons.append(error.reason)
            }
        }
        throw CommandReading.Untranslated(reasons.joined(separator: "; "))
    }

    private func finished(_ draft: Draft) -> CommandReading.Translation {
        var camera = draft.camera
        if inputs.count > 1 { camera.remarks.append("only one of the \(inputs.count) inputs of its ffmpeg is taken") }
        if outputCount > 1 { camera.remarks.append("its ffmpeg has \(outputCount) outputs; a camera has its path") }
        var seen: Set<String> = []
        let missed = draft.missed.filter { seen.insert($0).inserted }
        if !missed.isEmpty {
            camera.remarks.append("not carried over from its ffmpeg: \(missed.joined(separator: ", "))")
        }
        return camera
    }

    // MARK: The input

    private func draft(of input: Input) throws(CommandReading.Untranslated) -> Draft {
        var options = input.options
        let format = options.take("f")
        let isMute = options.take("an") != nil
        let address = hook.filled(input.address)
        switch format {
        case "lavfi"?: return try pattern(address, options)
        case "v4l2"?, "video4linux2"?: return try webcam(address, options)
        case nil where address.hasPrefix("/dev/video") || address.hasPrefix("/dev/v4l/"):
            return try webcam(address, options)
        case nil, "rtsp"?, "mp4"?, "mov"?, "matroska"?, "mpegts"?, "h264"?, "hevc"?, "flv"?: break
        case let other?: throw CommandReading.Untranslated("its input is of the kind \(other)")
        }
        let loops = options.take("stream_loop") ?? "0"
        var draft = Draft(camera: try hook.source(at: address, loops: loops != "0", fedBy: feeder))
        if loops != "0", loops != "-1" { draft.camera.remarks.append("the file begins again for ever") }
        draft.camera.hasAudio = !isMute
        draft.missed = options.missed
        return draft
    }

    private func webcam(_ device: String, _ options: FFmpegOptions) throws(CommandReading.Untranslated) -> Draft {
        var options = options
        let size = options.take("video_size", "s")
        let rate = options.take("framerate", "r")
        let format = options.take("input_format", "pixel_format", "pix_fmt")
        let kind = format.flatMap(Self.kind)
        let (query, left) = CommandReading.query(size: size, rate: rate, kind: kind)
        var draft = Draft(camera: try hook.checked("v4l2://\(device)\(query)"), isEncoded: true)
        draft.camera.remarks += left
        if let format, kind == nil {
            draft.camera.remarks.append("the pixel format is chosen by itself (-input_format \(format))")
        }
        draft.missed = options.missed
        draft.rate = rate.flatMap(MediaServerImport.Encoder.rate)
        return draft
    }

    /// A codec's name, or that of a layout of raw pictures (`ffmpeg -codecs`, `ffmpeg -pix_fmts`).
    private static func kind(_ format: String) -> PictureKind? {
        switch format {
        case "h264": .h264
        case "hevc": .h265
        case "mjpeg": .mjpeg
        case "rawvideo": .raw
        default: rawStems.contains(where: format.hasPrefix) ? .raw : nil
        }
    }

    private static let rawStems = [
        "yuv", "yuyv", "uyvy", "uyyvyy", "yvyu", "nv12", "nv16", "nv21", "nv24", "rgb", "bgr", "argb", "abgr", "0rgb",
        "0bgr", "gray", "bayer", "mono",
    ]

    /// `testsrc=size=1280x720:rate=30`.
    private func pattern(_ graph: String, _ options: FFmpegOptions) throws(CommandReading.Untranslated) -> Draft {
        let source = graph.prefix { $0 != "," && $0 != "[" }
        let halves = source.split(separator: "=", maxSplits: 1)
        let name = halves.first.map(String.init) ?? ""
        guard name.contains("testsrc") || name.contains("smpte") || name == "color" || name.contains("bars") else {
            throw CommandReading.Untranslated("its input is the ffmpeg filter \(name)")
        }
        var values: [Substring: Substring] = [:]
        for value in (halves.count > 1 ? halves[1] : "").split(separator: ":") {
            let pair = value.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { values[pair[0]] = pair[1] }
        }
        let rate = String(values["rate"] ?? values["r"] ?? "25")
        let (query, left) = CommandReading.query(
            size: String(values["size"] ?? values["s"] ?? "320x240"), rate: rate)
        var draft = Draft(camera: try hook.checked("test://pattern\(query)"), isEncoded: true)
        draft.camera.remarks += left + [CommandReading.patternRemark]
        draft.missed = options.missed
        draft.rate = MediaServerImport.Encoder.rate(rate)
        return draft
    }

    // MARK: The output

    private func takeOutput(into draft: inout Draft) {
        var options = options
        // The way to the media server is the worker's own.
        _ = options.take("rtsp_transport")
        let codec = options.take("c", "codec")
        let picture = options.take("c:v", "codec:v", "vcodec") ?? codec
        let sound = options.take("c:a", "codec:a", "acodec") ?? codec
        let maps = options.takeAll("map")
        let isMute = options.take("an") != nil || !maps.isEmpty && maps.allSatisfy { $0.hasPrefix("0:v") }
        if draft.isEncoded {
            takeEncoder(picture, &options, into: &draft)
        } else {
            // What comes compressed is kept as it comes.
            if let picture, picture != "copy" { draft.missed.append("-c:v \(picture)") }
            if let sound, sound != "copy", !isMute { draft.missed.append("-c:a \(sound)") }
            if isMute { draft.camera.hasAudio = false }
        }
        if maps.contains(where: { !$0.hasPrefix("0") }) { draft.missed.append("-map") }
        draft.missed += options.missed
    }

    /// Pictures are encoded as H.264, whatever the command says.
    private func takeEncoder(_ codec: String?, _ options: inout FFmpegOptions, into draft: inout Draft) {
        let isH264 = codec.map { $0 == "copy" || $0.contains("264") } ?? true
        if let codec, !isH264 { draft.missed.append("-c:v \(codec)") }
        if let rate = options.take("r", "r:v") {
            let number = MediaServerImport.Encoder.rate(rate)
            if number == nil || number != draft.rate { draft.missed.append("-r") }
            draft.rate = number ?? draft.rate
        }
        if let bitrate = options.take("b:v", "b", "vb"),
            !isH264 || !draft.camera.encoder.take(bitrate: Self.number(bitrate))
        {
            draft.missed.append("-b:v")
        }
        // Other encoders have presets of their own, some by the same names.
        let isX264 = codec.map { $0 == "libx264" || $0 == "h264" } ?? true
        if let preset = options.take("preset", "preset:v"), !isX264 || !draft.camera.encoder.take(preset: preset) {
            draft.missed.append("-preset")
        }
        if let frames = options.take("g", "g:v"),
            !draft.camera.encoder.take(gopFrames: Double(frames), rate: draft.rate)
        {
            draft.missed.append(draft.rate == nil ? "-g (the frame rate is not known)" : "-g")
        }
    }

    /// `2M`, `2500k`, `800000` (`av_strtod`).
    private static func number(_ text: String) -> Double? {
        let factor: Double? =
            switch text.last {
            case "k"?, "K"?: 1e3
            case "M"?: 1e6
            case "G"?: 1e9
            default: nil
            }
        return Double(factor == nil ? text[...] : text.dropLast()).map { $0 * (factor ?? 1) }
    }
}
