package import ArgumentParser
internal import Bus
internal import ClusterConfig
internal import Domain
internal import ServiceKit

/// The flags that every command takes.
package struct CommandOptions: ParsableArguments, Sendable {
    @Flag(help: "Print JSON, one document or one line per item.")
    package var json = false

    @Option(
        help: ArgumentHelp(
            "The configuration file.",
            discussion: "Default: $FRAMEKEEPER_CONFIG, ./framekeeper.yml, ./config/framekeeper.yml, "
                + "/etc/framekeeper/framekeeper.yml, the first that exists.", valueName: "file"))
    package var config: String?

    @Option(help: ArgumentHelp("The broker, in place of the configured one.", valueName: "url"))
    package var broker: String?

    package init() {}
}

extension CommandOptions {
    /// What holds: while this host's node runs, what is in force there, which the file may not say yet or any more;
    /// else the file.
    func configuration() throws(CommandFailure) -> ClusterConfiguration {
        switch ServiceProcess.loadInForce(flags) {
        case .failure(let errors): throw CommandFailure(errors)
        case .success(let found):
            if let active = found.active, found.broken != nil {
                LineLogHandler.standardError(
                    "warning: \(active.file ?? "") is broken (framekeeper config check); revision "
                        + "\(active.revision), in force since \(active.appliedAt.rfc3339), is used")
            }
            return inForce(of: found.configuration) ?? found.configuration
        }
    }

    var flags: ServiceFlags {
        var flags = ServiceFlags()
        flags.config = config
        flags.broker = broker
        return flags
    }

    /// Nil unless a node of this file runs on this host.
    private func inForce(of configuration: ClusterConfiguration) -> ClusterConfiguration? {
        let path = ActiveText.path(stateDir: configuration.stateDir)
        guard RunFolder.isTaken(stateDir: configuration.stateDir),
            let active = ActiveText.read(path), active.file == configuration.file
        else { return nil }
        var flags = flags
        flags.active = path
        guard case .success(let inForce) = ServiceProcess.load(flags) else { return nil }
        return inForce
    }
}

/// A command of `framekeeper`: does its work in `perform`, which answers with an exit code or with a failure that is
/// printed in one place and one form.
protocol FramekeeperSubcommand: AsyncParsableCommand {
    var options: CommandOptions { get }
    func perform() async throws(CommandFailure) -> ServiceExit
}

extension FramekeeperSubcommand {
    package mutating func run() async throws {
        let exit: ServiceExit
        do throws(CommandFailure) {
            exit = try await perform()
        } catch {
            error.report(json: options.json)
            exit = error.exit
        }
        guard exit == .done else { throw ArgumentParser.ExitCode(exit.rawValue) }
    }
}

extension CommandFailure {
    struct Document: Encodable {
        struct Fault: Encodable {
            var code: ErrorCode
            var message: String
            var hint: String?
        }
        var status = "error"
        var error: Fault
    }

    var document: Document { Document(error: Document.Fault(code: code, message: message, hint: hint)) }

    /// People read standard error; a program that asked for JSON reads standard output.
    func report(json: Bool) {
        if json {
            // Texts and a code can always be written as JSON; if not, the words below still come.
            if let bytes = try? BusCodec.json(document) {
                Terminal().print(String(decoding: bytes, as: UTF8.self))
                return
            }
        }
        LineLogHandler.standardError(exit == .configuration ? message : "error: \(message)")
        if let hint { LineLogHandler.standardError("  \(hint)") }
    }
}
