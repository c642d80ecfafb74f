package import BusContract
package import Domain

/// Asking: MQTT 5 request and response.
extension BusClient {
    /// Sends a command and waits for its one reply. A refusal is a reply, not an error.
    /// - Parameter payload: a word or a JSON object, at most `CommandLimits.payloadBytesMax` bytes.
    /// - Throws: `timeout` if no reply came in time; `not_ready` if the broker knows nobody who listens there;
    ///   `invalid_payload` if the reply cannot be read; `payload_too_large`.
    package func request<R: Codable & Hashable & Sendable>(
        _ payload: [UInt8], to topicBelowRoot: String, expecting type: R.Type, timeout: Duration
    ) async throws(CodedError) -> Reply<R> {
        try Self.checkSize(payload)
        for await reply in engine.replies(to: payload, topic: topicBelowRoot, timeout: timeout) {
            return try BusCodec.value(Reply<R>.self, from: try reply.get())
        }
        throw CodedError(.timeout, "no reply on \(topicBelowRoot) within \(timeout.written)")
    }

    /// Sends a command to a group and collects the replies that come within `timeout`, or `count` of them, or as many
    /// as `isEnough` wants, if that is sooner. Replies that cannot be read are left out.
    /// - Throws: `payload_too_large`.
    package func requestAll<R: Codable & Hashable & Sendable>(
        _ payload: [UInt8], to topicBelowRoot: String, expecting type: R.Type, timeout: Duration,
        count: Int = repliesMax, until isEnough: ([Reply<R>]) -> Bool = { _ in false }
    ) async throws(CodedError) -> [Reply<R>] {
        try Self.checkSize(payload)
        var replies: [Reply<R>] = []
        for await reply in engine.replies(to: payload, topic: topicBelowRoot, timeout: timeout) {
            do throws(CodedError) {
                replies.append(try BusCodec.value(Reply<R>.self, from: try reply.get()))
            } catch {
                engine.countUnreadableReply(error)
            }
            if replies.count >= count || isEnough(replies) { break }
        }
        return replies
    }

    /// The most replies that one request collects.
    package static var repliesMax: Int { 1024 }

    private static func checkSize(_ payload: [UInt8]) throws(CodedError) {
        guard payload.count <= CommandLimits.payloadBytesMax else {
            throw BusCodec.tooLarge(CommandLimits.payloadBytesMax)
        }
    }
}
