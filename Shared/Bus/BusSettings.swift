package import Domain

/// Where the broker is and how this process presents itself to it. Read from the configuration once, at start.

/// Where the broker listens.
package enum BrokerEndpoint: Sendable, Hashable {
    case unixSocket(path: String)
    /// `tls` nil: plain TCP.
    case tcp(host: String, port: Int, tls: TLSSettings?)
}

/// Files in PEM. `ca` nil: the system's certificates.
package struct TLSSettings: Sendable, Hashable {
    package var ca: String?
    package var cert: String?
    package var key: String?

    package init(ca: String? = nil, cert: String? = nil, key: String? = nil) {
        self.ca = ca
        self.cert = cert
        self.key = key
    }
}

/// One client's settings. The password is left out of every description and reflection.
package struct BusSettings: Sendable {
    package var endpoint: BrokerEndpoint
    package var username: String?
    package var password: String?
    /// Without a slash at either end.
    package var topicRoot: String
    /// Fixed per owner: a second process with the same id takes the connection over, which fences the first.
    package var clientID: String
    /// 5 s or more (libmosquitto's least); a silent broker is noticed after at most twice this.
    package var keepAlive: Duration
    /// How long the broker keeps this client's subscriptions and undelivered messages after it went (MQTT 5.0
    /// section 3.1.2.11.2). 0: not at all.
    package var sessionExpirySeconds: UInt32
    package var reconnect: Backoff

    package static let keepAliveDefault: Duration = .seconds(20)
    /// At most 2 s: retained state is complete again within 5 s of a broker's return.
    package static let reconnectDefault = Backoff(first: .milliseconds(250), most: .seconds(2))

    package init(
        endpoint: BrokerEndpoint, username: String? = nil, password: String? = nil,
        topicRoot: String = "framekeeper", clientID: String, keepAlive: Duration = keepAliveDefault,
        sessionExpirySeconds: UInt32 = 0, reconnect: Backoff = reconnectDefault
    ) {
        self.endpoint = endpoint
        self.username = username
        self.password = password
        self.topicRoot = topicRoot
        self.clientID = clientID
        self.keepAlive = keepAlive
        self.sessionExpirySeconds = sessionExpirySeconds
        self.reconnect = reconnect
    }
}

extension BusSettings: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "BusSettings(client: \(clientID), root: \(topicRoot), \(place))" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["settings": description]) }

    private var place: String {
        switch endpoint {
        case .unixSocket(let path): "unix://\(path)"
        case .tcp(let host, let port, let tls): "\(tls == nil ? "mqtt" : "mqtts")://\(host):\(port)"
        }
    }
}
