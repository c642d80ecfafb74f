package import BusContract
package import Domain

/// A message with the moment and the number of its publication, which stand beside the message's own keys in one
/// JSON object. A message of words or bytes carries neither; it
/// reads back with the epoch and 0.
package struct Stamped<M: BusMessage>: Codable, Sendable, Hashable {
    package var at: WallTime
    /// Grows per publisher, also over restarts; below 2^53, so that every JSON reader holds it.
    package var seq: UInt64
    package var message: M

    package init(at: WallTime, seq: UInt64, message: M) {
        self.at = at
        self.seq = seq
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case at, seq
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        at = try container.decode(WallTime.self, forKey: .at)
        seq = try container.decode(UInt64.self, forKey: .seq)
        message = try M(from: decoder)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(at, forKey: .at)
        try container.encode(seq, forKey: .seq)
        try message.encode(to: encoder)
    }
}
