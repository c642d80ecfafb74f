package import Domain

/// What the config-writer of a node says and is asked: the configuration that is in force, and the media server.

/// The whole fleet; a topic without a variable level.
package struct FleetAddress: TopicAddress {
    package init() {}
    package var levels: [String] { [] }
    package init?(levels: [String]) {
        guard levels.isEmpty else { return nil }
    }
    package static let placeholders: [String] = []
}

/// `config`: the revision in force, and what is wrong with a newer one if there is one.
package struct ConfigState: BusMessage {
    package typealias Address = FleetAddress
    package static let template: TopicTemplate = "config"
    package static let delivery = DeliveryClass.state

    /// Whose config-writer speaks; the writers of a fleet share the topic.
    package var node: NodeID
    /// In force; grows by one with every change, a rollback included.
    package var revision: Int
    package var appliedAt: WallTime
    /// Whether the newest text that was seen is in force or fit to be.
    package var valid: Bool
    /// Of the newest text, with file, line and column; never a secret.
    package var errors: [String]
    /// A revision that waits, and for what.
    package var pending: Pending?
    /// The file's text is not the newest that was accepted: it is broken, or could not be written.
    package var fileDiffers: Bool

    package struct Pending: Hashable, Sendable, Codable {
        package var revision: Int
        /// Cameras whose recording the change would interrupt.
        package var waitsFor: [CameraID]
        /// What it waits for in words, and what to do about it.
        package var reason: String
        package init(revision: Int, waitsFor: [CameraID], reason: String) {
            self.revision = revision
            self.waitsFor = waitsFor
            self.reason = reason
        }
    }

    package init(
        node: NodeID, revision: Int, appliedAt: WallTime, valid: Bool, errors: [String] = [], pending: Pending? = nil,
        fileDiffers: Bool = false
    ) {
        self.node = node
        self.revision = revision
        self.appliedAt = appliedAt
        self.valid = valid
        self.errors = errors
        self.pending = pending
        self.fileDiffers = fileDiffers
    }
}

/// `config/set`.
package struct ConfigCommand: BusCommand {
    package enum Action: Hashable, Sendable, Codable {
        /// Puts a text in force. `text` nil: the file as it stands. `now`: without waiting for recordings to end.
        case apply(text: String?, now: Bool)
        /// Reads a text and says what is wrong with it. `text` nil: the file as it stands.
        case validate(text: String?)
        /// Puts an earlier revision in force again. `revision` nil: the one before the present one.
        case rollback(revision: Int?, now: Bool)
    }

    package var action: Action
    /// Whose config-writer is meant; nil: every one that hears it.
    package var node: NodeID?
    /// For the history: who asks, and why.
    package var who: String?
    package var why: String?

    package typealias Address = FleetAddress
    package static let template: TopicTemplate = "config/set"
    package static let noteBytesMax = 256

    package init(_ action: Action, node: NodeID? = nil, who: String? = nil, why: String? = nil) {
        self.action = action
        self.node = node
        self.who = who
        self.why = why
    }

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            switch word.uppercased() {
            case "APPLY": self.init(.apply(text: nil, now: false))
            case "VALIDATE": self.init(.validate(text: nil))
            case "ROLLBACK": self.init(.rollback(revision: nil, now: false))
            default: throw Self.unknown(word)
            }
        case .fields(let raw):
            var fields = CommandFields(raw)
            let action: Action
            switch try fields.string("command") {
            case "apply": action = .apply(text: try fields.string("text"), now: try fields.flag("now") ?? false)
            case "validate": action = .validate(text: try fields.string("text"))
            case "rollback":
                action = .rollback(
                    revision: try fields.integer("revision", in: 1...Int(Int32.max)),
                    now: try fields.flag("now") ?? false)
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            self.init(
                action, node: try Self.node(&fields), who: try Self.note("who", &fields),
                why: try Self.note("why", &fields))
            try fields.finish()
        }
    }

    private static func node(_ fields: inout CommandFields) throws(CodedError) -> NodeID? {
        guard let name = try fields.string("node") else { return nil }
        guard let node = NodeID(rawValue: name) else { throw CodedError(.invalidArgument, "node: not a node's name") }
        return node
    }

    /// It will stand on terminals, so control characters are none of it.
    private static func note(_ key: String, _ fields: inout CommandFields) throws(CodedError) -> String? {
        guard let note = try fields.string(key) else { return nil }
        guard note.utf8.count <= noteBytesMax, note.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F })
        else { throw CodedError(.invalidArgument, "\(key): expected one line of at most \(noteBytesMax) bytes") }
        return note
    }
}

