/// One record of the outbox's file.
enum OutboxRecord {
    case append(EventOutbox.Entry)
    /// Acknowledged or dropped.
    case remove(UInt64)

    var id: UInt64 {
        switch self {
        case .append(let entry): entry.id
        case .remove(let id): id
        }
    }

    /// `length` and `checksum` of the body, 4 bytes each, then the body: kind, id, and of an event the topic's length
    /// (2 bytes), the topic and the payload.
    var bytes: [UInt8] {
        var body: [UInt8] = []
        switch self {
        case .append(let entry):
            body.append(Self.appendKind)
            body.appendLittleEndian(entry.id)
            body.appendLittleEndian(UInt16(clamping: entry.topic.utf8.count))
            body += entry.topic.utf8
            body += entry.payload
        case .remove(let id):
            body.append(Self.removeKind)
            body.appendLittleEndian(id)
        }
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(UInt32(clamping: body.count))
        bytes.appendLittleEndian(Self.checksum(body[...]))
        return bytes + body
    }

    private static let appendKind: UInt8 = 1
    private static let removeKind: UInt8 = 2
    private static let headBytes = 8

    /// FNV-1a, 32 bits: finds a torn record, which is all that it is for.
    private static func checksum(_ body: ArraySlice<UInt8>) -> UInt32 {
        body.reduce(2_166_136_261) { ($0 ^ UInt32($1)) &* 16_777_619 }
    }

    /// Reads records from the front of a file's bytes until one is torn or damaged.
    struct Reader {
        private let bytes: [UInt8]
        /// Behind the last whole record.
        private(set) var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        mutating func next() -> OutboxRecord? {
            guard bytes.count - position >= headBytes else { return nil }
            let length = Int(bytes[position...].littleEndian(UInt32.self))
            let checksum = bytes[(position + 4)...].littleEndian(UInt32.self)
            let start = position + headBytes
            guard length <= bytes.count - start else { return nil }
            let body = bytes[start..<start + length]
            guard OutboxRecord.checksum(body) == checksum, let record = OutboxRecord(body: body) else { return nil }
            position = start + length
            return record
        }
    }

    private init?(body: ArraySlice<UInt8>) {
        guard let kind = body.first, body.count >= 9 else { return nil }
        let id = body.dropFirst().littleEndian(UInt64.self)
        let rest = body.dropFirst(9)
        switch kind {
        case Self.removeKind: self = .remove(id)
        case Self.appendKind:
            guard rest.count >= 2 else { return nil }
            let length = Int(rest.littleEndian(UInt16.self))
            let text = rest.dropFirst(2)
            guard length <= text.count, let topic = String(validating: text.prefix(length), as: UTF8.self) else {
                return nil
            }
            self = .append(EventOutbox.Entry(id: id, topic: topic, payload: Array(text.dropFirst(length))))
        default: return nil
        }
    }
}

extension [UInt8] {
    fileprivate mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }
}

extension ArraySlice<UInt8> {
    /// The caller has checked that there are enough bytes.
    fileprivate func littleEndian<Value: FixedWidthInteger>(_ type: Value.Type) -> Value {
        prefix(type.bitWidth / 8).reversed().reduce(0) { $0 << 8 | Value($1) }
    }
}
