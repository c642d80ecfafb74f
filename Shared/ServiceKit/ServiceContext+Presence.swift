package import BusContract
internal import ClusterConfig
internal import Domain
internal import Glibc

extension ServiceContext {
    /// Where this copy's presence is retained.
    package var address: ServiceAddress { ServiceAddress(service, instance) }

    /// What birth and last will of one connection say; `session` is drawn anew for each connection.
    package func presence(_ state: ServiceState.Presence, session: String) -> ServiceState {
        ServiceState(
            state: state, version: version, node: configuration.node, pid: getpid(), startedAt: startedAt.wall,
            session: session)
    }
}
