package import ArgumentParser
internal import Domain
internal import ServiceKit

/// The person's tool. Commands are in the files beside this one.
package struct FramekeeperCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "framekeeper", abstract: "Record cameras without losing a frame.",
        discussion: """
            Example: framekeeper up --config framekeeper.yml

            Exit codes: 0 done, 1 failed, 64 usage, 69 unavailable, 78 configuration.
            """,
        version: ProductVersion.text,
        subcommands: [
            UpCommand.self, StatusCommand.self, RecordCommand.self, RotateCommand.self, SnapshotCommandLine.self,
            ViewCommand.self, RecordingsCommand.self,
            WatchCommand.self, DevicesCommand.self, ConfigCommand.self, ACLCommand.self, DoctorCommand.self,
            VersionCommand.self,
        ])

    package init() {}

    /// Reads the command line and runs what it names; ends the process where a command fails.
    package static func start() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            // A program that asked for JSON gets it for its own mistakes too; the usage still goes to standard error.
            if exitCode(for: error) == .validationFailure, arguments.contains("--json") {
                CommandFailure(.usage, message(for: error), code: .invalidArgument).report(json: true)
            }
            exit(withError: error)
        }
    }
}

struct VersionCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version.", discussion: "Example: framekeeper version --json")

    @OptionGroup var options: CommandOptions

    func perform() async throws(CommandFailure) -> ServiceExit {
        Terminal().print(options.json ? "{\"version\":\"\(ProductVersion.text)\"}" : ProductVersion.text)
        return .done
    }
}
