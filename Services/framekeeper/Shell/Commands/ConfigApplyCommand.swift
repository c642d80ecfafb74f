internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import ServiceKit

extension ConfigCommand {
    struct Apply: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "Put a text in force on the running node, and wait until it is.",
            discussion: """
                Example: framekeeper config apply new.yml --why "second camera in the hall"

                Without a file, the node's own as it stands; the node takes a change of that by itself as well. With \
                a file, its text replaces the node's. A change that would interrupt a recording waits for its end, \
                unless --now.
                """)

        @Argument(help: "The text, in place of the node's own file.")
        var file: String?
        @OptionGroup var change: ConfigChange.Flags
        @OptionGroup var options: CommandOptions

        func perform() async throws(CommandFailure) -> ServiceExit {
            let configuration = try options.configuration()
            var fields: [String: JSONValue] = ["command": .string("apply")]
            if let file, ConfigurationLoader.absolute(file) != configuration.file {
                do throws(ConfigurationError) {
                    let text = try ConfigurationLoader.text(of: file)
                    fields["text"] = .string(String(decoding: text, as: UTF8.self))
                } catch {
                    throw CommandFailure(.configuration, error.description, code: .invalidArgument)
                }
            }
            return try await ConfigChange(
                configuration: configuration, fields: fields, origin: file, flags: change, json: options.json
            ).send()
        }
    }

    struct Rollback: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "Put an earlier revision in force again, and into the node's file.",
            discussion: """
                Example: framekeeper config rollback 6

                Without a number, the one before the present one. The number in force takes back what waits.
                """)

        @Argument(help: "Its number; framekeeper config history shows what there is.")
        var revision: Int?
        @OptionGroup var change: ConfigChange.Flags
        @OptionGroup var options: CommandOptions

        mutating func validate() throws {
            guard revision.map({ $0 > 0 }) ?? true else { throw ValidationError("A revision is a number from 1 on.") }
        }

        func perform() async throws(CommandFailure) -> ServiceExit {
            var fields: [String: JSONValue] = ["command": .string("rollback")]
            if let revision { fields["revision"] = .number(Double(revision)) }
            return try await ConfigChange(
                configuration: try options.configuration(), fields: fields, origin: nil, flags: change,
                json: options.json
            ).send()
        }
    }
}

/// A change of the configuration of this host's node: asked for, and followed until it is in force.
struct ConfigChange: Sendable {
    struct Flags: ParsableArguments, Sendable {
        @Flag(help: "Do not wait for recordings to end; their cameras start anew.")
        var now = false
        @Flag(name: .customLong("no-wait"), help: "Do not wait until it is in force.")
        var noWait = false
        @Option(help: ArgumentHelp("For the history.", valueName: "text"))
        var why: String?
    }

    let configuration: ClusterConfiguration
    let fields: [String: JSONValue]
    /// The file that the text came from, for messages.
    let origin: String?
    let flags: Flags
    let json: Bool

    /// Reading a text and writing it to a slow disk.
    static let answerWithin: Duration = .seconds(20)

    func send() async throws(CommandFailure) -> ServiceExit {
        let payload = try payload()
        let (visit, inputs) = try await BusVisit.begin(configuration, subscriptions: [ConfigState.template])
        let outcome: Result<ConfigResult, CommandFailure>
        do throws(CommandFailure) {
            outcome = .success(try await followed(try await asked(payload, visit), visit, inputs))
        } catch {
            outcome = .failure(error)
        }
        await visit.end()
        return try report(try outcome.get())
    }

    private func payload() throws(CommandFailure) -> [UInt8] {
        var fields = fields
        fields["node"] = .string(configuration.node.rawValue)
        fields["now"] = .bool(flags.now)
        if let user = ServiceProcess.environment()["USER"], !user.isEmpty { fields["who"] = .string(user) }
        if let why = flags.why { fields["why"] = .string(why) }
        let payload: [UInt8]
        do throws(CodedError) {
            payload = try BusCodec.json(JSONValue.object(fields))
        } catch {
            throw CommandFailure(error)
        }
        guard payload.count <= CommandLimits.payloadBytesMax else {
            throw CommandFailure(
                .failed, "\(origin ?? "the text") is too large to be sent",
                hint: "copy it over \(configuration.file ?? "the node's file"): the node takes it by itself",
                code: .payloadTooLarge)
        }
        return payload
    }

