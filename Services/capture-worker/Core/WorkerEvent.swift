package import BusContract
package import Domain

/// What happens to a worker: the whole input of its Core.
package enum WorkerEvent: Hashable, Sendable {
    /// The process is up and its folder is its own; with what an earlier one left.
    case started(WorkerMemory?, tail: SessionTail?)
    /// The camera's folder cannot be used now: `takeFolder` has failed.
    case folderRefused(CodedError)
    case commanded(CameraCommand, CommandToken)
    case planReceived(RotationState)
    case sourceOpened(SourceFacts, run: Int)
    case keyFrameCame(run: Int)
    case formatChanged(SourceFacts, run: Int)
    case sourceFailed(CodedError, run: Int)
    case sourceEnded(run: Int)
    /// What the source of a run that is over left out or repaired, for the log.
    case sourceNoted([String], run: Int)
    case segmentOpened(SegmentOpened)
    /// The first part of a segment is on disk.
    case firstPartWritten(SessionID, index: Int)
    case segmentClosed(SegmentClosed)
    /// A file could not be finished after a storage failure; the rotation-service finds it.
    case segmentLeft(file: String, CodedError)
    /// Frames were dropped because the disk or the encoder did not keep up, or the process was held; with what the
    /// source has left out so far, for the log.
    case overran(SessionID, notes: [String] = [])
    /// The memory for pre-roll is full and holds less than is wanted, for the log.
    case prerollCut(wanted: Duration, held: Duration)
    /// No file can be written. The session waits.
    case storageFailed(SessionID, CodedError)
    /// The answer to `probeStorage`; nil: the disk takes files again.
    case storageProbed(CodedError?)
    /// The last file of a session is complete; with the gap that it ended in, if it did.
    case sessionEnded(SessionID, SegmentCutter.EndedGap?)
    /// The media server has accepted the stream.
    case publisherConnected(run: Int)
    case publisherFailed(CodedError, run: Int)
    /// Readers at the media server, as the config-writer publishes them, and how many have begun there so far; nil
    /// while nobody can tell.
    case readersReported(Int?, total: UInt64? = nil)
    /// The answer to `lookAtReaders`; nil if there was none.
    case readersCounted(Int?, total: UInt64? = nil)
    /// The pictures of a job, one for each wish, or why there is none.
    case snapshotTaken(job: Int, Result<[SnapshotFacts], CodedError>)
    /// How a webcam's controls stand, after it was opened.
    case controlsRead(ControlsState)
    /// They were not read, for the log.
    case controlsUnread(CodedError)
    /// The outcome of `turnControls`; with a refusal if the camera took a part of it only.
    case controlsTurned(Result<ControlsState, CodedError>, CommandToken, refusal: CodedError? = nil)
    /// The disk has refused the memory.
    case notRemembered
    case woke
    /// The process must end: a signal, or another worker has taken over.
    case stopDemanded(StopCause)
}

/// Why a worker stops.
package enum StopCause: Hashable, Sendable {
    case signal, fenced
}

/// Stands for the reply that a command wants; the Shell knows the address.
package struct CommandToken: Hashable, Sendable {
    package let number: UInt64
    /// Whether anybody waits for the answer. Refusals are told either way.
    package let isAwaited: Bool

    package init(number: UInt64, isAwaited: Bool = true) {
        self.number = number
        self.isAwaited = isAwaited
    }
}

/// The way to the camera's pictures.
package enum SourceRoute: Hashable, Sendable {
    case camera
    /// From the media server, which holds the connection to the camera.
    case mediaServer
}

/// A snapshot that is on disk.
package struct SnapshotFacts: Hashable, Sendable {
    package var wish: SnapshotCommand
    /// Relative to the storage folder.
    package var file: String
    package var capturedAt: WallTime
    package var width: Int
    package var height: Int
    package var bytes: Int
    /// Of the copy for the bus, where that is coarser than the file.
    package var imageBytes: Int?

    package init(
        wish: SnapshotCommand, file: String, capturedAt: WallTime, width: Int, height: Int, bytes: Int,
        imageBytes: Int? = nil
    ) {
        self.wish = wish
        self.file = file
        self.capturedAt = capturedAt
        self.width = width
        self.height = height
        self.bytes = bytes
        self.imageBytes = imageBytes
    }
}

/// What a source is, once open.
package struct SourceFacts: Hashable, Sendable {
    package var codec: String
    package var width: Int
    package var height: Int
    package var fps: Double?
    /// False for a file that plays as fast as it is taken: its media clock drives the boundaries.
    package var keepsTime: Bool
    /// Nil unless it is a camera at this machine.
    package var input: StreamState.Input?
    /// For the log.
    package var remarks: [SourceRemark]

    package init(
        codec: String, width: Int, height: Int, fps: Double?, keepsTime: Bool, input: StreamState.Input? = nil,
        remarks: [SourceRemark] = []
    ) {
        self.codec = codec
        self.width = width
        self.height = height
        self.fps = fps
        self.keepsTime = keepsTime
        self.input = input
        self.remarks = remarks
    }
}

