internal import Domain
internal import MetricsCore
internal import ServiceKit

/// One connection from its first request to its end, on a thread of its own.
struct HTTPConversation {
    /// What answers. It may block this thread; it never throws.
    typealias Answering = @Sendable (HTTPRequest) -> HTTPAnswer

    /// The most requests of one connection, so that nobody keeps one for ever.
    static let requestsMax = 1000

    let socket: HTTPSocket
    let answer: Answering
    /// Status of every answer, for the series.
    let count: @Sendable (Int) -> Void

    private var buffer: [UInt8] = []

    init(socket: HTTPSocket, answer: @escaping Answering, count: @escaping @Sendable (Int) -> Void) {
        self.socket = socket
        self.answer = answer
        self.count = count
    }

    mutating func run() {
        for number in 1...Self.requestsMax {
            if number > 1, buffer.isEmpty { socket.rest(since: ServiceClock.now().monotonic) }
            do throws(HTTPSocket.Ended) {
                guard try exchange(isLast: number == Self.requestsMax) else { return }
            } catch {
                return
            }
        }
    }

    /// One request and its answer.
    /// - Returns: whether another one may follow.
    private mutating func exchange(isLast: Bool) throws(HTTPSocket.Ended) -> Bool {
        let request: HTTPRequest
        switch try nextRequest() {
        case .success(let read): request = read
        case .failure(let fault):
            try refuse(fault)
            return false
        }
        let answer = answer(request)
        count(answer.status)
        let keepsAlive = request.head.keepsAlive && !isLast
        return try send(answer, to: request.head, keepsAlive: keepsAlive)
    }

    // MARK: Reading

    private mutating func nextRequest() throws(HTTPSocket.Ended) -> Result<HTTPRequest, HTTPRequestHead.Fault> {
        if buffer.isEmpty {
            buffer = try socket.read(atMost: HTTPRequestHead.bytesMax, until: deadline(socket.limits.idle))
            socket.rest(since: nil)
        }
        let headDeadline = deadline(socket.limits.request)
        var end = HTTPRequestHead.end(in: buffer)
        while end == nil {
            guard buffer.count < HTTPRequestHead.bytesMax else { return .failure(.tooLarge) }
            buffer += try socket.read(atMost: HTTPRequestHead.bytesMax - buffer.count, until: headDeadline)
            end = HTTPRequestHead.end(in: buffer)
        }
        guard let end else { return .failure(.malformed("no empty line")) }
        do throws(HTTPRequestHead.Fault) {
            let head = try HTTPRequestHead(Array(buffer[..<end]))
            buffer.removeFirst(end)
            let length = try head.bodyLength()
            // What is not read would be taken for the next request; the connection ends with the answer.
            guard length <= HTTPRequestHead.bodyBytesMax else {
                return .success(HTTPRequest(head: head, body: .tooLarge, peer: socket.peer))
            }
            return .success(HTTPRequest(head: head, body: .bytes(try body(of: head, length)), peer: socket.peer))
        } catch {
            return .failure(error)
        }
    }

    private mutating func body(of head: HTTPRequestHead, _ length: Int) throws(HTTPRequestHead.Fault) -> [UInt8] {
        let deadline = deadline(socket.limits.request)
        do throws(HTTPSocket.Ended) {
            if buffer.count < length, head.header("expect")?.lowercased() == "100-continue" {
                try socket.write(Array("HTTP/1.1 100 Continue\r\n\r\n".utf8))
            }
            while buffer.count < length {
                buffer += try socket.read(atMost: length - buffer.count, until: deadline)
            }
        } catch {
            throw .malformed("the body did not come")
        }
        defer { buffer.removeFirst(length) }
        return Array(buffer[..<length])
    }

    private func deadline(_ patience: Duration) -> MonotonicTime { ServiceClock.now().monotonic + patience }

    // MARK: Writing

    private func refuse(_ fault: HTTPRequestHead.Fault) throws(HTTPSocket.Ended) {
        let words: String
        switch fault {
        case .malformed(let what): words = "not a request that this server reads: \(what)"
        case .tooLarge: words = "the head of the request is too large"
        case .uriTooLong: words = "the address is too long"
        case .version: words = "HTTP/1.1, please"
        case .lengthRequired: words = "a body needs a Content-Length"
        }
        let answer = HTTPAnswer.refusal(.invalidPayload, words, status: fault.status)
        count(answer.status)
        guard case .bytes(let body) = answer.body else { return }
        try socket.write(answer.head(length: Int64(body.count), keepsAlive: false) + body)
        socket.lingerBeforeClose()
    }

    private func send(
        _ answer: HTTPAnswer, to head: HTTPRequestHead, keepsAlive: Bool
    ) throws(HTTPSocket.Ended) -> Bool {
        let withBody = head.method != "HEAD"
        switch answer.body {
        case .bytes(let body):
            let start = answer.head(length: Int64(body.count), keepsAlive: keepsAlive && answer.keepsConnection)
            try socket.write(withBody ? start + body : start)
            if !answer.keepsConnection { socket.lingerBeforeClose() }
            return keepsAlive && answer.keepsConnection
        case .file(let file, let range):
            defer { file.close() }
            try socket.write(answer.head(length: Int64(range.count), keepsAlive: keepsAlive))
            guard withBody else { return keepsAlive }
            return try send(file, range) && keepsAlive
        case .events(let subscription):
            defer { subscription.end() }
            try socket.write(answer.head(length: nil, keepsAlive: false))
            while let text = subscription.next() {
                guard !socket.isClosed else { return false }
                try socket.write(Array(text.utf8))
            }
            return false
        }
    }

    /// - Returns: false if the file ended early: then what was promised does not come, and the connection ends.
    private func send(_ file: ServedFile, _ range: Range<Int64>) throws(HTTPSocket.Ended) -> Bool {
        var place = range.lowerBound
        while place < range.upperBound {
            let piece = file.read(at: place, atMost: Int(min(range.upperBound - place, Int64(HTTPSocket.pieceBytes))))
            guard !piece.isEmpty else { return false }
            try socket.write(piece)
            place += Int64(piece.count)
        }
        return true
    }
}

/// A request that has been read.
struct HTTPRequest: Sendable {
    enum Body: Sendable {
        case bytes([UInt8])
        case tooLarge
    }

    var head: HTTPRequestHead
    var body: Body
    /// The other side's address.
    var peer: String
}

extension HTTPAnswer {
    /// After some refusals nothing of the connection is trusted any more.
    fileprivate var keepsConnection: Bool { status != 413 }
}
