/// The first lines of an HTTP/1.1 request (RFC 9112), read strictly: what this server would have to guess about is
/// refused. It holds no body and touches no socket.
package struct HTTPRequestHead: Hashable, Sendable {
    /// As it was sent; methods are case-sensitive.
    package var method: String
    /// Decoded, without the query; begins with `/`.
    package var path: [String]
    /// In the order of the request, decoded.
    package var query: [QueryItem]
    /// Names in lower case; values without blanks around them.
    package var headers: [Header]
    package var isHTTP10: Bool

    package struct QueryItem: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    package struct Header: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    package static let bytesMax = 16 * 1024
    package static let targetBytesMax = 4096
    package static let headersMax = 64
    /// Of a body: more than a command may have.
    package static let bodyBytesMax = 64 * 1024

    package enum Fault: Error, Hashable, Sendable {
        case malformed(String)
        case tooLarge
        case uriTooLong
        case version
        /// A body without a length beforehand.
        case lengthRequired

        package var status: Int {
            switch self {
            case .malformed: 400
            case .tooLarge: 431
            case .uriTooLong: 414
            case .version: 505
            case .lengthRequired: 411
            }
        }
    }

    /// Where the head ends: behind the first empty line, if that has come.
    package static func end(in bytes: some Collection<UInt8>) -> Int? {
        var matched = 0
        let wanted: [UInt8] = [13, 10, 13, 10]
        for (place, byte) in bytes.enumerated() {
            if byte == wanted[matched] {
                matched += 1
                if matched == wanted.count { return place + 1 }
            } else {
                matched = byte == 13 ? 1 : 0
            }
        }
        return nil
    }

    /// - Parameter bytes: up to and with the empty line.
    package init(_ bytes: [UInt8]) throws(Fault) {
        guard bytes.count <= Self.bytesMax else { throw .tooLarge }
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F || $0 == 13 || $0 == 10 || $0 == 9 || $0 >= 0x80 }) else {
            throw .malformed("a control character")
        }
        var lines = try Self.lines(bytes)[...]
        guard let first = lines.popFirst() else { throw .malformed("no request line") }
        let words = first.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3 else { throw .malformed("the request line has not three words") }
        method = String(decoding: words[0], as: UTF8.self)
        guard (1...16).contains(words[0].count), words[0].allSatisfy({ (0x41...0x5A).contains($0) }) else {
            throw .malformed("the method")
        }
        switch String(decoding: words[2], as: UTF8.self) {
        case "HTTP/1.1": isHTTP10 = false
        case "HTTP/1.0": isHTTP10 = true
        default: throw .version
        }
        guard words[1].count <= Self.targetBytesMax else { throw .uriTooLong }
        (path, query) = try Self.target(Array(words[1]))
        guard lines.count <= Self.headersMax else { throw .tooLarge }
        var read: [Header] = []
        for line in lines { read.append(try Self.header(line)) }
        headers = read
        _ = try bodyLength()
    }

    // MARK: Headers

    /// Nil if it is absent; the first, if it is there more than once.
    package func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// The length of the body that follows; 0 without one.
    package func bodyLength() throws(Fault) -> Int {
        guard header("transfer-encoding") == nil else { throw .lengthRequired }
        let lengths = Set(headers.filter { $0.name == "content-length" }.map(\.value))
        guard let text = lengths.first else { return 0 }
        guard lengths.count == 1, (1...12).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let length = Int(text)
        else { throw .malformed("content-length") }
        return length
    }

    /// Whether the connection may carry another request.
    package var keepsAlive: Bool {
        let words = (header("connection") ?? "").lowercased().split(separator: ",").map { $0.filter { $0 != " " } }
        return isHTTP10 ? words.contains("keep-alive") : !words.contains("close")
    }

    /// A cookie's value.
    package func cookie(_ name: String) -> String? {
        for pair in (header("cookie") ?? "").split(separator: ";") {
            let pair = pair.drop { $0 == " " }
            if pair.hasPrefix(name + "=") { return String(pair.dropFirst(name.count + 1)) }
        }
        return nil
    }

    // MARK: Parsing

    private static func lines(_ bytes: [UInt8]) throws(Fault) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        for place in bytes.indices {
            switch bytes[place] {
            case 13:
                guard place + 1 < bytes.count, bytes[place + 1] == 10 else { throw .malformed("a bare CR") }
            case 10:
                guard place > start || place > 0, bytes[place - 1] == 13 else { throw .malformed("a bare LF") }
                lines.append(bytes[start..<place - 1])
                start = place + 1
            default: continue
            }
        }
        guard start == bytes.count, lines.last?.isEmpty == true else { throw .malformed("no empty line") }
        return lines.dropLast()
    }

    /// Only the origin form, `/path?query` (RFC 9112 section 3.2.1).
    private static func target(_ bytes: [UInt8]) throws(Fault) -> ([String], [QueryItem]) {
        guard bytes.first == UInt8(ascii: "/"), !bytes.contains(UInt8(ascii: "#")) else {
            throw .malformed("the target is no path")
        }
        let parts = bytes.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        var path: [String] = []
        for level in parts[0].dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            path.append(try decoded(level))
        }
        var query: [QueryItem] = []
        guard parts.count > 1 else { return (path, query) }
        for item in parts[1].split(separator: UInt8(ascii: "&")) {
            let pair = item.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            query.append(
                QueryItem(name: try decoded(pair[0]), value: pair.count > 1 ? try decoded(pair[1]) : ""))
        }
        return (path, query)
    }

    /// RFC 3986 section 2.1; the result must be text without NUL.
    private static func decoded(_ bytes: some Collection<UInt8>) throws(Fault) -> String {
        var result: [UInt8] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                result.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hex), let low = rest.popFirst().flatMap(hex) else {
                throw .malformed("% without two digits")
            }
            result.append(high << 4 | low)
        }
        guard let text = String(validating: result, as: UTF8.self), !result.contains(0) else {
            throw .malformed("the target is not UTF-8")
        }
        return text
    }

    private static func hex(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    private static func header(_ line: ArraySlice<UInt8>) throws(Fault) -> Header {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
            throw .malformed("a header without a name")
        }
        let name = line[..<colon]
        // Also refuses a folded line, which begins with a blank, and a blank before the colon.
        guard name.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"()<>@,;\\\"/[]?={}".utf8.contains($0) }) else {
            throw .malformed("the name of a header")
        }
        let value = line[(colon + 1)...].drop { $0 == 0x20 || $0 == 9 }
        let end = value.lastIndex { $0 != 0x20 && $0 != 9 }.map { $0 + 1 } ?? value.startIndex
        return Header(
            name: String(decoding: name, as: UTF8.self).lowercased(),
            value: String(decoding: value[value.startIndex..<end], as: UTF8.self))
    }
}
