internal import Foundation
internal import Glibc

/// One HTTP exchange on a plain socket, so that a test can send what no client would.
package enum RawHTTP {
    package struct Failed: Error, CustomStringConvertible {
        package let description: String
    }

    private static let secondsMax = 10

    /// Sends the bytes and returns everything that comes back until the other side closes. On a thread of its own: who
    /// answers may need this one.
    package static func exchange(_ text: String, port: Int) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            let thread = Thread { continuation.resume(with: Result { try blockingExchange(text, port: port) }) }
            thread.start()
        }
    }

    private static func blockingExchange(_ text: String, port: Int) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var patience = timeval(tv_sec: secondsMax, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let isOpen = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isOpen else { throw Failed(description: "nobody listens on \(port)") }
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { break }
            sent += count
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 { answer += buffer[..<count] }
        return String(decoding: answer, as: UTF8.self)
    }

    /// A request with an optional JSON body.
    /// - Returns: the status and the body.
    package static func send(
        _ method: String, _ path: String, body: String = "", headers: [String] = [], port: Int
    ) async throws -> (status: Int, body: String) {
        let lines =
            [
                "\(method) \(path) HTTP/1.1", "Host: 127.0.0.1", "Connection: close",
                "Content-Length: \(body.utf8.count)",
            ]
            + headers
        let answer = try await exchange(lines.joined(separator: "\r\n") + "\r\n\r\n" + body, port: port)
        let words = answer.split(separator: " ", maxSplits: 2)
        guard words.count > 1, let status = Int(words[1]) else { throw Failed(description: "no answer: \(answer)") }
        let end = answer.firstRange(of: "\r\n\r\n")?.upperBound ?? answer.endIndex
        return (status, String(answer[end...]))
    }
}
