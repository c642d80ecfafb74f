internal import CLibYAML

/// Reads YAML text into a `YAMLNode` through libyaml's events. The only place that calls libyaml. It bounds what
/// hostile text can cost: bytes, nesting, nodes after aliases are expanded; it builds iteratively, so that nesting
/// cannot exhaust the stack. Anchors, aliases and merge keys (`<<`) work; of tags only `!secret` and YAML's own are
/// known.
struct YAMLDocument {
    /// No configuration of a real fleet comes near these.
    static let bytesMax = 1 << 20
    static let depthMax = 32
    static let nodesMax = 100_000
    static let scalarBytesMax = 16 * 1024

    /// The parsed text, an empty mapping if there is none.
    static func parse(_ bytes: [UInt8], origin: String) throws(ConfigurationError) -> YAMLNode {
        guard bytes.count <= bytesMax else {
            throw ConfigurationError(
                file: origin, message: "the file has \(bytes.count) bytes; at most \(bytesMax) are read")
        }
        var document = YAMLDocument(origin: origin)
        try document.run(bytes)
        let start = YAMLNode.Mark(origin: origin, line: 1, column: 1)
        guard let root = document.root, !root.isNull else { return YAMLNode(.mapping([]), mark: start) }
        return root
    }

    /// A mapping or list that is not finished yet.
    private struct Frame {
        var mark: YAMLNode.Mark
        var anchor: String?
        var isMapping: Bool
        var entries: [YAMLNode.Entry] = []
        var items: [YAMLNode] = []
        var key: (text: String, mark: YAMLNode.Mark)?
    }

    private let origin: String
    private var root: YAMLNode?
    private var frames: [Frame] = []
    private var anchors: [String: YAMLNode] = [:]
    private var nodeCount = 0

    private init(origin: String) { self.origin = origin }

