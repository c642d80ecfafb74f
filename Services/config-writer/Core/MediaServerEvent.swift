package import BusContract
package import Domain

/// What happens to the part of the config-writer that looks after the media server: the whole input of its Core.
package enum MediaServerEvent: Hashable, Sendable {
    /// At the start and after each applied configuration. Nil: there is no media server.
    case configured(MediaServerWish?)
    case looked(Result<MediaServerLook, MediaServerFailure>)
    /// A change was answered, nil with yes; whether it is in force is for the next look to say.
    case changed(PathChange, MediaServerFailure?)
    case fileWritten(Result<FileOutcome, CodedError>)
    /// The server's hook: somebody wants to watch, and nobody publishes.
    case demanded(CameraID)
    /// The server's hook: the last of those has left, or nobody came to publish in time.
    case undemanded(CameraID)
    /// The server's hook: a reader begins to be sent a stream that may have been there before.
    case readerCame(CameraID)
    /// Nil: the worker took the lease, or ended it.
    case leaseAnswered(CameraID, CodedError?)
    /// `isRunning`: the camera's worker reads its source.
    case streamReported(CameraID, StreamState.LeaseCounts, isRunning: Bool)
    /// `isLeased`: the holder `mediamtx` is among the leases.
    case viewingReported(CameraID, ViewingState.Phase, isLeased: Bool)
    /// Somebody asks for a look now. Nil: at every path.
    case lookCommanded(CameraID?, LookToken)
    case woke
}

/// What the Shell is to do, in this order.
package enum MediaServerEffect: Hashable, Sendable {
    /// Answered by `looked`.
    case look(LookDepth)
    /// Answered by `changed`.
    case change(PathChange)
    /// Puts the wanted paths into the server's own file, but for those in use, which stay as they stand there, and for
    /// those that the server has refused, any of which would end it. `rereads`: also if that changes nothing. Answered
    /// by `fileWritten`.
    case writeFile(keeping: Set<String>, refused: Set<String> = [], rereads: Bool = false)
    /// Takes or extends the lease of the holder `mediamtx`. Answered by `leaseAnswered`, as the next.
    case startViewing(CameraID, Duration)
    case stopViewing(CameraID)
    case publish(MediaServerState)
    /// Takes the retained state back: there is no media server any more.
    case withdraw
    case reply(LookToken, MediaServerResult)
    case refuse(LookToken, CodedError)
    /// For the log.
    case note(MediaServerNote)
    /// Replaces every earlier wake; nil: none is needed.
    case wake(MonotonicTime?)
}

/// The paths that there should be.
package struct MediaServerWish: Hashable, Sendable {
    /// By name, which is the camera's.
    package var paths: [String: PathWish]
    /// The server's own file is known.
    package var hasFile: Bool
    /// Another number is another server, or another login.
    package var server: Int
    package init(paths: [String: PathWish], hasFile: Bool, server: Int = 0) {
        self.paths = paths
        self.hasFile = hasFile
        self.server = server
    }
}

package struct PathWish: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The camera's worker publishes; who watches holds a lease there.
        case published
        /// The server connects to the camera itself, and the worker is one of its readers.
        case pulled
    }

    package var camera: CameraID
    package var kind: Kind
    /// How long a reader is kept waiting for the stream.
    package var startTimeout: Duration
    /// Another number is another set of settings.
    package var settings: Int
    package init(camera: CameraID, kind: Kind, startTimeout: Duration, settings: Int = 0) {
        self.camera = camera
        self.kind = kind
        self.startTimeout = startTimeout
        self.settings = settings
    }
}

package enum LookDepth: Hashable, Sendable {
    /// Who publishes and who watches.
    case traffic
    /// The settings of every path as well.
    case everything
}

/// One reading of the server, all of it younger than the effect that asked for it.
package struct MediaServerLook: Hashable, Sendable {
    package var version: String
    /// Another value is another process, which has forgotten what was set.
    package var started: String
    package var traffic: [String: MediaServerState.Path]
    /// Who reads, by path: ids that the server gives and never gives again.
    package var readers: [String: Set<String>]
    /// How the settings stand to those that are wanted; nil if they were not read.
    package var standings: [String: PathStanding]?

    package init(
        version: String, started: String, traffic: [String: MediaServerState.Path],
        readers: [String: Set<String>] = [:], standings: [String: PathStanding]?
    ) {
        self.version = version
        self.started = started
        self.traffic = traffic
        self.readers = readers
        self.standings = standings
    }
}

/// How a path at the server stands to the one that is wanted. A path that is not there has no standing.
package enum PathStanding: Hashable, Sendable {
    case equal
    /// These keys have other values.
    case differs([String])
    /// Made by this node's config-writer, and no longer wanted.
    case leftOver
}

package enum PathChange: Hashable, Sendable {
    /// Makes the path, or sets all of it.
    case replace(String)
    case delete(String)
    /// Shows whether the server takes any change at all.
    case nothing

    /// Empty for `nothing`.
    package var name: String {
        switch self {
        case .replace(let name), .delete(let name): name
        case .nothing: ""
        }
    }
}

package struct MediaServerFailure: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable, CaseIterable {
        /// Nobody takes the connection.
        case unreachable
        /// The connection is taken and not answered.
        case silent
        /// Wrong credentials, or no such API.
        case denied
        /// Understood and refused.
        case rejected
        /// Answers that are none.
        case unreadable
    }

    package var kind: Kind
    package var error: CodedError
    package init(_ kind: Kind, _ error: CodedError) {
        self.kind = kind
        self.error = error
    }
}

package struct FileOutcome: Hashable, Sendable {
    package var isWritten: Bool
    /// Paths in use that stand there with other settings.
    package var kept: [String]
    package init(isWritten: Bool, kept: [String] = []) {
        self.isWritten = isWritten
        self.kept = kept
    }
}

/// Stands for the reply that a command wants; the Shell knows the address.
package struct LookToken: Hashable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
}

/// What an operator should know.
package enum MediaServerNote: Hashable, Sendable {
    case reached(version: String)
    case lost(CodedError)
    case restarted
    case repaired(PathChange, [String])
    case waits(String)
    case rejected(String, CodedError)
    case mode(MediaServerState.Mode)
    case fileFailed(CodedError)
}
