/// The public text of an address: what of it names the place, and nothing that lets anybody in.
extension SourceAddress {
    static func publicText(_ kind: Kind) -> String {
        switch kind {
        case .rtsp(let url): publicText(rtsp: ResolvedText(written: url))
        case .file(let file): "file://\(file.path)"
        case .testPattern(let pattern):
            "test://pattern?size=\(pattern.width)x\(pattern.height)&fps=\(pattern.fps)"
        case .v4l2(let device): "v4l2://\(device.path)"
        }
    }

    /// - Parameter text: what `kind` was read from.
    static func publicText(_ kind: Kind, _ text: ResolvedText) -> String {
        guard text.hasSecrets else { return publicText(kind) }
        switch kind {
        case .rtsp: return publicText(rtsp: text)
        case .file: return "file://" + shownPath(text)
        case .testPattern: return "test://\(ResolvedText.mask)"
        case .v4l2: return "v4l2://" + shownPath(text)
        }
    }

    /// What stands between scheme and query.
    private static func shownPath(_ text: ResolvedText) -> String {
        let bytes = Array(text.text.utf8)
        guard let scheme = bytes.firstRange(of: separator) else { return ResolvedText.mask }
        let path = bytes[scheme.upperBound...].prefix { $0 != UInt8(ascii: "?") }
        return text.shown(path.startIndex..<path.endIndex)
    }

    /// Where it cannot be told whether an `@` ends a password, nothing but the scheme is shown. A level of the path
    /// with a `=` is a query in disguise: some cameras take `/user=…&password=…`.
    private static func publicText(rtsp text: ResolvedText) -> String {
        let bytes = Array(text.text.utf8)
        guard let colon = bytes.firstRange(of: separator) else { return "rtsp://" }
        let scheme = String(decoding: bytes[..<colon.upperBound], as: UTF8.self)
        let authority = bytes[colon.upperBound...].prefix { !"/?#".utf8.contains($0) }
        let rest = bytes[authority.endIndex...]
        let isClear = !rest.contains(at) || !authority.contains { ":@".utf8.contains($0) }
        guard isClear else { return scheme + ResolvedText.mask }
        let host = authority[(authority.lastIndex(of: at).map { $0 + 1 } ?? authority.startIndex)...]
        guard !text.isSecret else {
            // Whose address is a secret as a whole still wants to know which camera it is.
            let place = !rest.contains(at) && isPlace(host) ? String(decoding: host, as: UTF8.self) + "/" : ""
            return scheme + place + ResolvedText.mask
        }
        let path = rest.prefix { !"?#".utf8.contains($0) }
        let levels = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let disguised = levels.first { $0.contains(UInt8(ascii: "=")) }
        // The slash before such a level goes with it.
        let end = disguised.map { max($0.startIndex - 1, path.startIndex) } ?? path.endIndex
        return scheme + text.shown(host.startIndex..<end)
    }

    /// Whether these are the letters of a host, and digits behind its colon: a word there could be a password.
    private static func isPlace(_ host: ArraySlice<UInt8>) -> Bool {
        let bracket = host.lastIndex(of: UInt8(ascii: "]")).map { $0 + 1 } ?? host.startIndex
        let port = host[bracket...].drop { $0 != UInt8(ascii: ":") }.dropFirst()
        return port.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            && host.allSatisfy { byte in
                let character = Character(UnicodeScalar(byte))
                return character.isASCII && (character.isLetter || character.isNumber || ".-_:[]".contains(character))
            }
    }

    private static let separator = Array("://".utf8)
    private static let at = UInt8(ascii: "@")
}
