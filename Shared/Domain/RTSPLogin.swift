/// The user and the password of a media server in the form in which an RTSP address carries them. Pure.
package struct RTSPLogin: Sendable, Hashable, CustomStringConvertible {
    /// `user:password`, percent-coded; nil if anybody may come in. Never print it, never put it into an error.
    package let coded: String?

    /// libav keeps the login, coded as in the URL, in a buffer of 128 bytes and cuts off what does not fit.
    package static let bytesMax = 127

    package init(username: String, password: String) throws(CodedError) {
        // A user name ends at the first colon (RFC 7617, 2).
        guard !username.contains(":") else {
            throw CodedError(.invalidArgument, "the user name of a media server cannot have a colon in it")
        }
        guard !username.isEmpty || password.isEmpty else {
            throw CodedError(.invalidArgument, "a password of a media server without its user name")
        }
        let coded = "\(Self.coded(username)):\(Self.coded(password))"
        guard coded.utf8.count <= Self.bytesMax else {
            throw CodedError(
                .invalidArgument, "the login of the media server is longer than \(Self.bytesMax) bytes in a URL")
        }
        self.coded = username.isEmpty ? nil : coded
    }

    package var description: String { "(hidden)" }

    /// Percent-coded (RFC 3986, 2.1), but for what a URL may hold in that place.
    private static func coded(_ text: String) -> String {
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
