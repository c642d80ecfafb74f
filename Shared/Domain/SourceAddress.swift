/// Where a camera's pictures come from, read from its `source` in the configuration.
package struct SourceAddress: Hashable, Sendable {
    package let kind: Kind
    /// For logs, states and people: without user, password or query, and without what came from the environment or
    /// the secrets.
    package let publicText: String

    package enum Kind: Hashable, Sendable {
        /// `rtsp://` or `rtsps://`, as given, credentials included: never print it, print `publicText`.
        case rtsp(url: String)
        case file(FileSource)
        case testPattern(TestPattern)
        case v4l2(V4L2Source)
    }

    /// `file:///clip.mp4?loop=1&rate=max`.
    package struct FileSource: Hashable, Sendable {
        package var path: String
        /// Begins again at the end.
        package var loops: Bool
        /// As fast as it is taken, instead of in real time.
        package var atFullSpeed: Bool
        package init(path: String, loops: Bool = false, atFullSpeed: Bool = false) {
            self.path = path
            self.loops = loops
            self.atFullSpeed = atFullSpeed
        }
    }

    /// `test://pattern?size=640x360&fps=15`.
    package struct TestPattern: Hashable, Sendable {
        package var width: Int
        package var height: Int
        package var fps: Int
        package init(width: Int = 640, height: Int = 360, fps: Int = 15) {
            self.width = width
            self.height = height
            self.fps = fps
        }
    }

    /// `v4l2:///dev/video0?size=1280x720&fps=30&format=mjpeg`.
    package struct V4L2Source: Hashable, Sendable {
        /// Below `/dev/`; a name of `/dev/v4l/by-id` stays with the camera wherever it is plugged in.
        package var path: String
        /// What is wished for; the nearest that the camera has is taken.
        package var width: Int?
        package var height: Int?
        package var fps: Int?
        /// Nothing else is taken. Nil: the cheapest to record.
        package var kind: PictureKind?
        package init(
            path: String, width: Int? = nil, height: Int? = nil, fps: Int? = nil, kind: PictureKind? = nil
        ) {
            self.path = path
            self.width = width
            self.height = height
            self.fps = fps
            self.kind = kind
        }
    }

    /// Widths and heights of the test pattern: even, 64 to 7680.
    package static let sideRange = 64...7680
    package static let fpsRange = 1...240
}

extension SourceAddress {
    /// Reads an address; refuses what it does not know with a sentence that names it, but never quotes a secret.
    package init(_ text: ResolvedText) throws(CodedError) {
        kind = try Kind(text)
        publicText = Self.publicText(kind, text)
    }

    package init(_ text: String) throws(CodedError) { try self.init(ResolvedText(written: text)) }

    private init(_ kind: Kind) {
        self.kind = kind
        publicText = Self.publicText(kind)
    }

    package static func rtsp(url: String) -> SourceAddress { SourceAddress(.rtsp(url: url)) }
    package static func file(_ file: FileSource) -> SourceAddress { SourceAddress(.file(file)) }
    package static func testPattern(_ pattern: TestPattern) -> SourceAddress { SourceAddress(.testPattern(pattern)) }
    package static func v4l2(_ device: V4L2Source) -> SourceAddress { SourceAddress(.v4l2(device)) }

    /// A camera at this machine.
    package var isWebcam: Bool { if case .v4l2 = kind { true } else { false } }
}

extension SourceAddress.Kind {
    fileprivate init(_ resolved: ResolvedText) throws(CodedError) {
        let text = resolved.text
        guard let colon = text.firstRange(of: "://") else {
            throw CodedError(.invalidArgument, "expected rtsp://, file:///, test://pattern or v4l2:///dev/…")
        }
        let scheme = text[..<colon.lowerBound].lowercased()
        let rest = String(text[colon.upperBound...])
        let quotes = !resolved.hasSecrets
        switch scheme {
        case "rtsp", "rtsps":
            guard let host = rest.split(separator: "/", omittingEmptySubsequences: false).first, !host.isEmpty,
                !text.contains(where: { $0.isWhitespace || $0 == "\u{0}" })
            else { throw CodedError(.invalidArgument, "\(scheme): expected a host and no white space") }
            self = .rtsp(url: text)
        case "file": self = .file(try Self.file(SourceQuery(rest, quotes: quotes)))
        case "test": self = .testPattern(try Self.testPattern(SourceQuery(rest, quotes: quotes)))
        case "v4l2": self = .v4l2(try Self.v4l2(SourceQuery(rest, quotes: quotes)))
        default:
            let named = quotes ? "\(scheme.prefix(20))" : ResolvedText.mask
            throw CodedError(.invalidArgument, "\(named)://: no such kind of source")
        }
    }

