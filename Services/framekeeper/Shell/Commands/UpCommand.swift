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
        let configuration = try options.configuration()
        var flags = ServiceFlags()
        flags.config = configuration.file
        flags.broker = options.broker
        flags.logLevel = logLevel
        let shutdown = Shutdown()
        await ProcessSignals.watch(shutdown, supervised: false)
        let run = NodeRun(
            configuration: configuration, flags: flags, logger: ServiceProcess.logger(.framekeeper, flags),
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
}