    private func asked(_ payload: [UInt8], _ visit: BusVisit) async throws(CommandFailure) -> ConfigResult {
        let reply: Reply<ConfigResult>
        do throws(CodedError) {
            reply = try await visit.client.request(
                payload, to: BusContract.ConfigCommand.topic(for: FleetAddress()), expecting: ConfigResult.self,
                timeout: Self.answerWithin)
        } catch {
            var failure = CommandFailure(error)
            if error.code == .notReady || error.code == .timeout {
                failure.message = "no config-writer answers for the node \(configuration.node)"
                failure.hint = "framekeeper status shows whether it runs; framekeeper up starts it"
            }
            throw failure
        }
        if let result = reply.result, !result.valid, !result.errors.isEmpty { throw refusal(result) }
        guard reply.status == .ok, let result = reply.result else { throw CommandFailure(refusal: reply.error) }
        return result
    }

    /// As a compiler prints it, with the name of the file that the text came from.
    private func refusal(_ result: ConfigResult) -> CommandFailure {
        let errors = result.errors.map { error in
            guard let origin, error.hasPrefix("text:") else { return error }
            return origin + error.dropFirst("text".count)
        }
        return CommandFailure(
            .configuration, errors.joined(separator: "\n"),
            hint: "nothing has changed; revision \(result.revision) stays in force", code: .invalidArgument)
    }

    /// Waits until what was asked for is in force, or a newer wish has taken its place.
    private func followed(
        _ result: ConfigResult, _ visit: BusVisit, _ inputs: AsyncStream<BusInput>.AsyncIterator
    ) async throws(CommandFailure) -> ConfigResult {
        guard let wanted = result.pending, !flags.noWait, isWorthWaiting(wanted) else { return result }
        let terminal = Terminal()
        if !json { LineLogHandler.standardError("revision \(wanted.revision) waits: \(wanted.reason)") }
        defer { terminal.progress("", isLast: true) }
        var (result, inputs, pursuit) = (result, inputs, ChangePursuit(of: wanted.revision))
        visit.sendMarker()
        while let input = await inputs.next() {
            if case .message(let message) = input, message.topic == visit.ownTopic { pursuit.caughtUp() }
            guard case .message(let message) = input, let decoded = message.decoded(ConfigState.self),
                case .success(let stamped) = decoded.result, stamped.message.node == configuration.node
            else { continue }
            switch pursuit.take(stamped.message, number: stamped.seq) {
            case .unknown: continue
            case .waits(let pending):
                terminal.progress("waiting for \(pending.waitsFor.map(\.rawValue).joined(separator: ", "))")
                result.pending = pending
                guard isWorthWaiting(pending) else { return result }
            case .inForce:
                result.revision = stamped.message.revision
                result.pending = nil
                return result
            case .replaced(let other): throw replaced(wanted.revision, by: other, stamped.message)
            }
        }
        return result
    }

    private func replaced(_ revision: Int, by other: Int, _ state: ConfigState) -> CommandFailure {
        let place = other == state.revision ? "is in force" : "waits now"
        return CommandFailure(
            .failed, "another change took the place of revision \(revision): revision \(other) \(place)",
            hint: "framekeeper config history shows both", code: .conflict)
    }

    /// What waits for a recording that never ends, or for the node's start, would wait for ever.
    private func isWorthWaiting(_ pending: ConfigState.Pending) -> Bool {
        guard !pending.waitsFor.isEmpty else { return false }
        return pending.waitsFor.allSatisfy { configuration.camera($0)?.record != .always }
    }

    private func report(_ result: ConfigResult) throws(CommandFailure) -> ServiceExit {
        let terminal = Terminal()
        if json {
            try terminal.print(json: result)
        } else if let pending = result.pending {
            terminal.print("revision \(pending.revision) waits, revision \(result.revision) is in force")
            LineLogHandler.standardError("  \(pending.reason)")
        } else {
            terminal.print("revision \(result.revision) is in force")
        }
        return result.pending == nil || flags.noWait ? .done : .failed
    }
}
