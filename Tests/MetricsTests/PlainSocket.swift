import Foundation
import Glibc

/// A client that sends what it likes and reads when it likes, without ever blocking the test's thread.
final class PlainSocket: Sendable {
    private let descriptor: Int32

    struct Failed: Error {}

    /// - Parameter segmentBytesMax: of TCP, as over a network; nil: loopback's own, of 64 KB.
    init(port: Int, segmentBytesMax: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        if var bytes = segmentBytesMax {
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_MAXSEG, &bytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7f00_0001).bigEndian
        let isOpen = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isOpen else { throw Failed() }
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else { throw Failed() }
    }

    /// What has come; empty: nothing yet; nil: the other side has closed.
    func receive(atMost count: Int = 65_536) -> String? {
        var buffer = [UInt8](repeating: 0, count: count)
        let read = recv(descriptor, &buffer, count, Int32(MSG_DONTWAIT))
        if read < 0, errno == EAGAIN { return "" }
        return read > 0 ? String(decoding: buffer[..<read], as: UTF8.self) : nil
    }

    enum End { case open, closed, reset }

    /// How it stands, throwing away what has come. A reset may take an answer with it that was not read yet.
    func end() -> End {
        while true {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let read = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if read == 0 { return .closed }
            if read < 0 { return errno == EAGAIN ? .open : .reset }
        }
    }

    /// Leaves no room for what it does not read.
    func shrinkReceiveBuffer() {
        var size: Int32 = 4096
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
}
