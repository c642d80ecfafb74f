package import ArgumentParser
internal import ClusterConfig
package import Logging

/// The flags that every process takes.
package struct ServiceFlags: ParsableArguments, Sendable {
    @Option(
        name: .customLong("config"),
        help: ArgumentHelp(
            "The configuration file.",
            discussion: "Default: $FRAMEKEEPER_CONFIG, ./framekeeper.yml, ./config/framekeeper.yml, "
                + "/etc/framekeeper/framekeeper.yml, the first that exists.",
            valueName: "file"))
    package var config: String?

    @Option(
        help: ArgumentHelp(
            "The text in force, read in place of the configuration file's; where there is none, the file is.",
            discussion: "The config-writer keeps it as <state_dir>/config/active.yml.", valueName: "file"))
    package var active: String?

    @Option(help: ArgumentHelp("The broker, in place of the configured one.", valueName: "url"))
    package var broker: String?

    @Option(
        name: .customLong("log-level"), help: ArgumentHelp("debug, info, notice, warning or error.", valueName: "level")
    )
    package var logLevel: LogLevelName = .info

    @Flag(help: ArgumentHelp("Stop when standard input closes; the supervisor says so.", visibility: .hidden))
    package var supervised = false

    package init() {}
}

/// A log level as a flag.
package enum LogLevelName: String, ExpressibleByArgument, CaseIterable, Sendable {
    case trace, debug, info, notice, warning, error

    package var level: Logger.Level {
        switch self {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        }
    }
}