/// `cameras/<camera>/config`: a camera's settings as they hold, secrets left out.
package struct CameraConfigState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/config"
    package static let delivery = DeliveryClass.state

    package var revision: Int
    package var node: NodeID
    /// Without credentials.
    package var source: String
    package var groups: [GroupID]
    /// `on_request` or `always`.
    package var record: String
    package var prerollSeconds: Double
    package var audio: Bool
    package var rotation: Rotation
    package var closeAfterSeconds: CloseAfter
    /// The names of the secrets that the source needs; never their values.
    package var secrets: [String]

    package struct Rotation: Hashable, Sendable, Codable {
        package var intervalSeconds: Double
        package var align: RotationAlignment
        package init(intervalSeconds: Double, align: RotationAlignment) {
            self.intervalSeconds = intervalSeconds
            self.align = align
        }
    }

    package struct CloseAfter: Hashable, Sendable, Codable {
        package var recording: Double
        package var viewing: Double
        package var snapshot: Double
        package init(recording: Double, viewing: Double, snapshot: Double) {
            self.recording = recording
            self.viewing = viewing
            self.snapshot = snapshot
        }
    }

    package init(
        revision: Int, node: NodeID, source: String, groups: [GroupID], record: String, prerollSeconds: Double,
        audio: Bool, rotation: Rotation, closeAfterSeconds: CloseAfter, secrets: [String]
    ) {
        self.revision = revision
        self.node = node
        self.source = source
        self.groups = groups
        self.record = record
        self.prerollSeconds = prerollSeconds
        self.audio = audio
        self.rotation = rotation
        self.closeAfterSeconds = closeAfterSeconds
        self.secrets = secrets
    }
}

/// `mediamtx/<node>`: the media server beside a node.
package struct MediaServerState: BusMessage {
    package typealias Address = NodeID
    package static let template: TopicTemplate = "mediamtx/+"
    package static let delivery = DeliveryClass.state

    package enum Breaker: String, Hashable, Sendable, Codable, CaseIterable {
        case closed, open
        case halfOpen = "half_open"
    }
    package enum Mode: String, Hashable, Sendable, Codable, CaseIterable {
        /// Paths are kept through the control API.
        case api
        /// The API refuses; paths are written into the server's own file.
        case `static`
    }

    package struct Path: Hashable, Sendable, Codable {
        package var ready: Bool
        /// Readers; those that the server keeps on hold are not among them.
        package var viewers: Int
        package var bytes: UInt64
        /// How many readers have begun since the config-writer did; another number is a newcomer, who waits for a key
        /// frame, also if somebody else left at the same time.
        package var readersTotal: UInt64?
        package init(ready: Bool, viewers: Int, bytes: UInt64, readersTotal: UInt64? = nil) {
            self.ready = ready
            self.viewers = viewers
            self.bytes = bytes
            self.readersTotal = readersTotal
        }

        private enum CodingKeys: String, CodingKey { case ready, viewers, bytes, readersTotal }

        package init(from decoder: any Decoder) throws {
            let fields = try decoder.container(keyedBy: CodingKeys.self)
            ready = try fields.decode(Bool.self, forKey: .ready)
            viewers = try fields.decode(.viewers, in: StateLimits.countRange)
            bytes = try fields.decode(UInt64.self, forKey: .bytes)
            readersTotal = try fields.decodeIfPresent(UInt64.self, forKey: .readersTotal)
        }
    }

    package var reachable: Bool
    package var breaker: Breaker
    package var mode: Mode
    package var version: String?
    package var paths: [String: Path]
    /// Paths whose settings differ and are in use; they are set when the last user has left.
    package var waiting: [String]
    package var error: PublishedError?

    package init(
        reachable: Bool, breaker: Breaker, mode: Mode, version: String? = nil, paths: [String: Path] = [:],
        waiting: [String] = [], error: PublishedError? = nil
    ) {
        self.reachable = reachable
        self.breaker = breaker
        self.mode = mode
        self.version = version
        self.paths = paths
        self.waiting = waiting
        self.error = error
    }
}

/// `mediamtx/<node>/set`: asks the config-writer to look at the media server now. The answer says who watches; a worker
/// asks before it stops publishing.
package struct MediaServerCommand: BusCommand {
    package typealias Address = NodeID
    package static let template: TopicTemplate = "mediamtx/+/set"

    /// Nil: every path.
    package var camera: CameraID?

    package init(camera: CameraID? = nil) { self.camera = camera }

    package init(_ text: CommandText) throws(CodedError) {
        switch text {
        case .word(let word):
            guard word.uppercased() == "LOOK" else { throw Self.unknown(word) }
            camera = nil
        case .fields(let raw):
            var fields = CommandFields(raw)
            switch try fields.string("command") {
            case "look":
                guard let name = try fields.string("camera") else { break }
                guard let id = CameraID(rawValue: name) else {
                    throw CodedError(.unknownCamera, "camera: no such camera")
                }
                camera = id
            case let word?: throw Self.unknown(word)
            case nil: throw CodedError(.invalidPayload, "command: missing")
            }
            try fields.finish()
        }
    }
}