    private static func file(_ query: SourceQuery) throws(CodedError) -> SourceAddress.FileSource {
        var query = query
        guard query.path.hasPrefix("/"), !query.path.contains("\u{0}") else {
            throw CodedError(.invalidArgument, "file: expected an absolute path, file:///…")
        }
        let loops = try query.flag("loop")
        let rate = query.take("rate")
        guard rate == nil || rate == "max" || rate == "1" else {
            throw CodedError(.invalidArgument, "file: rate is 1 or max")
        }
        try query.finish("file")
        return SourceAddress.FileSource(path: query.path, loops: loops, atFullSpeed: rate == "max")
    }

    private static func testPattern(_ query: SourceQuery) throws(CodedError) -> SourceAddress.TestPattern {
        var query = query
        guard query.path == "pattern" else { throw CodedError(.invalidArgument, "test: expected test://pattern") }
        var pattern = SourceAddress.TestPattern()
        if let (width, height) = try query.size("test") {
            guard SourceAddress.sideRange.contains(width), SourceAddress.sideRange.contains(height),
                width.isMultiple(of: 2), height.isMultiple(of: 2)
            else { throw CodedError(.invalidArgument, "test: sides are even, 64 to 7680") }
            (pattern.width, pattern.height) = (width, height)
        }
        if let fps = try query.fps("test") { pattern.fps = fps }
        try query.finish("test")
        return pattern
    }

    private static func v4l2(_ query: SourceQuery) throws(CodedError) -> SourceAddress.V4L2Source {
        var query = query
        guard query.path.hasPrefix("/dev/"), query.path.utf8.count > 5, !query.path.contains("\u{0}"),
            !query.path.split(separator: "/").contains("..")
        else { throw CodedError(.invalidArgument, "v4l2: expected a device below /dev/") }
        let size = try query.size("v4l2")
        let format = query.take("format")
        let kind = format.flatMap(PictureKind.init(rawValue:))
        guard format == nil || kind != nil else {
            let known = PictureKind.allCases.map(\.rawValue).joined(separator: ", ")
            throw CodedError(.invalidArgument, "v4l2: format is one of \(known)")
        }
        let device = SourceAddress.V4L2Source(
            path: query.path, width: size?.width, height: size?.height, fps: try query.fps("v4l2"), kind: kind)
        try query.finish("v4l2")
        return device
    }
}

/// The part of a source address after `://`, taken apart.
private struct SourceQuery {
    let path: String
    /// Whether errors may quote the text.
    private let quotes: Bool
    private var items: [String: String] = [:]

    init(_ text: String, quotes: Bool) throws(CodedError) {
        self.quotes = quotes
        let halves = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = String(halves[0])
        guard halves.count == 2 else { return }
        for item in halves[1].split(separator: "&") {
            let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count == 2 ? String(pair[1]) : "1"
            guard items.updateValue(value, forKey: String(pair[0])) == nil else {
                throw CodedError(.invalidArgument, "\(named(String(pair[0]))): given twice")
            }
        }
    }

    mutating func take(_ key: String) -> String? { items.removeValue(forKey: key) }

    mutating func flag(_ key: String) throws(CodedError) -> Bool {
        switch take(key) {
        case nil, "0"?, "false"?: return false
        case "1"?, "true"?: return true
        default: throw CodedError(.invalidArgument, "\(key): expected 1 or 0")
        }
    }

    mutating func size(_ kind: String) throws(CodedError) -> (width: Int, height: Int)? {
        guard let text = take("size") else { return nil }
        let sides = text.split(separator: "x").map { Int($0) }
        guard sides.count == 2, let width = sides[0], let height = sides[1], width > 0, height > 0 else {
            throw CodedError(.invalidArgument, "\(kind): size is WIDTHxHEIGHT")
        }
        return (width, height)
    }

    mutating func fps(_ kind: String) throws(CodedError) -> Int? {
        guard let text = take("fps") else { return nil }
        guard let fps = Int(text), SourceAddress.fpsRange.contains(fps) else {
            throw CodedError(.invalidArgument, "\(kind): fps is a whole number, 1 to 240")
        }
        return fps
    }

    func finish(_ kind: String) throws(CodedError) {
        guard let unknown = items.keys.min() else { return }
        throw CodedError(.invalidArgument, "\(kind): no option '\(named(unknown))'")
    }

    private func named(_ key: String) -> String { quotes ? String(key.prefix(20)) : ResolvedText.mask }
}
