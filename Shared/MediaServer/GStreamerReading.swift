internal import Domain

/// One `gst-launch` of a hook command: its source element as a camera's source.
struct GStreamerReading {
    private struct Element {
        var name: String
        var properties: [String: String] = [:]

        /// `video/x-raw` and the like: what is asked of the elements on both sides.
        var isCaps: Bool { name.contains("/") }
    }

    private let hook: CommandReading
    private let feeder: String?
    private var elements: [Element] = []

    /// - Parameter words: what follows the program's name.
    init(_ words: ArraySlice<String>, hook: CommandReading, feeder: String?) {
        self.hook = hook
        self.feeder = feeder
        for word in words where word != "!" && !word.hasPrefix("-") { take(word) }
    }

    /// An element, one property of the last element, or caps, which stand in one word (`video/x-raw,width=1280`) or in
    /// several.
    private mutating func take(_ word: String) {
        let head = word.prefix { $0 != "=" && $0 != "," }
        if head.contains("/") { return takeCaps(word) }
        guard let last = elements.indices.last, word.contains("=") || elements[last].isCaps, head != word[...] else {
            // `name.` only joins branches.
            if !word.hasSuffix(".") { elements.append(Element(name: word)) }
            return
        }
        guard !elements[last].isCaps else { return takeFields(word) }
        let value = String(word.dropFirst(head.count + 1))
        if head == "caps" { takeCaps(value) } else { elements[last].properties[String(head)] = value }
    }

    private mutating func takeCaps(_ word: String) {
        let kind = word.prefix { $0 != "," && $0 != "(" }
        elements.append(Element(name: String(kind)))
        takeFields(String(word.dropFirst(kind.count)))
    }

    /// `width=(int)1280,height=720`.
    private mutating func takeFields(_ text: String) {
        for field in text.split(separator: ",") {
            let pair = field.split(separator: "=", maxSplits: 1)
            guard pair.count == 2 else { continue }
            let value = pair[1].hasPrefix("(") ? pair[1].drop { $0 != ")" }.dropFirst() : pair[1]
            elements[elements.count - 1].properties[pair[0].trimmed] = value.trimmed
        }
    }

    // MARK: The source

    func read() throws(CommandReading.Untranslated) -> CommandReading.Translation {
        let sources = elements.indices.filter { Self.isSource(elements[$0]) }
        guard !sources.isEmpty else {
            throw CommandReading.Untranslated(
                "its GStreamer source is none of v4l2src, rtspsrc, filesrc and videotestsrc")
        }
        var reasons: [String] = []
        for index in sources {
            do throws(CommandReading.Untranslated) {
                return try camera(index)
            } catch {
                reasons.append(error.reason)
            }
        }
        throw CommandReading.Untranslated(reasons.joined(separator: "; "))
    }

    private static func isSource(_ element: Element) -> Bool {
        !element.isCaps && (element.name.hasSuffix("src") || places[element.name] != nil)
    }

    /// The property that says where the pictures are.
    private static let places = [
        "rtspsrc": "location", "filesrc": "location", "v4l2src": "device", "uridecodebin": "uri", "playbin": "uri",
        "urisourcebin": "uri",
    ]

    private func camera(_ index: Int) throws(CommandReading.Untranslated) -> CommandReading.Translation {
        var source = elements[index]
        let caps = elements.indices.first { $0 > index && elements[$0].isCaps }
        let wish = caps.map { elements[$0].properties } ?? [:]
        let size = wish["width"].flatMap { width in wish["height"].map { "\(width)x\($0)" } }
        var camera: CommandReading.Translation
        let isEncoded = source.name == "v4l2src" || source.name == "videotestsrc"
        if isEncoded {
            let kind = caps.flatMap { Self.kinds[elements[$0].name] }
            let (query, left) = CommandReading.query(size: size, rate: wish["framerate"], kind: kind)
            let device = source.properties.removeValue(forKey: "device") ?? "/dev/video0"
            camera = try hook.checked(source.name == "v4l2src" ? "v4l2://\(device)\(query)" : "test://pattern\(query)")
            camera.remarks += left
            if source.name == "videotestsrc" { camera.remarks.append(CommandReading.patternRemark) }
        } else {
            let named = Self.places[source.name].flatMap { source.properties.removeValue(forKey: $0) }
            guard let place = source.name == "fdsrc" ? "-" : named else {
                throw CommandReading.Untranslated("its GStreamer source is \(source.name)")
            }
            camera = try hook.source(at: place, loops: false, fedBy: feeder)
        }
        var missed = Self.missed(source)
        for other in elements.indices where other != index && other != caps {
            missed += take(elements[other], isEncoded: isEncoded, rate: wish["framerate"], &camera)
        }
        if !missed.isEmpty {
            camera.remarks.append("not carried over from its GStreamer pipeline: \(missed.joined(separator: ", "))")
        }
        return camera
    }

    /// Raw pictures are what an encoder is given, and no wish for what the webcam sends.
    private static let kinds: [String: PictureKind] = [
        "image/jpeg": .mjpeg, "video/x-h264": .h264, "video/x-h265": .h265,
    ]

    // MARK: The rest of the pipeline

    /// - Returns: what of the element a camera has no word for.
    private func take(
        _ element: Element, isEncoded: Bool, rate: String?, _ camera: inout CommandReading.Translation
    ) -> [String] {
        if element.isCaps {
            let changes = ["width", "height", "framerate"].filter { element.properties[$0] != nil }
            return changes.isEmpty ? [] : ["\(element.name) \(changes.joined(separator: " "))"]
        }
        guard element.name == "x264enc", isEncoded else {
            return Self.settled.contains(element.name) ? [] : [element.name]
        }
        var element = element
        for (key, value) in element.properties {
            let isTaken =
                switch key {
                // In kbit/s.
                case "bitrate": camera.encoder.take(bitrate: Double(value).map { $0 * 1000 })
                case "speed-preset": camera.encoder.take(preset: value)
                case "key-int-max":
                    camera.encoder.take(
                        gopFrames: Double(value), rate: rate.flatMap(MediaServerImport.Encoder.rate))
                default: false
                }
            if isTaken { element.properties[key] = nil }
        }
        return Self.missed(element)
    }

    /// By their names alone: a value may be a secret.
    private static func missed(_ element: Element) -> [String] {
        element.properties.filter { key, value in
            !settledProperties.contains(key) && !settledProperties.contains("\(key)=\(value)")
        }
        .keys.sorted().map { "\(element.name) \($0)" }
    }

    /// Of no meaning to a camera, or what its worker does by itself.
    private static let settledProperties: Set<String> = [
        "name", "latency", "do-timestamp", "is-live", "protocols=tcp", "tune=zerolatency",
    ]
    private static let settled: Set<String> = [
        "queue", "queue2", "videoconvert", "autovideoconvert", "capsfilter", "decodebin", "decodebin3", "parsebin",
        "jpegdec", "avdec_h264", "avdec_h265", "h264parse", "h265parse", "rtph264depay", "rtph265depay", "rtpjpegdepay",
        "qtdemux", "matroskademux", "tsdemux", "rtspclientsink",
    ]
}

extension StringProtocol {
    fileprivate var trimmed: String {
        let tail = drop { $0.isWhitespace }
        guard let last = tail.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(tail[...last])
    }
}
