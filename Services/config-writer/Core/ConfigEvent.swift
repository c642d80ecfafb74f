package import BusContract
package import Domain

/// What happens to the configuration of a node: the whole input of its Core. Texts are read by the Shell; the Core sees
/// what came of it.
package enum ConfigEvent: Hashable, Sendable {
    /// What the state folder remembers.
    case started(ConfigMemory)
    /// The user's file, read after a change.
    case fileRead(ConfigReading)
    case commanded(ConfigWish, CommandToken)
    /// Asked only what a text is worth.
    case asked(ConfigReading, CommandToken)
    /// Connected and subscribed; what is retained comes now.
    case busConnected
    /// Everything that is retained has come.
    case statesKnown
    case busLost
    /// By the camera's worker; its numbers grow.
    case recordingReported(CameraID, RecordingWord, number: UInt64)
    /// By the camera's worker, or its last will.
    case workerReported(CameraID, isOnline: Bool)
    /// The text in force has been written, or could not be.
    case activated(Int, CodedError?)
    /// The user's file has been written, or could not be.
    case fileWritten(ConfigText, CodedError?)
    case woke
}

/// What the Shell is to do, in this order.
package enum ConfigEffect: Hashable, Sendable {
    /// Adds a revision that waits to the history.
    case record(Int, ConfigText, ConfigOrigin, ConfigNote)
    /// Of the history: no longer wanted, or in force.
    case markSuperseded(Int)
    case markApplied(Int)
    /// Adds a text that does not load to the history.
    case recordRefused(ConfigText)
    case rememberFileSeen(ConfigText)
    /// Makes it the text in force; answered by `activated`.
    case activate(Int, ConfigText)
    /// Into the user's file; answered by `fileWritten`.
    case writeFile(ConfigText)
    /// The cameras' settings of the text in force.
    case publishCameras(Int)
    case publish(ConfigState)
    case reply(CommandToken, ConfigResult)
    /// With what is wrong with the text, if it was that.
    case refuse(CommandToken, CodedError, ConfigResult?)
    /// Replaces every earlier wake; nil: none is needed.
    case wake(MonotonicTime?)
}

/// Names a text for the Shell; equal for equal bytes.
package struct ConfigText: Hashable, Sendable {
    package let name: String
    package init(_ name: String) { self.name = name }
}

/// Stands for some settings; equal for equal settings. Its value means something only within one process.
package struct ConfigPrint: Hashable, Sendable {
    package let number: Int
    package init(_ number: Int) { self.number = number }
}

/// A text and what it means at this moment, with the secrets of this moment.
package struct ConfigReading: Hashable, Sendable {
    package enum Outcome: Hashable, Sendable {
        case valid(ConfigFacts)
        /// Everything that is wrong, for a person.
        case invalid([String])
    }

    package var text: ConfigText
    package var outcome: Outcome

    package init(text: ConfigText, outcome: Outcome) {
        self.text = text
        self.outcome = outcome
    }
}

/// What the Core needs to know of a text that loads.
package struct ConfigFacts: Hashable, Sendable {
    /// Of everything.
    package var all: ConfigPrint
    /// Of what nothing of a running node can follow: broker, state folder, node.
    package var node: ConfigPrint
    /// Of what the worker of each camera of this node reads.
    package var workers: [CameraID: ConfigPrint]
    /// Cameras of this node whose recording never ends by itself.
    package var recordsAlways: Set<CameraID>

    package init(
        all: ConfigPrint, node: ConfigPrint, workers: [CameraID: ConfigPrint], recordsAlways: Set<CameraID> = []
    ) {
        self.all = all
        self.node = node
        self.workers = workers
        self.recordsAlways = recordsAlways
    }
}

/// A text that loads, with its number.
package struct ConfigRevision: Hashable, Sendable {
    package var number: Int
    package var text: ConfigText
    package var facts: ConfigFacts
    /// In force since.
    package var at: WallTime

    package init(number: Int, text: ConfigText, facts: ConfigFacts, at: WallTime) {
        self.number = number
        self.text = text
        self.facts = facts
        self.at = at
    }

    /// Whether a text means what this one means.
    func says(_ text: ConfigText, _ facts: ConfigFacts) -> Bool { self.text == text && self.facts.all == facts.all }
}

/// What an earlier process left.
package struct ConfigMemory: Hashable, Sendable {
    package var inForce: ConfigRevision?
    package var pending: ConfigRevision?
    /// The highest number so far.
    package var last: Int
    /// What the file held when it was read last.
    package var fileSeen: ConfigText?

    package init(
        inForce: ConfigRevision? = nil, pending: ConfigRevision? = nil, last: Int = 0, fileSeen: ConfigText? = nil
    ) {
        self.inForce = inForce
        self.pending = pending
        self.last = last
        self.fileSeen = fileSeen
    }
}

package enum ConfigOrigin: Hashable, Sendable {
    case file, command, rollback
}

/// Who asked for a revision, and why, as far as is known.
package struct ConfigNote: Hashable, Sendable {
    package var who: String?
    package var why: String?
    package init(who: String? = nil, why: String? = nil) {
        self.who = who
        self.why = why
    }
}

/// Somebody's wish to have a text in force.
package struct ConfigWish: Hashable, Sendable {
    package var reading: ConfigReading
    /// `file`: the file as it stands, so there is nothing to write back.
    package var origin: ConfigOrigin
    /// Without waiting for recordings to end.
    package var now: Bool
    package var note: ConfigNote

    package init(_ reading: ConfigReading, origin: ConfigOrigin, now: Bool = false, note: ConfigNote = ConfigNote()) {
        self.reading = reading
        self.origin = origin
        self.now = now
        self.note = note
    }
}

/// Stands for the reply that a command wants; the Shell knows the address.
package struct CommandToken: Hashable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
}