package struct SegmentOpened: Hashable, Sendable {
    package var opening: SegmentCutter.Opening
    /// Relative to the storage folder, with the partial suffix.
    package var file: String
    package var startedAt: WallTime

    package init(opening: SegmentCutter.Opening, file: String, startedAt: WallTime) {
        self.opening = opening
        self.file = file
        self.startedAt = startedAt
    }
}

package struct SegmentClosed: Hashable, Sendable {
    package var session: SessionID
    package var index: Int
    package var file: String
    package var startedAt: WallTime
    package var duration: Duration
    package var frames: UInt64
    package var firstFrame: UInt64
    package var bytes: UInt64
    package var offset: Duration?
    package var reason: SegmentEnd

    package init(
        session: SessionID, index: Int, file: String, startedAt: WallTime, duration: Duration, frames: UInt64,
        firstFrame: UInt64, bytes: UInt64, offset: Duration?, reason: SegmentEnd
    ) {
        self.session = session
        self.index = index
        self.file = file
        self.startedAt = startedAt
        self.duration = duration
        self.frames = frames
        self.firstFrame = firstFrame
        self.bytes = bytes
        self.offset = offset
        self.reason = reason
    }
}

/// What the Shell must do.
package enum WorkerEffect: Hashable, Sendable {
    /// Try again for the camera's folder; answer with `started` or `folderRefused`.
    case takeFolder
    case openSource(run: Int, via: SourceRoute)
    case closeSource
    /// The frames of the running source stop; the open segment ends.
    case loseFrames(GapCause)
    case beginSession(SegmentCutter.Place, SessionClock, SegmentCutter.Schedule, preroll: Duration)
    case endSession(SegmentEnd)
    case setSchedule(SegmentCutter.Schedule)
    case cut(at: MonotonicTime)
    case allowOpening
    /// Find out whether the disk takes files; answer with `storageProbed`.
    case probeStorage
    /// Ask the source for a key frame, if it is one that encodes.
    case requestKeyFrame
    case openPublisher(run: Int)
    case closePublisher
    /// Ask the config-writer who watches; answer with `readersCounted`.
    case lookAtReaders
    /// Make and write a picture for each wish, all from the same frame; answer with `snapshotTaken`.
    case takeSnapshot(job: Int, [SnapshotCommand])
    /// Set a webcam's controls, now and at every later opening; answer with `controlsTurned`.
    case turnControls([ControlName: ControlSetting], CommandToken)
    case publishControls(ControlsState)
    case publishStream(StreamState)
    case publishRecording(RecordingState)
    case publishViewing(ViewingState)
    case publishSnapshot(SnapshotState)
    case emitSegment(SegmentEvent)
    case emitGap(GapEvent)
    case reply(CommandToken, CommandResult)
    case refuse(CommandToken, CodedError)
    case remember(WorkerMemory)
    /// Send `woke` at this moment; replaces every earlier one. Nil: never.
    case wake(at: MonotonicTime?)
    case exit(StopCause)
}

/// The wall clock of one session: read once, then advanced by the monotonic clock, so that names and the ledger stay
/// in order however the wall clock is stepped.
package struct SessionClock: Hashable, Sendable, Codable {
    package var wall: WallTime
    package var monotonic: MonotonicTime

    package init(_ now: Now) {
        wall = now.wall
        monotonic = now.monotonic
    }

    package func wall(at time: MonotonicTime) -> WallTime { wall + (time - monotonic) }
    package func monotonic(at time: WallTime) -> MonotonicTime { monotonic + (time - wall) }
}

/// What a worker writes down so that the next one can go on: leases, and the place in the session.
package struct WorkerMemory: Hashable, Sendable, Codable {
    package struct Session: Hashable, Sendable, Codable {
        package var id: SessionID
        package var startedAt: WallTime
        package var clock: SessionClock
        /// Above every index and frame number in use when this was written.
        package var nextIndex: Int
        package var nextFrame: UInt64
        /// The start of the newest segment.
        package var newestAt: WallTime
    }

    package static let versionNow = 1
    package var version = versionNow
    /// Of the boot in which this was written; monotonic times mean nothing in another.
    package var boot: String
    package var leases: [LeaseBook.Record]
    package var session: Session?
}

/// What the disk says of the end of a remembered session.
package struct SessionTail: Hashable, Sendable {
    package var lastIndex: Int
    package var nextFrame: UInt64
    package var endedAt: WallTime
    /// The files that were open when the worker died, finished since; two if it died in the middle of a rotation.
    package var recovered: [SegmentClosed]

    package init(lastIndex: Int, nextFrame: UInt64, endedAt: WallTime, recovered: [SegmentClosed]) {
        self.lastIndex = lastIndex
        self.nextFrame = nextFrame
        self.endedAt = endedAt
        self.recovered = recovered
    }
}
