package import Bus
package import ClusterConfig
package import Domain
internal import Glibc

extension BusSettings {
    /// What the configuration says of the broker, for one client. Of an embedded broker the private socket is taken
    /// where this user may enter its folder, else the listener that is open to all.
    package init(_ broker: BrokerSettings, stateDir: String, clientID: String) {
        let endpoint: BrokerEndpoint
        switch broker.url {
        case .unix(let path): endpoint = .unixSocket(path: path)
        case .tcp(let host, let port, let tls):
            let files = TLSSettings(ca: broker.tls.ca, cert: broker.tls.cert, key: broker.tls.key)
            endpoint = .tcp(host: host, port: port, tls: tls ? files : nil)
        case .embedded(let host, let port):
            let paths = EmbeddedBrokerPaths(stateDir: stateDir)
            endpoint =
                access(paths.socketFolder, X_OK) == 0
                ? .unixSocket(path: paths.socket) : .tcp(host: host, port: port, tls: nil)
        }
        self.init(
            endpoint: endpoint, username: broker.username, password: broker.password?.reveal(),
            topicRoot: broker.topicRoot, clientID: clientID)
    }

    /// `<root>-<service>-<instance>`: the same for every process that claims to be this copy, so that the broker fences
    /// the older one.
    package static func clientID(_ broker: BrokerSettings, _ service: ServiceName, _ instance: InstanceID) -> String {
        "\(broker.topicRoot.split(separator: "/").joined(separator: "-"))-\(service)-\(instance)"
    }
}
