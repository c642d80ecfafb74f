package import Domain

/// Where a stream is published, with the login kept apart from it: the whole URL exists only inside `url()`, which
/// libav gets to see and nobody else. Pure.
package struct RTSPAddress: Sendable, Hashable, CustomStringConvertible {
    /// `rtsp://host:port/path` or `rtsps://`, without a login.
    package let location: String
    /// 554 or, with TLS, 322 where the location names none.
    let port: Int
    private let user: String
    private let password: String

    /// libav keeps the login, coded as in the URL, in a buffer of 128 bytes and cuts off what does not fit.
    package static let loginBytesMax = 127

    package init(_ location: String, username: String = "", password: String = "") throws(CodedError) {
        guard case .rtsp = try SourceAddress(location), let scheme = location.firstRange(of: "://") else {
            throw CodedError(.invalidArgument, "expected rtsp:// or rtsps://")
        }
        let authority = location[scheme.upperBound...].prefix { !"/?#".contains($0) }
        guard !authority.contains("@") else {
            throw CodedError(.invalidArgument, "the login of a media server does not belong in its address")
        }
        // A user name ends at the first colon (RFC 7617, 2).
        guard !username.contains(":") else {
            throw CodedError(.invalidArgument, "the user name of a media server cannot have a colon in it")
        }
        guard !username.isEmpty || password.isEmpty else {
            throw CodedError(.invalidArgument, "a password of a media server without its user name")
        }
        self.location = location
        let named = authority.split(separator: "]").last?.split(separator: ":", omittingEmptySubsequences: false)
        let isTLS = location.prefix(5).lowercased() == "rtsps"
        port = (named?.count ?? 0) > 1 ? named?.last.flatMap { Int($0) } ?? 0 : isTLS ? 322 : 554
        guard (1...65_535).contains(port) else {
            throw CodedError(.invalidArgument, "the address of a media server ends in a port from 1 to 65535")
        }
        user = Self.encoded(username)
        self.password = Self.encoded(password)
        guard user.utf8.count + 1 + self.password.utf8.count <= Self.loginBytesMax else {
            throw CodedError(
                .invalidArgument, "the login of the media server is longer than \(Self.loginBytesMax) bytes in a URL")
        }
    }

    /// Without the login.
    package var description: String { location }

    /// With the login. Never print it, never put it into an error.
    func url() -> String {
        guard !user.isEmpty, let scheme = location.firstRange(of: "://") else { return location }
        return "\(location[..<scheme.upperBound])\(user):\(password)@\(location[scheme.upperBound...])"
    }

    /// Percent-coded (RFC 3986, 2.1), but for what a URL may hold in that place.
    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                bytes.append(byte)
            case _ where "-._~!$&'()*+,;=".utf8.contains(byte): bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension RTSPAddress {
    /// To read from there.
    package var source: SourceAddress { .rtsp(url: url()) }
}
