internal import ArgumentParser
internal import ClusterConfig
internal import Domain
internal import ServiceKit

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check, show and change the configuration.",
        discussion: "Example: framekeeper config check /etc/framekeeper/framekeeper.yml",
        subcommands: [
            Check.self, Show.self, Apply.self, History.self, Rollback.self, ConfigImportCommand.self,
        ])

    struct Check: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "Name every fault of a configuration file.",
            discussion: "Example: framekeeper config check framekeeper.yml; exit 78 if there is one.")

        @Argument(help: "The file, in place of --config.")
        var file: String?
        @OptionGroup var options: CommandOptions

        private struct Fault: Encodable {
            var file: String
            var line: Int
            var column: Int
            var key: String
            var message: String
            var suggestion: String?
        }

        private struct Report: Encodable {
            var valid: Bool
            var file: String?
            var cameras: Int?
            /// Sections that no part of this version reads.
            var unread: [String]
            var errors: [Fault]
        }

        func perform() async throws(CommandFailure) -> ServiceExit {
            let environment = ServiceProcess.environment()
            let path = file ?? ConfigurationLoader.locate(flag: options.config, environment: environment)
            let result = ConfigurationLoader.load(
                path: path, environment: environment, overrides: ConfigurationOverrides(broker: options.broker))
            let terminal = Terminal()
            switch result {
            case .success(let configuration):
                let own = configuration.ownCameras.count
                let name = path ?? "no file, defaults only"
                let text =
                    "\(name): fine; \(configuration.cameras.count) cameras, \(own) of them on this node "
                    + "(\(configuration.node))"
                let report = Report(
                    valid: true, file: path, cameras: configuration.cameras.count, unread: configuration.unreadSections,
                    errors: [])
                for line in configuration.unreadRemarks { terminal.remark(line) }
                if options.json { try terminal.print(json: report) } else { terminal.print(text) }
                return .done
            case .failure(let errors):
                guard options.json else {
                    for error in errors.errors { LineLogHandler.standardError(error.description) }
                    return .configuration
                }
                let faults = errors.errors.map { error in
                    Fault(
                        file: error.file, line: error.line, column: error.column, key: error.keyPath,
                        message: error.message, suggestion: error.suggestion)
                }
                try terminal.print(json: Report(valid: false, file: path, cameras: nil, unread: [], errors: faults))
                return .configuration
            }
        }
    }

    struct Show: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the configuration as it holds, secrets masked.",
            discussion: "Example: FRAMEKEEPER_NODE=attic framekeeper config show")

        @OptionGroup var options: CommandOptions

        func perform() async throws(CommandFailure) -> ServiceExit {
            let shown = try options.configuration().shown
            Terminal().print(options.json ? shown.json : shown.yaml)
            return .done
        }
    }
}
