package import ClusterConfig
package import Domain
internal import Glibc
package import Logging

/// What a service's wiring is given: who it is, what it was told, and when to stop.
package struct ServiceContext: Sendable {
    package let service: ServiceName
    package let instance: InstanceID
    package let configuration: ClusterConfiguration
    package let logger: Logger
    package let shutdown: Shutdown
    package let startedAt: Now
    package let version = ProductVersion.text
}

/// The life of a service's process, the same for all of them: read the configuration, open the log, watch signals and
/// the supervisor, run the service, leave with an exit code. Mains call `run` and do nothing else. What a service does
/// does not belong here.
package enum ServiceProcess {
    /// Never returns: ends the process with what `body` returned. An error of `body` is logged and ends with `failed`.
    ///
    /// - Parameters:
    ///   - instance: Names this copy from the configuration, such as its camera; an error ends with `configuration`.
    ///   - body: Runs until `context.shutdown` asks it to stop, or until it cannot go on.
    package static func run(
        _ service: ServiceName, flags: ServiceFlags,
        instance: (ClusterConfiguration) throws(CodedError) -> InstanceID,
        body: @Sendable (ServiceContext) async throws -> ServiceExit
    ) async -> Never {
        exit(ServiceExit.failed.rawValue)
    }
}
