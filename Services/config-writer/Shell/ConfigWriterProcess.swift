internal import ClusterConfig
internal import ConfigWriterCore
internal import Domain
internal import Logging
package import ServiceKit

/// Wires the process of a node's config-writer, in its two forms.
package enum ConfigWriterProcess {
    /// The service.
    package static func run(flags: ServiceFlags) async -> Never {
        await ServiceProcess.run(.configWriter, flags: flags, configuration: configuration) {
            configuration throws(CodedError) in
            InstanceID(unchecked: configuration.node.rawValue)
        } body: { context in
            let reader = reader(flags, file: context.configuration.file)
            guard
                let folder = try await BlockingThread.run(
                    "folder",
                    { () throws(CodedError) in
                        try ConfigWriterFolder.take(
                            stateDir: context.configuration.stateDir, file: reader.path, logger: context.logger)
                    })
            else {
                context.logger.warning("another config-writer keeps this state folder")
                return .fenced
            }
            let writer = ConfigWriter(
                context: context, reader: reader, folder: folder, setting: flags.supervised ? .supervised : .alone,
                companion: { bus in
                    MediaServerKeeper(
                        node: context.configuration.node, topicRoot: context.configuration.broker.topicRoot, bus: bus,
                        logger: context.logger)
                })
            return await writer.run()
        }
    }

    /// Before anything of a node runs: takes the file as it stands, and what waited, and ends. A file that does not
    /// load changes nothing. Blocks.
    package static func settle(flags: ServiceFlags) -> ServiceExit {
        let logger = ServiceProcess.logger(.configWriter, flags)
        let configuration: ClusterConfiguration
        switch self.configuration(flags) {
        case .success(let loaded): configuration = loaded
        case .failure(let errors):
            for error in errors.errors { LineLogHandler.standardError(error.description) }
            return .configuration
        }
        let reader = reader(flags, file: configuration.file)
        do throws(CodedError) {
            guard
                let folder = try ConfigWriterFolder.take(
                    stateDir: configuration.stateDir, file: reader.path, logger: logger)
            else { return .fenced }
            try settle(ConfigCore(node: configuration.node, setting: .starting), folder, reader, logger)
            return .done
        } catch {
            logger.error("the configuration cannot be put in force", metadata: ["reason": "\(error)"])
            return .failed
        }
    }

    private static func settle(
        _ start: ConfigCore, _ folder: ConfigWriterFolder, _ reader: ConfigWriterReader, _ logger: Logger
    ) throws(CodedError) {
        var core = start
        let (memory, known) = folder.memory(reader)
        var texts = known
        let (reading, loaded) = reader.readFile()
        texts[reading.text] = loaded
        var events: [ConfigEvent] = [.started(memory), .fileRead(reading)]
        while !events.isEmpty {
            for effect in core.handle(events.removeFirst(), at: ServiceClock.now()) {
                guard let outcome = folder.perform(effect, texts) else { continue }
                if case .activated(_, let error?) = outcome { throw error }
                events.append(outcome)
            }
        }
        if let inForce = core.inForce, inForce.number != memory.inForce?.number {
            logger.notice("in force", metadata: ["revision": "\(inForce.number)"])
        }
    }

    /// The text in force if a supervisor names it, else the file, else what was in force of a file that is broken.
    private static func configuration(_ flags: ServiceFlags) -> Result<ClusterConfiguration, ConfigurationErrors> {
        if flags.active != nil, case .success(let configuration) = ServiceProcess.load(flags) {
            return .success(configuration)
        }
        return ServiceProcess.loadInForce(flags).map(\.configuration)
    }

    private static func reader(_ flags: ServiceFlags, file: String?) -> ConfigWriterReader {
        ConfigWriterReader(
            path: file, environment: ServiceProcess.environment(),
            overrides: ConfigurationOverrides(broker: flags.broker))
    }
}
