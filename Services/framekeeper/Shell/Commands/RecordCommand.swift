internal import ArgumentParser
internal import BusContract
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
            return try await CameraRequest(target: target, wish: .startRecording, fields: fields, options: options)
                .send(expecting: RecordingResult.self)
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
            return try await CameraRequest(target: target, wish: .stopRecording, fields: fields, options: options)
                .send(expecting: RecordingResult.self)
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
            target: target, wish: .rotate, fields: ["command": .string("rotate")], options: options
        ).send(expecting: RotationResult.self)
    }
}
