package import Domain

/// What anyone may ask for. A command arrives as a bare word or as a JSON object, for a camera, for a group or for a
/// node; whoever owns the job acts and replies.

/// A JSON value as the bus decoded it. Commands are read from it by hand, so that every refusal names its field.
package enum JSONValue: Hashable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([String: JSONValue])
}

extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONValue].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONValue].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }
}

/// A command's payload after the size, encoding and JSON checks.
package enum CommandText: Hashable, Sendable {
    case word(String)
    case fields([String: JSONValue])
}

/// The fields of a command. Reading a field ticks it off; what is left over at the end is refused by name, since a
/// misspelt `duration` must not record for ever.
package struct CommandFields {
    var rest: [String: JSONValue]

    /// The envelope's own keys are not the command's business.
    package init(_ fields: [String: JSONValue]) {
        rest = fields
        rest["response_topic"] = nil
        rest["request_id"] = nil
    }

    package mutating func string(_ key: String) throws(CodedError) -> String? {
        switch rest.removeValue(forKey: key) {
        case nil, .null?: return nil
        case .string(let text)?: return text
        default: throw CodedError(.invalidArgument, "\(key): expected a text")
        }
    }

    /// `"10m"` or a number of seconds.
    package mutating func duration(_ key: String, atMost limit: Duration) throws(CodedError) -> Duration? {
        let duration: Duration?
        switch rest.removeValue(forKey: key) {
        case nil, .null?: return nil
        case .string(let text)?: duration = Duration(written: text)
        case .number(let number)?: duration = Duration(wholeSeconds: number)
        default: duration = nil
        }
        guard let duration, duration <= limit else {
            throw CodedError(.invalidArgument, "\(key): expected a duration such as \"90s\", at most \(limit.written)")
        }
        return duration
    }

    /// As `duration`, and more than zero: what a lease may last.
    package mutating func leaseDuration(_ key: String) throws(CodedError) -> Duration? {
        let duration = try duration(key, atMost: .writtenMax)
        if let duration, duration <= .zero {
            throw CodedError(.invalidArgument, "\(key): must be more than zero")
        }
        return duration
    }

    package mutating func integer(_ key: String, in range: ClosedRange<Int>) throws(CodedError) -> Int? {
        switch rest.removeValue(forKey: key) {
        case nil, .null?: return nil
        case .number(let number)?:
            if let whole = Int(exactly: number), range.contains(whole) { return whole }
        default: break
        }
        throw CodedError(
            .invalidArgument, "\(key): expected a whole number from \(range.lowerBound) to \(range.upperBound)")
    }

    package mutating func flag(_ key: String) throws(CodedError) -> Bool? {
        switch rest.removeValue(forKey: key) {
        case nil, .null?: return nil
        case .bool(let value)?: return value
        default: throw CodedError(.invalidArgument, "\(key): expected true or false")
        }
    }

    package mutating func time(_ key: String) throws(CodedError) -> WallTime? {
        guard let text = try string(key) else { return nil }
        guard let time = WallTime(rfc3339: text) else {
            throw CodedError(.invalidArgument, "\(key): expected an RFC 3339 time")
        }
        return time
    }

    package mutating func holder(_ key: String) throws(CodedError) -> Holder? {
        guard let text = try string(key) else { return nil }
        guard let holder = Holder(rawValue: text) else {
            throw CodedError(
                .invalidArgument, "\(key): expected 1 to \(Holder.lengthMax) of letters, digits, '_', '.', ':' and '-'")
        }
        return holder
    }

    package func finish() throws(CodedError) {
        guard let unknown = rest.keys.min() else { return }
        throw CodedError(.invalidArgument, "\(unknown.prefix(40)): no such field")
    }
}

/// A command: a bus message that anyone may send and that is read strictly.
package protocol BusCommand: BusMessage where Address: TopicAddress {
    init(_ text: CommandText) throws(CodedError)
}

extension BusCommand {
    package static var delivery: DeliveryClass { .command }

    static func unknown(_ word: String) -> CodedError {
        CodedError(
            .unknownCommand, word.isEmpty ? "an empty payload is no command" : "\(word.prefix(40)): no such command")
    }
}

/// `cameras/<camera>/recording/set`.
package enum RecordingCommand: BusCommand {
    /// Takes or extends the holder's lease. `duration` nil: until stopped.
    case start(holder: Holder, duration: Duration?, preroll: Duration?)
    /// Ends the holder's lease; all leases if `holder` is nil.
    case stop(holder: Holder?)

    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/recording/set"

    /// The most that a command may ask of the ring.
    package static let prerollMax: Duration = .seconds(300)

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            switch word.uppercased() {
            case "ON", "START": self = .start(holder: .manual, duration: nil, preroll: nil)
            case "OFF", "STOP": self = .stop(holder: nil)
            default: throw Self.unknown(word)
            }
        case .fields(let raw):
            var fields = CommandFields(raw)
            switch try fields.string("command") {
            case "start":
                self = .start(
                    holder: try fields.holder("holder") ?? .manual, duration: try fields.leaseDuration("duration"),
                    preroll: try fields.duration("preroll", atMost: Self.prerollMax))
            case "stop": self = .stop(holder: try fields.holder("holder"))
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            try fields.finish()
        }
    }
}