    private mutating func run(_ bytes: [UInt8]) throws(ConfigurationError) {
        var parser = yaml_parser_t()
        guard yaml_parser_initialize(&parser) == 1 else {
            throw ConfigurationError(file: origin, message: "no memory to read it")
        }
        defer { yaml_parser_delete(&parser) }
        // The parser keeps the pointer, so the bytes and the parser stay where they are until the last event.
        let copy = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        defer { copy.deallocate() }
        _ = copy.initialize(from: bytes)
        yaml_parser_set_input_string(&parser, copy.baseAddress, bytes.count)
        yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING)
        while true {
            var event = yaml_event_t()
            guard yaml_parser_parse(&parser, &event) == 1 else { throw syntaxError(parser) }
            defer { yaml_event_delete(&event) }
            if event.type == YAML_STREAM_END_EVENT { return }
            try take(event)
        }
    }

    private mutating func take(_ event: yaml_event_t) throws(ConfigurationError) {
        let place = mark(event.start_mark)
        switch event.type {
        case YAML_DOCUMENT_START_EVENT:
            guard root == nil else { throw error(place, "a second document begins; only one is read") }
        case YAML_SCALAR_EVENT: try takeScalar(event.data.scalar, at: place)
        case YAML_ALIAS_EVENT:
            let name = Self.text(event.data.alias.anchor)
            guard let node = anchors[name] else { throw error(place, "*\(name.prefix(40)): no such anchor above") }
            try add(node, at: place)
        case YAML_MAPPING_START_EVENT:
            let start = event.data.mapping_start
            try check(tag: Self.optionalText(start.tag), at: place)
            try open(Frame(mark: place, anchor: Self.optionalText(start.anchor), isMapping: true))
        case YAML_SEQUENCE_START_EVENT:
            let start = event.data.sequence_start
            try check(tag: Self.optionalText(start.tag), at: place)
            try open(Frame(mark: place, anchor: Self.optionalText(start.anchor), isMapping: false))
        case YAML_MAPPING_END_EVENT, YAML_SEQUENCE_END_EVENT: try close()
        default: break  // Stream start and document end carry nothing.
        }
    }

    private mutating func takeScalar(
        _ scalar: yaml_event_s.__Unnamed_union_data.__Unnamed_struct_scalar, at place: YAMLNode.Mark
    ) throws(ConfigurationError) {
        let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
        guard text.utf8.count <= Self.scalarBytesMax else {
            throw error(place, "a value of more than \(Self.scalarBytesMax) bytes")
        }
        guard !text.utf8.contains(0) else { throw error(place, "a value holds a NUL character") }
        let tag = Self.optionalText(scalar.tag)
        let isSecret = tag == "!secret"
        if !isSecret { try check(tag: tag, at: place) }
        let isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
        let node = YAMLNode(.scalar(text, isPlain: isPlain && tag == nil), mark: place, isSecret: isSecret)
        if let anchor = Self.optionalText(scalar.anchor) { anchors[anchor] = node }
        try add(node, at: place)
    }

    private mutating func open(_ frame: Frame) throws(ConfigurationError) {
        guard frames.count < Self.depthMax else {
            throw error(frame.mark, "nested deeper than \(Self.depthMax) levels")
        }
        if let top = frames.last, top.isMapping, top.key == nil {
            throw error(frame.mark, "a key must be a single word")
        }
        frames.append(frame)
    }

    private mutating func close() throws(ConfigurationError) {
        guard let frame = frames.popLast() else { return }
        let content: YAMLNode.Content =
            frame.isMapping ? .mapping(try merged(frame.entries)) : .sequence(frame.items)
        let node = YAMLNode(content, mark: frame.mark)
        if let anchor = frame.anchor { anchors[anchor] = node }
        try add(node, at: frame.mark, isCounted: true)
    }

    /// Puts a finished node where it belongs. The members of a closed collection have been counted one by one.
    private mutating func add(
        _ node: YAMLNode, at place: YAMLNode.Mark, isCounted: Bool = false
    ) throws(ConfigurationError) {
        nodeCount += isCounted ? 1 : node.size
        guard nodeCount <= Self.nodesMax else { throw error(place, "more than \(Self.nodesMax) values") }
        guard let top = frames.indices.last else {
            root = node
            return
        }
        guard frames[top].isMapping else {
            frames[top].items.append(node)
            return
        }
        if let key = frames[top].key {
            frames[top].entries.append(YAMLNode.Entry(key: key.text, keyMark: key.mark, value: node))
            frames[top].key = nil
        } else if case .scalar(let text, _) = node.content {
            frames[top].key = (text, place)
        } else {
            throw error(place, "a key must be a single word")
        }
    }

    /// Merge keys (YAML's type repository, `!!merge`): what the mapping says itself wins.
    private mutating func merged(_ entries: [YAMLNode.Entry]) throws(ConfigurationError) -> [YAMLNode.Entry] {
        var result = entries.filter { $0.key != "<<" }
        var keys = Set(result.map(\.key))
        for entry in entries where entry.key == "<<" {
            let sources: [YAMLNode] =
                if case .sequence(let items) = entry.value.content { items } else { [entry.value] }
            for source in sources {
                guard case .mapping(let more) = source.content else {
                    throw error(entry.keyMark, "<<: expected a mapping or a list of mappings")
                }
                for addition in more where keys.insert(addition.key).inserted {
                    nodeCount += 1 + addition.value.size
                    result.append(addition)
                }
            }
        }
        return result
    }

    private func check(tag: String?, at place: YAMLNode.Mark) throws(ConfigurationError) {
        guard let tag, tag != "!", !tag.hasPrefix("tag:yaml.org,2002:") else { return }
        let isMisplaced = tag == "!secret"
        throw error(
            place, isMisplaced ? "!secret: expected the name of a secret" : "\(tag.prefix(40)): no such tag",
            suggestion: isMisplaced ? nil : "!secret")
    }

    private func mark(_ mark: yaml_mark_t) -> YAMLNode.Mark {
        YAMLNode.Mark(origin: origin, line: mark.line + 1, column: mark.column + 1)
    }

    private func error(_ place: YAMLNode.Mark, _ message: String, suggestion: String? = nil) -> ConfigurationError {
        ConfigurationError(
            file: origin, line: place.line, column: place.column, message: message, suggestion: suggestion)
    }

    private func syntaxError(_ parser: yaml_parser_t) -> ConfigurationError {
        let problem = parser.problem.map { String(cString: $0) } ?? "unreadable"
        let context = parser.context.map { " " + String(cString: $0) } ?? ""
        // A reader error, such as a byte that is not UTF-8, knows its offset but not its line.
        guard parser.error != YAML_READER_ERROR else {
            return ConfigurationError(
                file: origin, line: parser.mark.line + 1, column: parser.mark.column + 1,
                message: "not UTF-8 text: \(problem) at byte \(parser.problem_offset)")
        }
        let place = mark(parser.problem_mark)
        return error(place, "not valid YAML:\(context) \(problem)")
    }

    private static func text(_ pointer: UnsafePointer<yaml_char_t>?) -> String {
        pointer.map { String(cString: $0) } ?? ""
    }

    private static func optionalText(_ pointer: UnsafePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }
}
