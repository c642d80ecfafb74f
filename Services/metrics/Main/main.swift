internal import ArgumentParser
internal import MetricsShell
internal import ServiceKit

/// One node's window: series for Prometheus, history, the HTTP interface and the dashboard.
struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics", abstract: "Shows how cameras and recordings fare, over HTTP.",
        discussion: "Example: metrics --config framekeeper.yml, then http://127.0.0.1:9920/",
        version: ProductVersion.text)

    @OptionGroup var flags: ServiceFlags
}

let command = MetricsCommand.parseOrExit()
await MetricsServiceProcess.run(flags: command.flags)
