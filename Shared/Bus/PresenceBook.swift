package import BusContract

/// Who is present, from the `services/+/+` states. A will that arrives late, of a connection older than the present
/// one, changes nothing: an `offline` counts only if it carries the session of the `online` that it ends. Pure.
package struct PresenceBook: Sendable, Hashable {
    package private(set) var services: [ServiceAddress: ServiceState] = [:]

    package init() {}

    /// - Returns: whether the book changed.
    @discardableResult
    package mutating func record(_ state: ServiceState, from address: ServiceAddress) -> Bool {
        if let known = services[address] {
            guard known != state else { return false }
            let endsAnotherSession = state.state == .offline && state.session != known.session
            if known.state == .online && endsAnotherSession { return false }
        }
        services[address] = state
        return true
    }

    /// Forgets a service whose retained state was cleared.
    package mutating func remove(_ address: ServiceAddress) { services[address] = nil }

    package func isOnline(_ address: ServiceAddress) -> Bool { services[address]?.state == .online }
}
