internal import ClusterConfig
internal import Domain
package import ServiceKit

/// Wires a worker's process: finds its camera in the configuration and runs it.
package enum CaptureWorkerService {
    package static func run(camera name: String, flags: ServiceFlags) async -> Never {
        await ServiceProcess.run(.captureWorker, flags: flags) { configuration throws(CodedError) in
            _ = try Self.camera(name, in: configuration)
            return InstanceID(unchecked: name)
        } body: { context in
            let camera = try Self.camera(name, in: context.configuration)
            return try await CaptureWorker(camera: camera, context: context).run()
        }
    }

    private static func camera(
        _ name: String, in configuration: ClusterConfiguration
    ) throws(CodedError) -> CameraConfiguration {
        guard let id = CameraID(rawValue: name), let camera = configuration.camera(id) else {
            throw CodedError(.unknownCamera, "no camera '\(name.prefix(63))' in the configuration")
        }
        return camera
    }
}
