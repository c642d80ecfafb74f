import Domain
import Testing

/// Addresses in which `<…>` is what came from the environment or the secrets.
@Suite struct PublicTextTests {
    private static func address(_ marked: String) throws -> SourceAddress { try SourceAddress(resolved(marked)) }

    private static func resolved(_ marked: String) -> ResolvedText {
        var text = ResolvedText()
        for (index, part) in marked.split(separator: "<", omittingEmptySubsequences: false).enumerated() {
            let halves = part.split(separator: ">", maxSplits: 1, omittingEmptySubsequences: false)
            if index > 0 { text.append(secret: String(halves[0])) }
            text.append(written: halves[halves.count - 1])
        }
        return text
    }

    @Test(arguments: [
        ("rtsps://nvr:7441/<t0ken>", "rtsps://nvr:7441/(hidden)"),
        ("rtsps://nvr:7441/<t0ken>?enableSrtp", "rtsps://nvr:7441/(hidden)"),
        ("rtsps://nvr:7441/live-<t0ken>/1", "rtsps://nvr:7441/live-(hidden)/1"),
        ("rtsp://cam/live?token=<t0ken>", "rtsp://cam/live"), ("rtsp://cam/live#<t0ken>", "rtsp://cam/live"),
        ("rtsp://cam/<%740ken>/<t0ken>", "rtsp://cam/(hidden)/(hidden)"),
        ("rtsp://cam/<t0><ken>", "rtsp://cam/(hidden)"), ("rtsp://cam/a<>b", "rtsp://cam/ab"),
        ("rtsp://<t0ken>.lan:554/live", "rtsp://(hidden).lan:554/live"), ("rtsp://cam:<55>/a", "rtsp://cam:(hidden)/a"),
        ("rtsp://<user:t0ken@cam>/live", "rtsp://(hidden)/live"), ("<rtsp://t0ken:1>/live", "rtsp://(hidden)/live"),
        ("rtsp://user:<t0ken>@cam/live", "rtsp://cam/live"), ("rtsp://<t0ken>@cam/live", "rtsp://cam/live"),
        ("rtsp://<u>:<p>@cam/<p>", "rtsp://cam/(hidden)"), ("rtsp://cam/t/<t>/1", "rtsp://cam/t/(hidden)/1"),
        ("rtsp://cam/<user=a&password=t0ken>", "rtsp://cam"), ("rtsp://cam/<a/b=t0ken>/c", "rtsp://cam/(hidden)"),
        ("rtsp://user:<t0/ken>@cam/live", "rtsp://(hidden)"), ("<rtsp://><t0ken/live>", "rtsp://(hidden)"),
        ("file://<>/a/<t0ken>/b.mp4?loop=1", "file:///a/(hidden)/b.mp4"),
        ("<file:///t0ken.mp4?loop=1>", "file://(hidden)"), ("v4l2:///dev/<t0ken>?fps=5", "v4l2:///dev/(hidden)"),
        ("test://pattern?fps=<7>", "test://(hidden)"),
    ])
    func whatIsSecretIsMaskedWhereItStands(marked: String, shown: String) throws {
        #expect(try Self.address(marked).publicText == shown)
    }

    @Test(arguments: [
        ("<rtsps://nvr:7441/t0ken?enableSrtp>", "rtsps://nvr:7441/(hidden)"),
        ("<rtsp://user:t0ken@cam.lan/live>", "rtsp://cam.lan/(hidden)"), ("<rtsp://cam>", "rtsp://cam/(hidden)"),
        ("<RTSP://[fe80::1]:554/t0ken>", "RTSP://[fe80::1]:554/(hidden)"),
        ("<rtsp://user:t0/ken@cam/live>", "rtsp://(hidden)"), ("<rtsp://t0/ken@cam/live>", "rtsp://(hidden)"),
        ("<rtsp://cam/live?t0@ken>", "rtsp://(hidden)"), ("<rtsp://cam:t0ken/live>", "rtsp://(hidden)"),
        ("<rtsp://t0!ken/live>", "rtsp://(hidden)"),
    ])
    func ofASecretAddressTheHostIsShownWhereItIsPlain(marked: String, shown: String) throws {
        #expect(try Self.address(marked).publicText == shown)
    }

    @Test func theAddressItselfIsWhole() throws {
        #expect(try Self.address("rtsps://nvr:7441/<t0ken>").kind == .rtsp(url: "rtsps://nvr:7441/t0ken"))
        let file = try Self.address("file:///<t0ken>?loop=1").kind
        #expect(file == .file(.init(path: "/t0ken", loops: true)))
    }

    @Test(arguments: [
        "<t0ken>", "<t0ken://x>", "rtsp://<t0 ken>", "file:///a?<t0ken>", "file:///a?<t0ken=1&t0ken=2>",
        "v4l2:///dev/video0?format=<t0ken>", "test://<t0ken>", "test://pattern?size=<t0ken>",
    ])
    func aRefusalQuotesNoSecret(marked: String) throws {
        #expect { try Self.address(marked) } throws: { error in
            (error as? CodedError)?.code == .invalidArgument && !"\(error)".contains("t0")
        }
    }
}
