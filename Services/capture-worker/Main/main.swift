internal import ArgumentParser
internal import CaptureWorkerShell
internal import ServiceKit

/// One camera: takes its stream, and records it when somebody asks.
struct CaptureWorkerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture-worker", abstract: "Captures one camera of a node.",
        discussion: "Example: capture-worker --camera front --config framekeeper.yml",
        version: ProductVersion.text)

    @Option(help: "The camera's id in the configuration.")
    var camera: String

    @OptionGroup var flags: ServiceFlags
}

let command = CaptureWorkerCommand.parseOrExit()
await CaptureWorkerService.run(camera: command.camera, flags: command.flags)