/// `cameras/<camera>/rotation/set`.
package struct RotationCommand: BusCommand {
    /// The wanted boundary; nil: now. A boundary that has been cut already is answered and not cut again.
    package var at: WallTime?

    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/rotation/set"

    package init(at: WallTime?) { self.at = at }

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            guard word.uppercased() == "ROTATE" else { throw Self.unknown(word) }
            at = nil
        case .fields(let raw):
            var fields = CommandFields(raw)
            switch try fields.string("command") {
            case "rotate": at = try fields.time("at")
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            try fields.finish()
        }
    }
}

/// `cameras/<camera>/restart/set`: restarts the source only; empty, `RESTART` or `PRESS`.
package struct RestartCommand: BusCommand {
    /// Why, for the worker's log.
    package var reason: String?
    /// The count of restarts that the asker has seen: with any other, the source has been restarted since, and the
    /// command is refused with `conflict`.
    package var ifRestarts: Int?

    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/restart/set"

    package static let reasonLengthMax = 200

    package init(reason: String? = nil, ifRestarts: Int? = nil) {
        self.reason = reason
        self.ifRestarts = ifRestarts
    }

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            guard ["RESTART", "PRESS", ""].contains(word.uppercased()) else { throw Self.unknown(word) }
        case .fields(let raw):
            var fields = CommandFields(raw)
            let word = try fields.string("command") ?? "restart"
            guard word == "restart" else { throw Self.unknown(word) }
            reason = try fields.string("reason").map { String($0.prefix(Self.reasonLengthMax)) }
            ifRestarts = try fields.integer("if_restarts", in: StateLimits.countRange)
            try fields.finish()
        }
    }
}

/// `storage/<node>/set`: asks the rotation-service to compare files and ledger now, and to mend what differs.
package struct StorageCommand: BusCommand {
    package typealias Address = NodeID
    package static let template: TopicTemplate = "storage/+/set"

    package init() {}

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            guard word.uppercased() == "REPAIR" else { throw Self.unknown(word) }
        case .fields(let raw):
            var fields = CommandFields(raw)
            switch try fields.string("command") {
            case "repair": break
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            try fields.finish()
        }
    }
}

/// Any command that a camera takes; `groups/<group>/<noun>/set` carries the same payloads.
package enum CameraCommand: Hashable, Sendable {
    case recording(RecordingCommand)
    case viewing(ViewingCommand)
    case snapshot(SnapshotCommand)
    case rotation(RotationCommand)
    case restart(RestartCommand)
    case controls(ControlsCommand)

    /// The level before `/set`.
    package static let nouns = ["recording", "viewing", "snapshot", "rotation", "restart", "controls"]

    package init(noun: String, _ text: CommandText) throws(CodedError) {
        switch noun {
        case "recording": self = .recording(try RecordingCommand(text))
        case "viewing": self = .viewing(try ViewingCommand(text))
        case "snapshot": self = .snapshot(try SnapshotCommand(text))
        case "rotation": self = .rotation(try RotationCommand(text))
        case "restart": self = .restart(try RestartCommand(text))
        case "controls": self = .controls(try ControlsCommand(text))
        default: throw CodedError(.unknownCommand, "\(noun.prefix(40))/set: no such command")
        }
    }
}

/// Whom a camera command is for, read from its topic: `cameras/<camera>/<noun>/set` or `groups/<group>/<noun>/set`.
package struct CameraCommandTopic: Hashable, Sendable {
    package enum Target: Hashable, Sendable {
        case camera(CameraID)
        case group(GroupID)
        /// The level is not a camera id; kept to be quoted in the refusal.
        case invalidCamera(String)
        /// As `invalidCamera`, for a group.
        case invalidGroup(String)
    }

    package var target: Target
    package var noun: String

    /// What a listener to every camera's commands subscribes to.
    package static let everyCamera: TopicTemplate = "cameras/+/+/set"
    package static let everyGroup: TopicTemplate = "groups/+/+/set"

    /// Nil if the topic is not one of a camera command.
    package init?(topic: some StringProtocol) {
        if let levels = Self.everyCamera.levels(of: topic) {
            target = CameraID(rawValue: levels[0]).map(Target.camera) ?? .invalidCamera(levels[0])
            noun = levels[1]
        } else if let levels = Self.everyGroup.levels(of: topic) {
            target = GroupID(rawValue: levels[0]).map(Target.group) ?? .invalidGroup(levels[0])
            noun = levels[1]
        } else {
            return nil
        }
    }
}
