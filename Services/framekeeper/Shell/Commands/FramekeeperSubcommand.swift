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
    func configuration() throws(CommandFailure) -> ClusterConfiguration {
        let environment = ServiceProcess.environment()
        switch ConfigurationLoader.load(
            path: ConfigurationLoader.locate(flag: config, environment: environment), environment: environment,
            overrides: ConfigurationOverrides(broker: broker))
        {
        case .success(let configuration): return configuration
        case .failure(let errors): throw CommandFailure(errors)
        }
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
    private struct Shown: Encodable {
        struct Fault: Encodable {
            var code: ErrorCode
            var message: String
            var hint: String?
        }
        var status = "error"
        var error: Fault
    }

    /// People read standard error; a program that asked for JSON reads standard output.
    func report(json: Bool) {
        if json {
            let shown = Shown(error: Shown.Fault(code: code, message: message, hint: hint))
            // Texts and a code can always be written as JSON; if not, the words below still come.
            if let bytes = try? BusCodec.json(shown) {
                Terminal().print(String(decoding: bytes, as: UTF8.self))
                return
            }
        }
        LineLogHandler.standardError(exit == .configuration ? message : "error: \(message)")
        if let hint { LineLogHandler.standardError("  \(hint)") }
    }
}
