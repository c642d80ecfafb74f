internal import ArgumentParser
internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

struct RecordCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "record", abstract: "Start or stop a recording.",
        discussion: "Example: framekeeper record start front --for 10m", subcommands: [Start.self, Stop.self])

    /// Whom a command is for: a camera or a group.
    struct Target: ParsableArguments, Sendable {
        @Argument(help: "The camera.", completion: NameCompletion.cameras, transform: { try Self.name($0) })
        var camera: CameraID?

        @Option(
            help: "All cameras of a group, in place of one camera.", completion: NameCompletion.groups,
            transform: { try Self.name($0) })
        var group: GroupID?

        mutating func validate() throws {
            guard (camera == nil) != (group == nil) else { throw ValidationError("Name a camera or a group.") }
        }

        private static func name<Name: CheckedName>(_ text: String) throws -> Name {
            guard let name = Name(rawValue: text) else {
                throw ValidationError("a name is 1 to 63 of a-z, 0-9, '_' and '-', the first a letter or a digit")
            }
            return name
        }
    }

    struct Start: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a recording lease, and wait for the first frame on disk.",
            discussion: "Example: framekeeper record start --group outside --for 10m --preroll 5s")

        @OptionGroup var target: Target
        @Option(
            name: .customLong("for"), help: ArgumentHelp("Until then; without it, until stopped.", valueName: "time"))
        var duration: String?
        @Option(help: ArgumentHelp("Who asks; each holder has a lease of its own.", valueName: "name"))
        var holder = Holder.manual.rawValue
        @Option(help: ArgumentHelp("How much from before now.", valueName: "time"))
        var preroll: String?
        @OptionGroup var options: CommandOptions

        mutating func validate() throws {
            for text in [duration, preroll].compactMap({ $0 }) where Duration(written: text) == nil {
                throw ValidationError("\(text): expected a duration such as 90s, 10m or 1h30m")
            }
            if let duration, Duration(written: duration) == .zero {
                throw ValidationError("--for \(duration): must be more than zero")
            }
            guard Holder(rawValue: holder) != nil else { throw ValidationError("\(holder): not a holder's name") }
        }

        func perform() async throws(CommandFailure) -> ServiceExit {
            var fields: [String: JSONValue] = ["command": .string("start"), "holder": .string(holder)]
            if let duration { fields["duration"] = .string(duration) }
            if let preroll { fields["preroll"] = .string(preroll) }
            return try await CameraRequest(target: target, noun: "recording", fields: fields, options: options)
                .send(expecting: RecordingResult.self, { $0.line })
        }
    }

    struct Stop: FramekeeperSubcommand {
        static let configuration = CommandConfiguration(
            abstract: "End a holder's lease, or all of them.",
            discussion: "Example: framekeeper record stop front --holder manual")

        @OptionGroup var target: Target
        @Option(help: ArgumentHelp("Only this holder's lease; without it, all.", valueName: "name"))
        var holder: String?
        @OptionGroup var options: CommandOptions

        mutating func validate() throws {
            guard holder.map({ Holder(rawValue: $0) != nil }) ?? true else {
                throw ValidationError("\(holder ?? ""): not a holder's name")
            }
        }

        func perform() async throws(CommandFailure) -> ServiceExit {
            var fields: [String: JSONValue] = ["command": .string("stop")]
            if let holder { fields["holder"] = .string(holder) }
            return try await CameraRequest(target: target, noun: "recording", fields: fields, options: options)
                .send(expecting: RecordingResult.self, { $0.line })
        }
    }
}

struct RotateCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate", abstract: "Begin a new file at the next key frame.",
        discussion: "Example: framekeeper rotate front")

    @OptionGroup var target: RecordCommand.Target
    @OptionGroup var options: CommandOptions

    func perform() async throws(CommandFailure) -> ServiceExit {
        try await CameraRequest(
            target: target, noun: "rotation", fields: ["command": .string("rotate")], options: options
        ).send(expecting: RotationResult.self, { $0.line })
    }
}

/// A command to a camera or a group, and its answers.
struct CameraRequest: Sendable {
    let target: RecordCommand.Target
    let noun: String
    let fields: [String: JSONValue]
    let options: CommandOptions

    /// The start timeout of a source, with time for the way there and back.
    static let answerWithin: Duration = .seconds(15)

