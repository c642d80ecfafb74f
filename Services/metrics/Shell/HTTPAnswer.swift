internal import BusContract
internal import Domain
internal import MetricsCore

/// What goes back: status, headers and a body that is at hand, in a file, or still to come.
struct HTTPAnswer: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        /// A span of a file; closed when it has been sent or left.
        case file(ServedFile, Range<Int64>)
        /// Announcements until the other side goes.
        case events(EventSubscription)
    }

    var status: Int
    /// Beside those that every answer has.
    var headers: [(name: String, value: String)]
    var body: Body

    init(status: Int, headers: [(name: String, value: String)] = [], body: Body = .bytes([])) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    static let json = "application/json"

    static func json(_ text: String, status: Int = 200, headers: [(name: String, value: String)] = []) -> HTTPAnswer {
        HTTPAnswer(
            status: status, headers: [("Content-Type", json)] + headers, body: .bytes(Array(text.utf8)))
    }

    static func text(_ text: String, type: String, status: Int = 200) -> HTTPAnswer {
        HTTPAnswer(status: status, headers: [("Content-Type", type)], body: .bytes(Array(text.utf8)))
    }

    /// The bus's own envelope of a refusal.
    static func refusal(
        _ code: ErrorCode, _ message: String, status: Int, headers: [(name: String, value: String)] = []
    ) -> HTTPAnswer {
        var error = JSONText()
        error.add("code", code.rawValue)
        error.add("message", message)
        var envelope = JSONText()
        envelope.add("status", "error")
        envelope.add("error", raw: error.closed)
        return json(envelope.closed, status: status, headers: headers)
    }

    static func refusal(_ error: CodedError) -> HTTPAnswer {
        refusal(error.code, error.description, status: status(of: error.code))
    }

    /// How HTTP says a code of the contract (RFC 9110 section 15).
    static func status(of code: ErrorCode) -> Int {
        switch code {
        case .invalidPayload, .invalidArgument, .unknownCommand, .retainedCommand: 400
        case .unauthorized: 401
        case .unknownCamera: 404
        case .conflict: 409
        case .expired: 410
        case .payloadTooLarge: 413
        case .internal: 500
        case .sourceUnavailable, .mediaServerUnavailable: 502
        case .notReady: 503
        case .timeout: 504
        case .storageFull, .storageFailed: 507
        }
    }

    /// Answers a question about something that may not have changed: 304 where the asker has it.
    func unlessKnown(_ head: HTTPRequestHead, tag: String, caching: String = "no-cache") -> HTTPAnswer {
        var answer = self
        answer.headers += [("ETag", tag), ("Cache-Control", caching)]
        let known = (head.header("if-none-match") ?? "").split(separator: ",").map { $0.filter { $0 != " " } }
        guard known.contains("*") || known.contains(where: { $0 == tag || $0 == "W/\(tag)" }) else { return answer }
        answer.headers.removeAll { $0.name == "Content-Type" }
        answer.status = 304
        answer.body = .bytes([])
        return answer
    }

    /// A short name of what was sent.
    static func tag(_ bytes: [UInt8]) -> String { "\"\(bytes.count)-\(FNV1a.digest(bytes))\"" }

    // MARK: On the line

    static func reason(_ status: Int) -> String {
        let known: [Int: String] = [
            200: "OK", 204: "No Content", 206: "Partial Content", 304: "Not Modified", 400: "Bad Request",
            401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 409: "Conflict",
            410: "Gone", 411: "Length Required", 413: "Content Too Large", 414: "URI Too Long",
            415: "Unsupported Media Type", 416: "Range Not Satisfiable", 429: "Too Many Requests",
            431: "Request Header Fields Too Large", 500: "Internal Server Error", 502: "Bad Gateway",
            503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
            507: "Insufficient Storage",
        ]
        return known[status] ?? "Status"
    }

    /// On every answer: nothing is guessed, framed, or fetched from elsewhere.
    static let safety: [(name: String, value: String)] = [
        (
            "Content-Security-Policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
                + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        ),
        ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("Referrer-Policy", "no-referrer"),
        ("Cross-Origin-Resource-Policy", "same-origin"), ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), microphone=(), geolocation=()"),
    ]

    /// The head as it is sent. `length` nil: the body ends with the connection.
    func head(length: Int64?, keepsAlive: Bool) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(Self.reason(status))\r\n"
        for header in headers + Self.safety { text += "\(header.name): \(header.value)\r\n" }
        if !headers.contains(where: { $0.name == "Cache-Control" }) { text += "Cache-Control: no-store\r\n" }
        if let length, status != 204, status != 304 { text += "Content-Length: \(length)\r\n" }
        text += "Connection: \(keepsAlive ? "keep-alive" : "close")\r\n\r\n"
        return Array(text.utf8)
    }
}
