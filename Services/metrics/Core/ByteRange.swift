/// What a `Range` header asks of a file (RFC 9110 section 14).
package enum ByteRange: Hashable, Sendable {
    case whole
    /// Not empty, within the file.
    case part(Range<Int64>)
    /// 416.
    case unsatisfiable

    /// - Parameters:
    ///   - header: nil, something else than bytes, something that cannot be read, or several ranges at once: the whole.
    ///   - size: of the file, in bytes.
    package init(_ header: String?, size: Int64) {
        guard let header, header.hasPrefix("bytes=") else {
            self = .whole
            return
        }
        let ends = header.dropFirst("bytes=".count).split(
            separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Self.number(ends[0]), let last = Self.number(ends[1]) else {
            self = .whole
            return
        }
        switch (first, last) {
        case (nil, nil): self = .whole
        case (nil, let count?): self = count > 0 && size > 0 ? .part(max(size - count, 0)..<size) : .unsatisfiable
        case (let start?, nil): self = start < size ? .part(start..<size) : .unsatisfiable
        case (let start?, let end?):
            guard start <= end else {
                self = .whole
                return
            }
            self = start < size ? .part(start..<min(end, size - 1) + 1) : .unsatisfiable
        }
    }

    /// Nil: no number; nil within: nothing stands there.
    private static func number(_ text: Substring) -> Int64?? {
        if text.isEmpty { return .some(nil) }
        guard text.utf8.count <= 18, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text)
    }
}
