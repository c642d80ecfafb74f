internal import ClusterConfig
internal import Domain
internal import Glibc
internal import ServiceKit

/// A numeric address to listen on.
struct SocketAddress {
    private let place: HostAndPort

    init(_ place: HostAndPort) { self.place = place }

    private static let backlog: Int32 = 64

    /// A listening socket.
    /// - Throws: what keeps it from listening, such as a port that is taken.
    func listener() throws(CodedError) -> Int32 {
        var storage = sockaddr_storage()
        guard let length = fill(&storage) else {
            throw CodedError(.invalidArgument, "\(place.host) is no address to listen on")
        }
        let descriptor = socket(
            Int32(storage.ss_family), Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(errno, "cannot make a socket") }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard bound == 0, listen(descriptor, Self.backlog) == 0 else {
            let number = errno
            close(descriptor)
            throw .system(number, "cannot listen on \(place)")
        }
        return descriptor
    }

    /// Nil for what is no numeric address; `localhost` is 127.0.0.1.
    private func fill(_ storage: inout sockaddr_storage) -> socklen_t? {
        let host = place.host == "localhost" ? "127.0.0.1" : place.host
        let port = in_port_t(truncatingIfNeeded: place.port).bigEndian
        return withUnsafeMutablePointer(to: &storage) { pointer in
            if host.contains(":") {
                return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                    address.pointee.sin6_family = sa_family_t(AF_INET6)
                    address.pointee.sin6_port = port
                    guard inet_pton(AF_INET6, host, &address.pointee.sin6_addr) == 1 else { return nil }
                    return socklen_t(MemoryLayout<sockaddr_in6>.size)
                }
            }
            return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                address.pointee.sin_family = sa_family_t(AF_INET)
                address.pointee.sin_port = port
                guard inet_pton(AF_INET, host, &address.pointee.sin_addr) == 1 else { return nil }
                return socklen_t(MemoryLayout<sockaddr_in>.size)
            }
        }
    }

    /// The address of the other side, without its port.
    static func host(of storage: sockaddr_storage) -> String {
        withUnsafePointer(to: storage) { pointer in
            if storage.ss_family == sa_family_t(AF_INET6) {
                return pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                    withUnsafeBytes(of: address.pointee.sin6_addr) { host(ofIPv6: Array($0)) }
                }
            }
            return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                withUnsafeBytes(of: address.pointee.sin_addr) { dotted($0) }
            }
        }
    }

    /// The network, since a host has all of a /64. Without one, the whole address: `::1`, and IPv4 as a socket shows it
    /// that hears both (RFC 4291, sections 2.5.3 and 2.5.5.2).
    private static func host(ofIPv6 bytes: [UInt8]) -> String {
        let network = bytes.prefix(8)
        guard network.allSatisfy({ $0 == 0 }) else { return hexadecimal(network) }
        return bytes[8...].starts(with: [0, 0, 0xFF, 0xFF]) ? dotted(bytes[12...]) : hexadecimal(bytes)
    }

    private static func dotted(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map(String.init).joined(separator: ".")
    }

    private static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String($0, radix: 16) }.joined(separator: ":")
    }
}
