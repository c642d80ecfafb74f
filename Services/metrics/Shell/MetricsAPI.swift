internal import BusContract
internal import ClusterConfig
internal import Domain
internal import MetricsCore
internal import ServiceKit
internal import Synchronization

/// Answers requests: who may ask, what is asked, what is said. Runs on connections' threads, many at a time; touches no
/// socket and folds nothing.
struct MetricsAPI: Sendable {
    let board: MetricsBoard
    let files: RecordingFiles
    /// Nil: `metrics.history` is off.
    let history: HistoryKeeper?
    let courier: CommandCourier
    let rule: AccessRule
    let budget: RequestBudgetBook

    /// One budget for all threads.
    final class RequestBudgetBook: Sendable {
        private let budget = Mutex(RequestBudget())
        private let now: @Sendable () -> MonotonicTime

        init(now: @escaping @Sendable () -> MonotonicTime) { self.now = now }

        func take(_ kind: RequestBudget.Kind, of address: String) -> Int? {
            budget.withLock { $0.take(kind, of: address, at: now()) }
        }
        func isSpent(_ kind: RequestBudget.Kind, of address: String) -> Bool {
            budget.withLock { $0.isSpent(kind, of: address, at: now()) }
        }
        func forgive(_ kind: RequestBudget.Kind, of address: String) {
            budget.withLock { $0.forgive(kind, of: address) }
        }
    }

    func answer(_ request: HTTPRequest) -> HTTPAnswer {
        var answer = judged(request)
        if let origin = rule.allowedOrigin(request.head) {
            answer.headers += [("Access-Control-Allow-Origin", origin), ("Vary", "Origin")]
        }
        return answer
    }

    // MARK: Whether

    private func judged(_ request: HTTPRequest) -> HTTPAnswer {
        if let wait = budget.take(.request, of: request.peer) { return Self.tooMany(wait) }
        let route: Route
        do throws(Route.Fault) {
            route = try Route(request.head)
        } catch {
            return refusal(error, request)
        }
        // Before the token is looked at: who has guessed too often does not hear whether this one is right.
        if rule.token != nil, !route.isOpen || route == .signIn, let shown = rule.credential(route, request.head),
            budget.isSpent(Self.budget(of: shown), of: request.peer)
        {
            return Self.tooMany(60)
        }
        switch rule.decide(route, request.head) {
        case .allowed: if route == .signIn { budget.forgive(.cookie, of: request.peer) }
        case .forbidden(let why): return .refusal(.unauthorized, why, status: 403)
        case .unauthorized(let wrong):
            if let wrong { _ = budget.take(Self.budget(of: wrong), of: request.peer) }
            return .refusal(
                .unauthorized,
                wrong == nil ? "a token is needed: Authorization: Bearer …" : "the token is wrong",
                status: 401, headers: [("WWW-Authenticate", "Bearer realm=\"framekeeper\"")])
        }
        guard case .bytes(let body) = request.body else {
            return .refusal(.payloadTooLarge, "a body of more than \(HTTPRequestHead.bodyBytesMax) bytes", status: 413)
        }
        if case .control = route, let wait = budget.take(.command, of: request.peer) { return Self.tooMany(wait) }
        return perform(route, request.head, body)
    }

    private static func budget(of credential: AccessRule.Credential) -> RequestBudget.Kind {
        switch credential {
        case .bearer: .failure
        case .cookie: .cookie
        }
    }

    private static func tooMany(_ seconds: Int) -> HTTPAnswer {
        .refusal(
            .notReady, "too many requests from this address", status: 429, headers: [("Retry-After", "\(seconds)")])
    }

    private func refusal(_ fault: Route.Fault, _ request: HTTPRequest) -> HTTPAnswer {
        switch fault {
        case .notFound: return .refusal(.invalidArgument, "there is nothing at this address", status: 404)
        case .badQuery(let why): return .refusal(.invalidArgument, why, status: 400)
        case .methodNotAllowed(let methods):
            let allow = methods.joined(separator: ", ")
            // What a browser asks before another page of `allow_origins` may read.
            if request.head.method == "OPTIONS", rule.allowedOrigin(request.head) != nil {
                return HTTPAnswer(
                    status: 204,
                    headers: [
                        ("Access-Control-Allow-Methods", "GET, HEAD"),
                        ("Access-Control-Allow-Headers", "Authorization"), ("Access-Control-Max-Age", "600"),
                    ])
            }
            return .refusal(.invalidArgument, "this address takes \(allow)", status: 405, headers: [("Allow", allow)])
        }
    }

    // MARK: What

    private func perform(_ route: Route, _ head: HTTPRequestHead, _ body: [UInt8]) -> HTTPAnswer {
        let now = ServiceClock.now()
        switch route {
        case .page(let page): return Pages.answer(page, head)
        case .description: return Pages.description(head)
        case .alive: return .json("{\"status\":\"ok\"}")
        case .ready: return ready
        case .metrics:
            let text = board.current.exposition(at: now, own: ProcessTable.own())
            return .text(text, type: "text/plain; version=0.0.4; charset=utf-8")
        case .status: return tagged(board.current.statusDocument(at: now, under: rule), head)
        case .cameras: return tagged(board.current.camerasDocument(at: now), head)
        case .services: return tagged(board.current.servicesDocument, head)
        case .camera(let name): return camera(name, head, at: now)
        case .recordings(let query):
            return reading(head) { () throws(CodedError) in try files.recordings(query) }
        case .gaps(let query): return reading(head) { () throws(CodedError) in try files.gaps(query) }
        case .history(let query): return history(query, head, at: now)
        case .recording(let id): return recording(id, head)
        case .snapshot(let name): return snapshot(name, head)
        case .events(let query): return events(query, head)
        case .control(let name, let noun):
            guard let camera = CameraID(rawValue: name) else { return Self.unknownCamera }
            return courier.carry(noun, to: camera, body: body)
        case .signIn: return Pages.signedIn(rule.token, head)
        case .signOut: return Pages.signedIn(nil, head)
        }
    }

