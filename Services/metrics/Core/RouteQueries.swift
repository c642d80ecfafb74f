package import Domain

/// What stands behind the `?`, read as strictly as a command: a parameter that nobody knows, or one that is given
/// twice, is refused by name.
struct QueryReader {
    private var rest: [HTTPRequestHead.QueryItem]

    init(_ items: [HTTPRequestHead.QueryItem]) { rest = items }

    mutating func text(_ name: String) throws(Route.Fault) -> String? {
        let found = rest.filter { $0.name == name }
        guard found.count < 2 else { throw .badQuery("\(name): given twice") }
        rest.removeAll { $0.name == name }
        return found.first?.value
    }

    mutating func value<Value>(
        _ name: String, expected: String, _ parse: (String) -> Value?
    ) throws(Route.Fault) -> Value? {
        guard let text = try text(name) else { return nil }
        guard let value = parse(text) else { throw .badQuery("\(name): expected \(expected)") }
        return value
    }

    mutating func time(_ name: String) throws(Route.Fault) -> WallTime? {
        try value(name, expected: "an RFC 3339 time") { WallTime(rfc3339: $0) }
    }

    mutating func integer(_ name: String, in range: ClosedRange<Int>) throws(Route.Fault) -> Int? {
        try value(name, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)") { text in
            guard (1...9).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let number = Int(text), range.contains(number)
            else { return nil }
            return number
        }
    }

    func finish() throws(Route.Fault) {
        guard let unknown = rest.first else { return }
        throw .badQuery("\(unknown.name.prefix(40)): no such parameter")
    }
}

/// `/api/v1/recordings` and `/api/v1/gaps`.
package struct RecordingsQuery: Hashable, Sendable {
    package var camera: CameraID?
    package var session: SessionID?
    /// Only what reaches beyond this moment.
    package var from: WallTime?
    /// Only what begins before this moment.
    package var to: WallTime?
    package var limit: Int

    package static let limitMax = 1000
    package static let limitDefault = 200

    init(_ items: [HTTPRequestHead.QueryItem]) throws(Route.Fault) {
        var query = QueryReader(items)
        camera = try query.value("camera", expected: "a camera's name", CameraID.init(rawValue:))
        session = try query.value("session", expected: "32 hexadecimal digits", SessionID.init(rawValue:))
        from = try query.time("from")
        to = try query.time("to")
        limit = try query.integer("limit", in: 1...Self.limitMax) ?? Self.limitDefault
        try query.finish()
    }
}

/// `/api/v1/history`.
package struct HistoryQuery: Hashable, Sendable {
    /// Nil: this node.
    package var camera: CameraID?
    package var step: HistoryStep
    package var from: WallTime?
    package var to: WallTime?

    init(_ items: [HTTPRequestHead.QueryItem]) throws(Route.Fault) {
        var query = QueryReader(items)
        camera = try query.value("camera", expected: "a camera's name", CameraID.init(rawValue:))
        step = try query.value("step", expected: "10s, 1m or 1h", HistoryStep.init(text:)) ?? .minute
        from = try query.time("from")
        to = try query.time("to")
        try query.finish()
    }
}

/// `/events`.
package struct EventsQuery: Hashable, Sendable {
    /// Nil: all cameras, without their telemetry.
    package var camera: CameraID?

    init(_ items: [HTTPRequestHead.QueryItem]) throws(Route.Fault) {
        var query = QueryReader(items)
        camera = try query.value("camera", expected: "a camera's name", CameraID.init(rawValue:))
        try query.finish()
    }

    package func wants(_ announcement: Announcement) -> Bool {
        guard let camera else { return !announcement.isTelemetry }
        return announcement.camera == nil || announcement.camera == camera
    }
}
