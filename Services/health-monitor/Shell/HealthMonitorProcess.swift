internal import ClusterConfig
internal import Domain
package import ServiceKit

/// Wires the process of a health-monitor. Each node may run one; the lease on the bus says which of them acts.
package enum HealthMonitorProcess {
    package static func run(flags: ServiceFlags) async -> Never {
        await ServiceProcess.run(.healthMonitor, flags: flags) { configuration throws(CodedError) in
            InstanceID(unchecked: configuration.node.rawValue)
        } body: { context in
            await HealthMonitor(context: context).run()
        }
    }
}
