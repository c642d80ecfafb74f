internal import MetricsCore

/// The dashboard's files and the description of the interface, which lie in the binary.
enum Pages {
    private static let script = "text/javascript; charset=utf-8"

    static func answer(_ page: Route.Page, _ head: HTTPRequestHead) -> HTTPAnswer {
        switch page {
        case .index: file(PackageResources.index_html, "text/html; charset=utf-8", head)
        case .script: file(PackageResources.app_js, script, head)
        case .feed: file(PackageResources.feed_js, script, head)
        case .plots: file(PackageResources.plots_js, script, head)
        case .server: file(PackageResources.server_js, script, head)
        case .tiles: file(PackageResources.tiles_js, script, head)
        case .timelines: file(PackageResources.timelines_js, script, head)
        case .style: file(PackageResources.app_css, "text/css; charset=utf-8", head)
        case .icon: file(PackageResources.icon_svg, "image/svg+xml", head)
        }
    }

    static func description(_ head: HTTPRequestHead) -> HTTPAnswer {
        file(PackageResources.openapi_json, HTTPAnswer.json, head)
    }

    private static func file(_ bytes: [UInt8], _ type: String, _ head: HTTPRequestHead) -> HTTPAnswer {
        HTTPAnswer(status: 200, headers: [("Content-Type", type)], body: .bytes(bytes))
            .unlessKnown(head, tag: HTTPAnswer.tag(bytes))
    }

    /// Gives a browser the token as a cookie that no script reads and no other page sends; nil takes it back.
    static func signedIn(_ token: String?, _ head: HTTPRequestHead) -> HTTPAnswer {
        let cookie = "\(AccessRule.cookieName(head))=\(token ?? ""); Path=/; HttpOnly; SameSite=Strict"
        return HTTPAnswer(
            status: 204, headers: [("Set-Cookie", token == nil ? cookie + "; Max-Age=0" : cookie)])
    }
}
