import Domain
import TestSupport
import Testing

@testable import MetricsCore

@Suite("The head of a request, read strictly")
struct HTTPRequestHeadTests {
    private func head(_ text: String) throws -> HTTPRequestHead { try HTTPRequestHead(Array(text.utf8)) }

    private func fault(_ bytes: [UInt8]) -> Int? {
        do throws(HTTPRequestHead.Fault) {
            _ = try HTTPRequestHead(bytes)
            return nil
        } catch {
            return error.status
        }
    }

    @Test("What clients send is understood")
    func good() throws {
        let read = try head(
            "GET /api/v1/cameras/front%5f1?from=a%20b&x=&y HTTP/1.1\r\nHost: h:1\r\nX-A:  b \t\r\n"
                + "Cookie: a=1; framekeeper_token=t0k; b=2\r\nContent-Length: 3\r\n\r\n")
        #expect(read.method == "GET" && read.path == ["api", "v1", "cameras", "front_1"])
        #expect(read.query.map(\.name) == ["from", "x", "y"] && read.query.map(\.value) == ["a b", "", ""])
        #expect(read.header("x-a") == "b" && read.cookie("framekeeper_token") == "t0k" && read.cookie("c") == nil)
        #expect(try read.bodyLength() == 3 && read.keepsAlive)
        #expect(try !head("GET / HTTP/1.0\r\n\r\n").keepsAlive)
        #expect(try !head("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n").keepsAlive)
    }

    @Test(
        "What would have to be guessed is refused",
        arguments: [
            ("GET  / HTTP/1.1\r\n\r\n", 400), ("get / HTTP/1.1\r\n\r\n", 400), ("GET /\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505), ("GET http://h/ HTTP/1.1\r\n\r\n", 400), ("GET * HTTP/1.1\r\n\r\n", 400),
            ("GET /%zz HTTP/1.1\r\n\r\n", 400), ("GET /%2 HTTP/1.1\r\n\r\n", 400), ("GET /%00 HTTP/1.1\r\n\r\n", 400),
            ("GET /%ff HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\n\n", 400), ("GET / HTTP/1.1\r\nA: b\n\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400), ("GET / HTTP/1.1\r\n a: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400), ("GET / HTTP/1.1\r\n: b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nA: \u{1}\r\n\r\n", 400), ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: \r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 9999999999999\r\n\r\n", 400), ("", 400), ("\r\n\r\n", 400),
        ])
    func bad(text: String, status: Int) { #expect(fault(Array(text.utf8)) == status, "\(text.debugDescription)") }

    @Test("Limits are limits")
    func limits() {
        let long = String(repeating: "a", count: HTTPRequestHead.targetBytesMax)
        #expect(fault(Array("GET /\(long) HTTP/1.1\r\n\r\n".utf8)) == 414)
        let many = String(repeating: "A: b\r\n", count: HTTPRequestHead.headersMax + 1)
        #expect(fault(Array("GET / HTTP/1.1\r\n\(many)\r\n".utf8)) == 431)
        let large = String(repeating: "x", count: HTTPRequestHead.bytesMax)
        #expect(fault(Array("GET / HTTP/1.1\r\nA: \(large)\r\n\r\n".utf8)) == 431)
    }

    @Test("Any bytes are read or refused, never more", arguments: UInt64(0)..<8)
    func fuzz(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let good = Array(
            "POST /api/v1/cameras/front/recording?a=%41 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n".utf8)
        for _ in 0..<2000 {
            var bytes = good
            for _ in 0..<random.int(in: 1...6) {
                let place = random.int(in: 0...(bytes.count - 1))
                switch random.int(in: 0...2) {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1: bytes.insert(random.pick([13, 10, 0x25, 0x20, 0x3A, 0]), at: place)
                default: bytes.remove(at: place)
                }
            }
            let end = HTTPRequestHead.end(in: bytes)
            if let end { #expect(Array(bytes[..<end].suffix(4)) == [13, 10, 13, 10]) }
            if fault(bytes) == nil { #expect(end == bytes.count) }
        }
    }

    @Test("The end is found in any pieces")
    func end() {
        let bytes = Array("GET / HTTP/1.1\r\nA: \r\r\n\r\nrest".utf8)
        #expect(HTTPRequestHead.end(in: bytes) == bytes.count - 4)
        #expect(HTTPRequestHead.end(in: Array("\r\n\r".utf8)) == nil)
        #expect(HTTPRequestHead.end(in: Array("\r\n\r\n".utf8)) == 4)
    }

    @Test(
        "A range is part of the file, or none",
        arguments: [
            (nil, ByteRange.whole), ("bytes=0-0", .part(0..<1)), ("bytes=5-", .part(5..<10)),
            ("bytes=-3", .part(7..<10)), ("bytes=-30", .part(0..<10)), ("bytes=8-30", .part(8..<10)),
            ("bytes=10-", .unsatisfiable), ("bytes=-0", .unsatisfiable), ("bytes=3-2", .whole), ("bytes=-", .whole),
            ("bytes=0-1,3-4", .whole), ("bytes=a-b", .whole), ("items=0-1", .whole),
            ("bytes=99999999999999999999-", .whole),
        ] as [(String?, ByteRange)])
    func ranges(header: String?, range: ByteRange) { #expect(ByteRange(header, size: 10) == range) }

    @Test("Of an empty file there is no range")
    func emptyFile() {
        #expect(ByteRange("bytes=0-", size: 0) == .unsatisfiable && ByteRange("bytes=-1", size: 0) == .unsatisfiable)
        #expect(ByteRange(nil, size: 0) == .whole)
    }
}