    func send<R: Codable & Hashable & Sendable>(
        expecting type: R.Type, _ line: (R) -> String
    ) async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let (visit, _) = try await BusVisit.begin(configuration)
        let replies: Result<[Reply<R>], CommandFailure>
        do throws(CodedError) {
            let payload = try BusCodec.json(JSONValue.object(fields))
            replies = .success(try await ask(payload, type, visit, configuration))
        } catch {
            replies = .failure(failure(error, configuration))
        }
        await visit.end()
        return try report(try replies.get(), configuration, line)
    }

    private func ask<R: Codable & Hashable & Sendable>(
        _ payload: [UInt8], _ type: R.Type, _ visit: BusVisit, _ configuration: ClusterConfiguration
    ) async throws(CodedError) -> [Reply<R>] {
        if let camera = target.camera {
            let topic = "cameras/\(camera)/\(noun)/set"
            return [try await visit.client.request(payload, to: topic, expecting: type, timeout: Self.answerWithin)]
        }
        let group = target.group ?? .all
        let known = configuration.cameras.count { $0.belongs(to: group) }
        let replies = try await visit.client.requestAll(
            payload, to: "groups/\(group)/\(noun)/set", expecting: type, timeout: Self.answerWithin,
            count: known > 0 ? known : BusClient.repliesMax)
        guard !replies.isEmpty else { throw CodedError(.timeout, "no camera of the group \(group) answers") }
        return replies
    }

    private func failure(_ error: CodedError, _ configuration: ClusterConfiguration) -> CommandFailure {
        var failure = CommandFailure(error)
        guard error.code == .timeout || error.code == .notReady else { return failure }
        if let camera = target.camera {
            failure.message =
                error.code == .notReady
                ? "no worker listens for camera \(camera)"
                : "no answer from camera \(camera) within \(Self.answerWithin.written)"
            let isKnown = configuration.camera(camera) != nil || configuration.cameras.isEmpty
            failure.hint =
                isKnown
                ? "framekeeper status shows whether its worker runs"
                : configuration.knownText
        }
        return failure
    }

    /// What to do about a refusal, where that is plain.
    private func hint(_ code: ErrorCode, _ configuration: ClusterConfiguration) -> String? {
        switch code {
        case .unknownCamera:
            configuration.knownText
        case .notReady where noun == "rotation": "framekeeper record start begins a recording"
        case .sourceUnavailable: "check the camera; framekeeper record stop gives the lease back"
        case .storageFull, .storageFailed: "framekeeper status shows the storage"
        case .notReady, .invalidPayload, .invalidArgument, .unknownCommand, .retainedCommand, .expired,
            .payloadTooLarge, .unauthorized, .mediaServerUnavailable, .timeout, .conflict, .internal:
            nil
        }
    }

    private func report<R>(
        _ replies: [Reply<R>], _ configuration: ClusterConfiguration, _ line: (R) -> String
    ) throws(CommandFailure) -> ServiceExit {
        let terminal = Terminal()
        var exit = ServiceExit.done
        for reply in replies {
            if reply.status == .error || reply.result == nil { exit = .failed }
            if options.json {
                try terminal.print(json: reply)
            } else if let result = reply.result {
                terminal.print(line(result))
            } else {
                var failure = CommandFailure(refusal: reply.error)
                failure.hint = hint(failure.code, configuration)
                failure.report(json: false)
            }
        }
        return exit
    }
}

extension ClusterConfiguration {
    fileprivate var knownText: String {
        cameras.isEmpty
            ? "the configuration names no camera"
            : "the configuration knows " + cameras.map(\.id.rawValue).joined(separator: ", ")
    }
}

extension RecordingResult {
    fileprivate var line: String {
        var line = "\(camera): \(state.rawValue)"
        if let session { line += ", session \(session.short)" }
        if let segment { line += ", file \(segment.file)" }
        if let startedInSeconds { line += ", first frame after \(startedInSeconds) s" }
        if let prerollSeconds, prerollSeconds > 0 { line += ", \(prerollSeconds) s from before" }
        return line
    }
}

extension RotationResult {
    fileprivate var line: String {
        "\(camera): \(rotated ? "rotated" : "was rotated already"), session \(session.short), file \(segment.file), "
            + "\(offsetSeconds) s after the wish"
    }
}
