package import Domain

/// The media server beside a node (section `mediamtx`). Without the section there is none, and nothing is published.
package struct MediaServerSettings: Sendable, Hashable {
    /// When workers publish.
    package enum Publishing: String, Sendable, Hashable, CaseIterable {
        /// While somebody watches, and for the close-after of viewing.
        case onDemand = "on_demand"
        /// Whenever the stream runs.
        case always
        case never
    }

    /// `http://host:port` of the control API, without a final slash and without credentials.
    package var api: String
    /// `rtsp://host:port`, without a final slash and without credentials: where workers publish and read.
    package var rtsp: String
    /// As `rtsp`, but as people's players reach it.
    package var publicRTSP: String
    package var username: String?
    package var password: Secret?
    /// Absolute; the server's own file, written when its API refuses. Nil: there is no fallback.
    package var configFile: String?
    package var publish: Publishing
    /// Where the config-writer listens for the server's hooks.
    package var hookListen: HostAndPort
    /// `http://host:port` at which the server reaches `hookListen`.
    package var hookURL: String

    package init(
        api: String = "http://127.0.0.1:9997", rtsp: String = "rtsp://127.0.0.1:8554", publicRTSP: String? = nil,
        username: String? = nil, password: Secret? = nil, configFile: String? = nil,
        publish: Publishing = .onDemand, hookListen: HostAndPort = .hookDefault, hookURL: String? = nil
    ) {
        self.api = api
        self.rtsp = rtsp
        self.publicRTSP = publicRTSP ?? rtsp
        self.username = username
        self.password = password
        self.configFile = configFile
        self.publish = publish
        self.hookListen = hookListen
        self.hookURL = hookURL ?? "http://\(hookListen)"
    }

    /// Names that stand for many paths at the server: no camera can have one.
    package static let namesOfMany = ["all", "all_others"]

    /// A camera's path at the server has the camera's name.
    package func publicAddress(of camera: CameraID) -> String { "\(publicRTSP)/\(camera)" }
    package func address(of camera: CameraID) -> String { "\(rtsp)/\(camera)" }
}

/// A host and a port to listen on or to connect to.
package struct HostAndPort: Sendable, Hashable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    package static let hookDefault = HostAndPort(host: "127.0.0.1", port: 9921)

    /// RFC 3986 section 3.2.2: an IPv6 address stands in brackets.
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
