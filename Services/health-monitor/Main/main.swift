internal import ArgumentParser
internal import HealthMonitorShell
internal import ServiceKit

/// A fleet's health: what is wrong with cameras, processes and hosts, and what can be done about it.
struct HealthMonitorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "health-monitor", abstract: "Judges a fleet's cameras, processes and hosts.",
        discussion: "Example: health-monitor --config framekeeper.yml",
        version: ProductVersion.text)

    @OptionGroup var flags: ServiceFlags
}

let command = HealthMonitorCommand.parseOrExit()
await HealthMonitorProcess.run(flags: command.flags)
