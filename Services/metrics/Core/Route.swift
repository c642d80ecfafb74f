/// What a request is for. Every address of the server is one of these; the OpenAPI document describes the same, and a
/// test compares the two.
package enum Route: Hashable, Sendable {
    case page(Page)
    case metrics
    case alive
    case ready
    case description
    case events(EventsQuery)
    case status
    case cameras
    case camera(String)
    case services
    case recordings(RecordingsQuery)
    case gaps(RecordingsQuery)
    case history(HistoryQuery)
    case recording(String)
    case snapshot(String)
    case control(String, ControlNoun)
    case signIn
    case signOut

    /// Files of the dashboard.
    package enum Page: String, Hashable, Sendable, CaseIterable {
        case index = ""
        case script = "app.js"
        case feed = "feed.js"
        case plots = "plots.js"
        case server = "server.js"
        case tiles = "tiles.js"
        case timelines = "timelines.js"
        case style = "app.css"
        case icon = "icon.svg"
    }

    package enum Fault: Error, Hashable, Sendable {
        case notFound
        /// With those that are.
        case methodNotAllowed([String])
        case badQuery(String)
    }

    /// Whether it answers without a token: what holds nothing of anybody's cameras.
    package var isOpen: Bool {
        switch self {
        case .page, .alive, .ready, .description, .signIn, .signOut: true
        case .metrics, .events, .status, .cameras, .camera, .services, .recordings, .gaps, .history, .recording,
            .snapshot, .control:
            false
        }
    }

    /// Whether it changes something.
    package var isCommand: Bool {
        switch self {
        case .control, .signIn, .signOut: true
        default: false
        }
    }

    package init(_ head: HTTPRequestHead) throws(Fault) {
        let (route, methods) = try Self.find(head)
        guard methods.contains(head.method) else { throw .methodNotAllowed(methods) }
        self = try route()
    }

    private typealias Found = (route: () throws(Fault) -> Route, methods: [String])

    private static let reading = ["GET", "HEAD"]
    private static let acting = ["POST"]

    private static func find(_ head: HTTPRequestHead) throws(Fault) -> Found {
        func fixed(_ route: Route, _ methods: [String] = reading) -> Found {
            (
                { () throws(Fault) in
                    try QueryReader(head.query).finish()
                    return route
                }, methods
            )
        }
        let path = head.path
        if path.count == 1, let page = Page(rawValue: path[0]) { return fixed(.page(page)) }
        switch (path.first, path.count) {
        case ("metrics", 1): return fixed(.metrics)
        case ("healthz", 1): return fixed(.alive)
        case ("readyz", 1): return fixed(.ready)
        case ("openapi.json", 1): return fixed(.description)
        case ("events", 1):
            return ({ () throws(Fault) in .events(try EventsQuery(head.query)) }, ["GET"])
        case ("recordings", 2):
            guard let id = name(path[1], without: ".mp4") else { throw .notFound }
            return fixed(.recording(id))
        case ("snapshots", 2):
            guard let camera = name(path[1], without: ".jpg") else { throw .notFound }
            return (
                { () throws(Fault) in
                    // The asker's own mark, so that a browser takes a new picture for a new one.
                    var query = QueryReader(head.query)
                    _ = try query.time("at")
                    try query.finish()
                    return .snapshot(camera)
                }, reading
            )
        case ("api", 3...5) where path[1] == "v1": return try interface(Array(path.dropFirst(2)), head, fixed)
        default: throw .notFound
        }
    }

    private static func interface(
        _ path: [String], _ head: HTTPRequestHead, _ fixed: (Route, [String]) -> Found
    ) throws(Fault) -> Found {
        switch (path[0], path.count) {
        case ("status", 1): return fixed(.status, reading)
        case ("cameras", 1): return fixed(.cameras, reading)
        case ("cameras", 2): return fixed(.camera(path[1]), reading)
        case ("cameras", 3):
            guard let noun = ControlNoun(rawValue: path[2]) else { throw .notFound }
            return fixed(.control(path[1], noun), acting)
        case ("services", 1): return fixed(.services, reading)
        case ("recordings", 1):
            return ({ () throws(Fault) in .recordings(try RecordingsQuery(head.query)) }, reading)
        case ("gaps", 1): return ({ () throws(Fault) in .gaps(try RecordingsQuery(head.query)) }, reading)
        case ("history", 1): return ({ () throws(Fault) in .history(try HistoryQuery(head.query)) }, reading)
        case ("session", 1):
            return fixed(head.method == "DELETE" ? .signOut : .signIn, ["POST", "DELETE"])
        default: throw .notFound
        }
    }

    private static func name(_ level: String, without suffix: String) -> String? {
        guard level.hasSuffix(suffix), level.utf8.count > suffix.utf8.count else { return nil }
        return String(level.dropLast(suffix.count))
    }
}
