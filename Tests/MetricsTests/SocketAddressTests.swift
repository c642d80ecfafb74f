import Glibc
import Testing

@testable import MetricsShell

@Suite("Who somebody is, by the other side's address")
struct SocketAddressTests {
    private func host(_ text: String) -> String {
        var storage = sockaddr_storage()
        withUnsafeMutablePointer(to: &storage) { pointer in
            if text.contains(":") {
                pointer.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { address in
                    address.pointee.sin6_family = sa_family_t(AF_INET6)
                    #expect(inet_pton(AF_INET6, text, &address.pointee.sin6_addr) == 1)
                }
            } else {
                pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { address in
                    address.pointee.sin_family = sa_family_t(AF_INET)
                    #expect(inet_pton(AF_INET, text, &address.pointee.sin_addr) == 1)
                }
            }
        }
        return SocketAddress.host(of: storage)
    }

    @Test("IPv4 is the same one over a socket that hears both")
    func mapped() {
        #expect(host("192.168.1.20") == "192.168.1.20")
        #expect(host("::ffff:192.168.1.20") == "192.168.1.20")
    }

    @Test("Nobody shares a budget with a stranger")
    func apart() {
        let addresses = ["::1", "::2", "::ffff:10.0.0.1", "::ffff:10.0.0.2", "2001:db8::1", "2001:db8:0:1::1"]
        #expect(Set(addresses.map(host)).count == addresses.count)
    }

    @Test("All addresses of one network are one host's")
    func network() {
        #expect(host("2001:db8:1:2::1") == host("2001:db8:1:2:aaaa:bbbb:cccc:dddd"))
    }
}
