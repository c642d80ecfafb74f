package import BusContract
package import Domain

/// A command as it came in: what it says, or why it is refused, and where the answer goes. The envelope is checked
/// here, the same for every command; the command's own fields are read by its `BusCommand`.
package struct CommandRequest: Sendable, Hashable {
    package var text: Result<CommandText, CodedError>
    /// Nil: nobody asked for an answer, or asked for it where none may go; a refusal is then an error event.
    package var reply: ReplyAddress?
    package var requestID: String?

    package init(text: Result<CommandText, CodedError>, reply: ReplyAddress?, requestID: String?) {
        self.text = text
        self.reply = reply
        self.requestID = requestID
    }

    /// The command itself.
    /// - Throws: why it is refused.
    package func command<C: BusCommand>(_ type: C.Type) throws(CodedError) -> C {
        try C(try text.get())
    }
}

extension BusCodec {
    /// Reads a command's envelope. Never fails: a refusal is part of the result, so that it can be answered.
    package static func command(_ inbound: InboundMessage, root: String) -> CommandRequest {
        var request = CommandRequest(text: .success(.word("")), reply: nil, requestID: nil)
        do throws(CodedError) {
            try readProperties(of: inbound, root: root, into: &request)
            let text = try readText(of: inbound)
            if case .fields(let fields) = text { try readEnvelope(fields, root: root, into: &request) }
            guard !inbound.isRetained else {
                throw CodedError(.retainedCommand, "a command must not be retained; clear it and send it unretained")
            }
            request.text = .success(text)
        } catch {
            request.text = .failure(error)
        }
        return request
    }

    /// MQTT 5 properties. Inside the root only the replies folder may receive answers, so that nobody can make a
    /// service speak in another's name.
    private static func readProperties(
        of inbound: InboundMessage, root: String, into request: inout CommandRequest
    ) throws(CodedError) {
        guard let topic = inbound.responseTopic else { return }
        let isInside = topic == root || topic.hasPrefix("\(root)/")
        guard
            isInside ? ReplyAddress.isAllowed(fromPayload: topic, root: root) : ReplyAddress.isPublishable(topic)
        else { throw CodedError(.invalidArgument, "the response topic is not one that may receive answers") }
        request.reply = ReplyAddress(topic: topic, correlation: inbound.correlation)
    }

    private static func readText(of inbound: InboundMessage) throws(CodedError) -> CommandText {
        guard inbound.payload.count <= CommandLimits.payloadBytesMax else {
            throw tooLarge(CommandLimits.payloadBytesMax)
        }
        guard let text = String(validating: inbound.payload, as: UTF8.self) else { throw notUTF8 }
        guard !inbound.payload.contains(0) else { throw CodedError(.invalidPayload, "the payload contains NUL") }
        let trimmed = text.drop { $0.isWhitespace }
        switch trimmed.first {
        case "{"?:
            guard case .object(let fields) = try value(JSONValue.self, from: inbound.payload) else {
                throw CodedError(.invalidPayload, "expected a JSON object")
            }
            return .fields(fields)
        case "["?, "\""?: throw CodedError(.invalidPayload, "expected a word or a JSON object")
        case _?, nil:
            guard let end = trimmed.lastIndex(where: { !$0.isWhitespace }) else { return .word("") }
            return .word(String(trimmed[...end]))
        }
    }

    /// `request_id` first: a refused response topic should still quote it in the error event.
    private static func readEnvelope(
        _ fields: [String: JSONValue], root: String, into request: inout CommandRequest
    ) throws(CodedError) {
        switch fields["request_id"] {
        case nil, .null?: break
        case .string(let text)? where text.utf8.count <= CommandLimits.requestIDLengthMax: request.requestID = text
        default:
            throw CodedError(
                .invalidArgument, "request_id: expected a text of at most \(CommandLimits.requestIDLengthMax) bytes")
        }
        switch fields["response_topic"] {
        case nil, .null?: break
        case .string(let topic)? where ReplyAddress.isAllowed(fromPayload: topic, root: root):
            // The properties of an MQTT 5 client win: they carry the correlation data.
            if request.reply == nil { request.reply = ReplyAddress(topic: topic, correlation: nil) }
        default:
            throw CodedError(.invalidArgument, "response_topic: must lie below \(root)/\(ReplyAddress.folder)/")
        }
    }
}
