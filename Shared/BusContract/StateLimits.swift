/// Limits on the whole numbers of states. Anyone may publish one, and who calculates with a count must not meet one
/// that no service can have counted.
package enum StateLimits {
    /// Of leases, readers and restarts.
    package static let countRange = 0...Int(Int32.max)
    /// Of a disk.
    package static let bytesRange = 0...Int64.max
}

extension KeyedDecodingContainer {
    /// - Throws: `DecodingError.dataCorrupted` outside `range`.
    func decode<Number: FixedWidthInteger & Decodable>(_ key: Key, in range: ClosedRange<Number>) throws -> Number {
        let number = try decode(Number.self, forKey: key)
        guard range.contains(number) else {
            throw DecodingError.dataCorruptedError(
                forKey: key, in: self, debugDescription: "not from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// As `decode(_:in:)`; nil where there is none.
    func decodeIfPresent<Number: FixedWidthInteger & Decodable>(
        _ key: Key, in range: ClosedRange<Number>
    ) throws -> Number? {
        guard contains(key), try !decodeNil(forKey: key) else { return nil }
        return try decode(key, in: range)
    }
}
