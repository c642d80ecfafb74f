package import BusContract
package import Domain
internal import FoundationEssentials

/// Payloads to bytes and back. Owns the JSON conventions of the bus: snake_case keys, RFC 3339 times, `at` and `seq`
/// beside the message's own keys, sorted keys so that equal messages have equal bytes. Whatever arrives is checked
/// here before a parser sees it; nothing that arrives can trap. Called by `BusClient` and by those who read its
/// inputs. What a command means does not belong here: see `BusCommand`.
package enum BusCodec {
    /// - Throws: `internal` if the message holds a number that JSON cannot carry.
    package static func encode<M: BusMessage>(
        _ message: M, at: WallTime, seq: UInt64
    ) throws(CodedError) -> [UInt8] {
        switch M.format {
        case .json: try json(Stamped(at: at, seq: seq, message: message))
        case .word: try word(message)
        case .bytes: try bytes(of: message)
        }
    }

    /// - Throws: `payload_too_large` beyond `statePayloadBytesMax`, `invalid_payload` for anything that is not an `M`.
    package static func decode<M: BusMessage>(_ type: M.Type, from bytes: [UInt8]) throws(CodedError) -> Stamped<M> {
        let bytesMax = (type as? any BytesMessage.Type)?.bytesMax ?? statePayloadBytesMax
        guard bytes.count <= bytesMax else { throw tooLarge(bytesMax) }
        switch M.format {
        case .json: return try value(Stamped<M>.self, from: bytes)
        case .word:
            guard let text = String(validating: bytes, as: UTF8.self) else { throw notUTF8 }
            // A word is decoded as the JSON string it would be, so that the enum's own Codable decides.
            let message = try value(M.self, from: json(text))
            return Stamped(at: WallTime(nanoseconds: 0), seq: 0, message: message)
        case .bytes:
            guard let raw = type as? any BytesMessage.Type, let message = raw.init(bytes: bytes) as? M else {
                preconditionFailure("only a BytesMessage has the format bytes")
            }
            return Stamped(at: WallTime(nanoseconds: 0), seq: 0, message: message)
        }
    }

    private static func bytes(of message: some BusMessage) throws(CodedError) -> [UInt8] {
        guard let raw = message as? any BytesMessage else {
            preconditionFailure("only a BytesMessage has the format bytes")
        }
        let limit = type(of: raw).bytesMax
        guard raw.bytes.count <= limit else { throw tooLarge(limit) }
        return raw.bytes
    }

    /// No state or event of JSON is larger; anything larger was not written by this project.
    package static let statePayloadBytesMax = 1024 * 1024

    /// An `Encodable` in the bus's own JSON, without a stamp: replies.
    package static func json(_ value: some Encodable) throws(CodedError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return [UInt8](try encoder.encode(value))
        } catch {
            throw CodedError(.internal, "the message cannot be written as JSON", cause: "\(error)")
        }
    }

    /// The reverse of `json(_:)`.
    /// - Throws: `invalid_payload`.
    package static func value<Value: Decodable>(
        _ type: Value.Type, from bytes: [UInt8]
    ) throws(CodedError) -> Value {
        try JSONShape.check(bytes)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            return try decoder.decode(type, from: Data(bytes))
        } catch {
            throw CodedError(.invalidPayload, "not the expected JSON", cause: Self.describe(error))
        }
    }

    static let notUTF8 = CodedError(.invalidPayload, "the payload is not UTF-8")

    static func tooLarge(_ limit: Int) -> CodedError {
        CodedError(.payloadTooLarge, "the payload is larger than \(limit) bytes")
    }

    private static func word(_ message: some BusMessage) throws(CodedError) -> [UInt8] {
        let quoted = try json(message)
        guard quoted.count > 2, quoted.first == UInt8(ascii: "\""), !quoted.contains(UInt8(ascii: "\\")) else {
            throw CodedError(.internal, "a word message must be one plain word")
        }
        return Array(quoted.dropFirst().dropLast())
    }

    /// The place and the reason, without the payload's own text, which may be long and hostile.
    private static func describe(_ error: any Error) -> String {
        guard let error = error as? DecodingError else { return "unreadable" }
        switch error {
        case .keyNotFound(let key, _): return "\(key.stringValue): missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            let path = context.codingPath.map(\.stringValue).joined(separator: ".")
            return "\(path.isEmpty ? "the document" : String(path.prefix(80))): wrong type or value"
        @unknown default: return "unreadable"
        }
    }
}
