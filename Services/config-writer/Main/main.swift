internal import ArgumentParser
internal import ConfigWriterShell
internal import Glibc
internal import ServiceKit

/// One node's configuration: what is in force, what waits, what was.
struct ConfigWriterCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config-writer", abstract: "Keeps a node's configuration in force.",
        discussion: "Example: config-writer --config framekeeper.yml",
        version: ProductVersion.text)

    @Flag(help: "Put the file as it stands in force and end; for the start of a node, before its processes run.")
    var settle = false

    @OptionGroup var flags: ServiceFlags
}

let command = ConfigWriterCommand.parseOrExit()
if command.settle { exit(ConfigWriterProcess.settle(flags: command.flags).rawValue) }
await ConfigWriterProcess.run(flags: command.flags)
