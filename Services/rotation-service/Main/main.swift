internal import ArgumentParser
internal import RotationServiceShell
internal import ServiceKit

/// One node's recordings: when segments turn over, what the ledger says of them, what is kept.
struct RotationServiceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotation-service", abstract: "Rotates, records and keeps a node's segments.",
        discussion: "Example: rotation-service --config framekeeper.yml",
        version: ProductVersion.text)

    @OptionGroup var flags: ServiceFlags
}

let command = RotationServiceCommand.parseOrExit()
await RotationServiceProcess.run(flags: command.flags)
