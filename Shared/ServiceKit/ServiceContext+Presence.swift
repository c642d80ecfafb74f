package import Bus
package import BusContract
internal import ClusterConfig
internal import Domain
internal import Glibc

extension ServiceContext {
    /// Where this copy's presence is retained.
    package var address: ServiceAddress { ServiceAddress(service, instance) }

    /// What this copy says of itself on `services/<service>/<instance>`, last will included.
    package var presence: Presence {
        .service(
            address, version: version, node: configuration.node, pid: getpid(), startedAt: startedAt.wall)
    }

    /// How this copy reaches the broker, under the client id that fences a second one.
    package var busSettings: BusSettings {
        BusSettings(
            configuration.broker, stateDir: configuration.stateDir,
            clientID: BusSettings.clientID(configuration.broker, service, instance))
    }
}
