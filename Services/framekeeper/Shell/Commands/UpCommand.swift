internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import Logging
internal import ServiceKit

struct UpCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "up", abstract: "Run this node: broker, services, and a worker per camera.",
        discussion: "Example: framekeeper up --config /etc/framekeeper/framekeeper.yml; Ctrl-C stops in order.")

    @OptionGroup var options: CommandOptions

    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp("trace, debug, info, notice, warning or error.", valueName: "level"))
    var logLevel: LogLevelName = .info

    func perform() async throws(CommandFailure) -> ServiceExit {
        var flags = options.flags
        flags.logLevel = logLevel
        let initial: ConfigurationLoader.InForce
        switch ServiceProcess.loadInForce(flags) {
        case .success(let found): initial = found
        case .failure(let errors): throw CommandFailure(errors)
        }
        if let broken = initial.broken, let active = initial.active { warn(broken, active) }
        for line in initial.configuration.unreadRemarks { LineLogHandler.standardError(line) }
        let shutdown = Shutdown()
        await ProcessSignals.watch(shutdown, supervised: false)
        let run = NodeRun(
            initial: initial, flags: flags, logger: ServiceProcess.logger(.framekeeper, flags),
            shutdown: shutdown)
        let terminal = Terminal()
        do throws(CodedError) {
            return try await run.run { summary in
                if options.json {
                    terminal.print(summary.json.json)
                } else {
                    for line in summary.lines { terminal.print(line) }
                }
            }
        } catch {
            throw CommandFailure(error)
        }
    }

    /// The node runs, but not as its file says.
    private func warn(_ broken: ConfigurationErrors, _ active: ActiveText) {
        for error in broken.errors { LineLogHandler.standardError(error.description) }
        LineLogHandler.standardError(
            "warning: the configuration file is broken. Revision \(active.revision) of it, in force since "
                + "\(active.appliedAt.rfc3339), is used. Mend the file: the node takes it then by itself.")
    }
}
