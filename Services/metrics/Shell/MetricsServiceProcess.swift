internal import ClusterConfig
internal import Domain
package import ServiceKit

/// Wires the process of a node's metrics service.
package enum MetricsServiceProcess {
    package static func run(flags: ServiceFlags) async -> Never {
        await ServiceProcess.run(.metrics, flags: flags) { configuration throws(CodedError) in
            InstanceID(unchecked: configuration.node.rawValue)
        } body: { context in
            await MetricsService(context: context).run()
        }
    }
}
