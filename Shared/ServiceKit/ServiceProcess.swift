internal import ArgumentParser
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
    /// What shows the supervisor that the process lives.
    package let heart: Heart
    package let version = ProductVersion.text

    package init(
        service: ServiceName, instance: InstanceID, configuration: ClusterConfiguration, logger: Logger,
        shutdown: Shutdown, startedAt: Now, heart: Heart = Heart()
    ) {
        self.service = service
        self.instance = instance
        self.configuration = configuration
        self.logger = logger
        self.shutdown = shutdown
        self.startedAt = startedAt
        self.heart = heart
    }
}

/// The life of a service's process, the same for all of them: read the configuration, open the log, watch signals and
/// the supervisor, run the service, leave with an exit code. Mains call `run` and do nothing else. What a service does
/// does not belong here.
package enum ServiceProcess {
    /// Never returns: ends the process with what `body` returned. An error of `body` is logged and ends with `failed`.
    ///
    /// - Parameters:
    ///   - configuration: How it is read; nil: as the flags say.
    ///   - instance: Names this copy from the configuration, such as its camera; an error ends with `configuration`.
    ///   - body: Runs until `context.shutdown` asks it to stop, or until it cannot go on.
    package static func run(
        _ service: ServiceName, flags: ServiceFlags,
        configuration read: ((ServiceFlags) -> Result<ClusterConfiguration, ConfigurationErrors>)? = nil,
        instance: (ClusterConfiguration) throws(CodedError) -> InstanceID,
        body: @Sendable (ServiceContext) async throws -> ServiceExit
    ) async -> Never {
        let startedAt = ServiceClock.now()
        let logger = logger(service, flags)
        let configuration: ClusterConfiguration
        switch read?(flags) ?? load(flags) {
        case .success(let loaded): configuration = loaded
        case .failure(let errors):
            // As a compiler prints them: a person is going to fix these, not a log reader.
            for error in errors.errors { LineLogHandler.standardError(error.description) }
            leave(.configuration)
        }
        let context: ServiceContext
        do throws(CodedError) {
            context = ServiceContext(
                service: service, instance: try instance(configuration), configuration: configuration, logger: logger,
                shutdown: Shutdown(), startedAt: startedAt)
        } catch {
            logger.error("cannot start", metadata: ["reason": "\(error)"])
            leave(.configuration)
        }
        await ProcessSignals.watch(context.shutdown, supervised: flags.supervised)
        if flags.supervised { context.heart.start() }
        leave(await finish(context, body))
    }

    /// The configuration that the flags, the environment and the file say.
    package static func load(_ flags: ServiceFlags) -> Result<ClusterConfiguration, ConfigurationErrors> {
        let environment = environment()
        return ConfigurationLoader.load(
            path: ConfigurationLoader.locate(flag: flags.config, environment: environment), active: flags.active,
            environment: environment, overrides: ConfigurationOverrides(broker: flags.broker))
    }

    /// As `load`, but of a file that is broken what was in force of it.
    package static func loadInForce(_ flags: ServiceFlags) -> Result<ConfigurationLoader.InForce, ConfigurationErrors> {
        let environment = environment()
        return ConfigurationLoader.loadInForce(
            path: ConfigurationLoader.locate(flag: flags.config, environment: environment), environment: environment,
            overrides: ConfigurationOverrides(broker: flags.broker))
    }

    package static func logger(_ service: ServiceName, _ flags: ServiceFlags) -> Logger {
        let handler = LineLogHandler(service: service.rawValue, level: flags.logLevel.level)
        return Logger(label: service.rawValue) { _ in handler }
    }

    /// The environment, for those who may not import Foundation.
    package static func environment() -> [String: String] {
        var variables: [String: String] = [:]
        var next = environ
        while let entry = next.pointee {
            let pair = String(cString: entry).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            next += 1
        }
        return variables
    }

    private static func finish(
        _ context: ServiceContext, _ body: @Sendable (ServiceContext) async throws -> ServiceExit
    ) async -> ServiceExit {
        let logger = context.logger
        logger.info("started", metadata: ["instance": "\(context.instance)", "version": "\(context.version)"])
        do {
            let result = try await body(context)
            logger.info(
                "stopped",
                metadata: ["reason": "\(context.shutdown.reason ?? "finished")", "exit": "\(result.rawValue)"])
            return result
        } catch {
            logger.error("failed", metadata: ["reason": "\(error)"])
            return .failed
        }
    }

    /// Without running what other threads registered for the end: they may be inside a blocking C call.
    private static func leave(_ code: ServiceExit) -> Never {
        fflush(nil)
        _exit(code.rawValue)
    }
}