    private static let unknownCamera = HTTPAnswer.refusal(.unknownCamera, "no such camera", status: 404)

    private var ready: HTTPAnswer {
        var document = JSONText()
        let isReady = board.current.isBusConnected
        document.add("status", isReady ? "ok" : "waiting")
        document.add("bus_connected", isReady)
        return .json(document.closed, status: isReady ? 200 : 503)
    }

    private func tagged(_ text: String, _ head: HTTPRequestHead) -> HTTPAnswer {
        let bytes = Array(text.utf8)
        return HTTPAnswer(
            status: 200, headers: [("Content-Type", HTTPAnswer.json)], body: .bytes(bytes)
        ).unlessKnown(head, tag: HTTPAnswer.tag(bytes))
    }

    private func reading(_ head: HTTPRequestHead, _ body: () throws(CodedError) -> String) -> HTTPAnswer {
        do throws(CodedError) { return tagged(try body(), head) } catch { return .refusal(error) }
    }

    private func camera(_ name: String, _ head: HTTPRequestHead, at now: Now) -> HTTPAnswer {
        guard let camera = CameraID(rawValue: name),
            let document = board.current.cameraDocument(camera, at: now)
        else { return Self.unknownCamera }
        return tagged(document, head)
    }

    private func history(_ query: HistoryQuery, _ head: HTTPRequestHead, at now: Now) -> HTTPAnswer {
        guard let history else { return .refusal(.conflict, "metrics.history is off", status: 409) }
        let core = board.current
        if let camera = query.camera, !core.isKnown(camera) { return Self.unknownCamera }
        let subject: HistorySubject = query.camera.map { .camera($0) } ?? .node(core.node)
        return reading(head) { () throws(CodedError) in try history.document(subject, query, at: now.wall) }
    }

    // MARK: Files

    private func recording(_ id: String, _ head: HTTPRequestHead) -> HTTPAnswer {
        let found: RecordingFiles.Found
        do throws(CodedError) { found = try files.file(id) } catch { return .refusal(error) }
        switch found {
        case .unknown: return .refusal(.invalidArgument, "no such recording on this node", status: 404)
        case .gone: return .refusal(.invalidArgument, "the file is gone", status: 410)
        case .file(let file, let isOpen): return Self.video(file, isOpen: isOpen, head)
        }
    }

    /// RFC 9110 section 14. A range of a file that has changed since is answered with the whole of it; whether the
    /// asker has the file already is asked before (section 13.2.2), and only a GET has ranges (section 14.2).
    private static func video(_ file: ServedFile, isOpen: Bool, _ head: HTTPRequestHead) -> HTTPAnswer {
        let tag = "\"\(file.size)-\(String(file.modified, radix: 16))\""
        let isSame = head.header("if-range").map { $0 == tag } ?? true
        var answer = HTTPAnswer(
            status: 200, headers: [("Content-Type", "video/mp4"), ("Accept-Ranges", "bytes")],
            body: .file(file, 0..<file.size)
        ).unlessKnown(head, tag: tag, caching: isOpen ? "no-store" : "private, max-age=3600")
        guard answer.status != 304 else {
            file.close()
            return answer
        }
        switch ByteRange(isSame && head.method == "GET" ? head.header("range") : nil, size: file.size) {
        case .whole: break
        case .part(let range):
            answer.status = 206
            answer.headers.append(
                ("Content-Range", "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.size)"))
            answer.body = .file(file, range)
        case .unsatisfiable:
            file.close()
            return .refusal(
                .invalidArgument, "the range lies beyond the file", status: 416,
                headers: [("Content-Range", "bytes */\(file.size)")])
        }
        return answer
    }

    private func snapshot(_ name: String, _ head: HTTPRequestHead) -> HTTPAnswer {
        guard let camera = CameraID(rawValue: name), board.current.isKnown(camera) else { return Self.unknownCamera }
        guard let picture = board.pictures.picture(of: camera) else {
            return .refusal(.invalidArgument, "there is no snapshot of this camera yet", status: 404)
        }
        return HTTPAnswer(status: 200, headers: [("Content-Type", "image/jpeg")], body: .bytes(picture.bytes))
            .unlessKnown(head, tag: picture.tag)
    }

    private func events(_ query: EventsQuery, _ head: HTTPRequestHead) -> HTTPAnswer {
        let last = head.header("last-event-id").flatMap { UInt64($0) }
        guard let subscription = board.fan.listen(query, lastSeen: last) else {
            return .refusal(.notReady, "too many listeners", status: 503, headers: [("Retry-After", "5")])
        }
        return HTTPAnswer(
            status: 200, headers: [("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "no")],
            body: .events(subscription))
    }
}
