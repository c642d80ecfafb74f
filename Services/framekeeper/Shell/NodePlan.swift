internal import ClusterConfig
internal import Domain
internal import Glibc
internal import Logging
internal import ServiceKit

/// Which processes a configuration wants on this node, and how each is started. Every process reads the text in force,
/// so that one that ends meanwhile comes back with the settings of the others, whatever the file holds at that moment.
struct NodePlan: Sendable {
    private let worker: String
    private let services: [(name: String, executable: String)]
    private let common: [String]
    private let flags: ServiceFlags

    static let rotationService = "rotation-service"
    static let configWriter = "config-writer"
    static let healthMonitor = "health-monitor"
    static let metrics = "metrics"
    static func worker(_ camera: CameraID) -> String { "capture-worker/\(camera)" }

    /// - Throws: if an executable is missing.
    init(file: String?, stateDir: String, flags: ServiceFlags) throws(CodedError) {
        var flags = flags
        flags.config = file
        flags.active = ActiveText.path(stateDir: stateDir)
        self.flags = flags
        var common = ["--log-level", flags.logLevel.rawValue, "--active", ActiveText.path(stateDir: stateDir)]
        if let file { common += ["--config", file] }
        if let url = flags.broker { common += ["--broker", url] }
        self.common = common
        worker = try Self.sibling("capture-worker")
        services = [
            (Self.rotationService, try Self.sibling(Self.rotationService)),
            (Self.configWriter, try Self.sibling(Self.configWriter)),
            (Self.healthMonitor, try Self.sibling(Self.healthMonitor)),
            (Self.metrics, try Self.sibling(Self.metrics)),
        ]
    }

    var activePath: String? { flags.active }

    /// What is in force.
    func load() -> Result<ClusterConfiguration, ConfigurationErrors> { ServiceProcess.load(flags) }

    /// Puts the file in force before anything runs. It reads the file itself, not what was in force.
    var settle: ChildSpec {
        let arguments = ["--settle"] + common.filter { $0 != "--active" && $0 != flags.active }
        return ChildSpec(
            name: Self.configWriter, executable: services.first { $0.name == Self.configWriter }?.executable ?? "",
            arguments: arguments, stage: .services)
    }

    func broker(_ broker: EmbeddedBroker) -> ChildSpec {
        ChildSpec(
            name: "broker", executable: broker.executable, arguments: ["-c", broker.configurationFile], stage: .broker,
            beats: false, mutedLines: EmbeddedBroker.mutedLines)
    }

    /// Services, and a worker per camera of this node.
    func children(_ configuration: ClusterConfiguration) -> [ChildSpec] {
        let supervised = ["--supervised"] + common
        let fixed = services.map {
            ChildSpec(name: $0.name, executable: $0.executable, arguments: supervised, stage: .services)
        }
        return fixed
            + configuration.ownCameras.map { camera in
                ChildSpec(
                    name: Self.worker(camera.id), executable: worker,
                    arguments: ["--camera", camera.id.rawValue] + supervised, stage: .workers)
            }
    }

    /// A disk that is away keeps no camera from recording to another one; who needs this one waits for it.
    static func makeStorageFolder(_ configuration: ClusterConfiguration, _ logger: Logger) {
        do throws(CodedError) {
            try AtomicFile.createFolder(configuration.storage.path)
        } catch {
            logger.error("the storage folder cannot be made", metadata: ["reason": "\(error)"])
        }
    }

    /// The services lie beside this executable.
    private static func sibling(_ name: String) throws(CodedError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw .system(errno, "cannot tell where this executable lies") }
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = own.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/" + name
        guard access(path, X_OK) == 0 else {
            throw CodedError(.notReady, "\(path) is missing; install \(name) in the folder of framekeeper")
        }
        return path
    }
}
