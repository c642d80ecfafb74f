internal import BusContract
internal import Dispatch
internal import Domain
internal import Logging

/// A request that waits for its replies.
struct WaitingRequest {
    var publication: Publication
    /// Of the publication, once it is sent.
    var token: UInt64?
    var replies: AsyncStream<Result<[UInt8], CodedError>>.Continuation
}

extension BusEngine {
    /// The replies' payloads as they come, until `timeout`. A request that is made without a connection is sent as
    /// soon as there is one.
    func replies(
        to payload: [UInt8], topic: String, timeout: Duration
    ) -> AsyncStream<Result<[UInt8], CodedError>> {
        var generator = SystemRandomNumberGenerator()
        let key = (0..<16).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
        let publication = Publication(
            topic: whole(topic), payload: payload, delivery: .command, responseTopic: replyTopic, correlation: key,
            expirySeconds: UInt32(clamping: Int64(timeout.seconds.rounded(.up))))
        let (stream, continuation) = AsyncStream.makeStream(
            of: Result<[UInt8], CodedError>.self, bufferingPolicy: .bufferingNewest(BusClient.repliesMax))
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            queue.async { self.requests[key] = nil }
        }
        queue.async {
            guard self.requests.count < Self.requestsMax else {
                continuation.yield(.failure(CodedError(.conflict, "too many requests wait for replies")))
                return continuation.finish()
            }
            self.requests[key] = WaitingRequest(publication: publication, token: nil, replies: continuation)
            self.sendRequest(key)
        }
        queue.asyncAfter(deadline: .now() + timeout.seconds) { continuation.finish() }
        return stream
    }

    /// Each waits for its timeout at most.
    private static let requestsMax = 1024

    func sendRequest(_ key: [UInt8]) {
        guard main.isOpen, let request = requests[key], request.token == nil else { return }
        let token = awaited()
        requests[key]?.token = token
        main.publish(request.publication, token: token)
    }

    func receivedReply(_ message: InboundMessage) {
        guard let key = message.correlation, let request = requests[key] else {
            counters.add(\.repliesUnexpected)
            return
        }
        request.replies.yield(.success(message.payload))
    }

    /// The broker knows nobody who listens there; waiting would be in vain.
    func requestUnheard(_ token: UInt64) {
        guard let request = requests.values.first(where: { $0.token == token }) else { return }
        request.replies.yield(.failure(CodedError(.notReady, "nobody listens on \(request.publication.topic)")))
        request.replies.finish()
    }

    func countUnreadableReply(_ error: CodedError) {
        counters.add(\.repliesUnexpected)
        logger.warning("reply not understood", metadata: ["error": "\(error)"])
    }
}
