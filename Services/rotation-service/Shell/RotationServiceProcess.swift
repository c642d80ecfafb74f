internal import ClusterConfig
internal import Domain
package import ServiceKit

/// Wires the process of a node's rotation-service.
package enum RotationServiceProcess {
    package static func run(flags: ServiceFlags) async -> Never {
        await ServiceProcess.run(.rotationService, flags: flags) { configuration throws(CodedError) in
            InstanceID(unchecked: configuration.node.rawValue)
        } body: { context in
            try await RotationService(context: context).run()
        }
    }
}
