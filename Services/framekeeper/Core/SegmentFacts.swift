package import Domain

/// What the ledger says of a segment and what its file says of itself, side by side, as `ContinuityCheck` compares
/// them.
package struct SegmentFacts: Sendable, Hashable {
    package enum State: String, Sendable, Hashable {
        case open, closed
        /// The ledger itself says that the file was not found.
        case missing
        /// Deleted by retention: no file is expected, but its frame numbers still count.
        case deleted
    }

    package var index: Int
    /// Relative to the storage folder.
    package var file: String
    package var state: State
    package var startedAt: WallTime
    package var firstFrame: UInt64
    /// Nil while open, as are the next two.
    package var lastFrame: UInt64?
    package var frames: UInt64?
    package var duration: Duration?
    /// Nil if the file was not found or not read.
    package var found: FileFacts?

    package init(
        index: Int, file: String, state: State, startedAt: WallTime, firstFrame: UInt64, lastFrame: UInt64? = nil,
        frames: UInt64? = nil, duration: Duration? = nil, found: FileFacts? = nil
    ) {
        self.index = index
        self.file = file
        self.state = state
        self.startedAt = startedAt
        self.firstFrame = firstFrame
        self.lastFrame = lastFrame
        self.frames = frames
        self.duration = duration
        self.found = found
    }
}

/// What a full read of a segment file found.
package struct FileFacts: Sendable, Hashable {
    /// The session and the place in it that the file's manifest names; nil if it has none.
    package var session: SessionID?
    package var index: Int?
    package var firstFrame: UInt64?
    package var frames: UInt64
    package var duration: Duration
    /// Nil unless decoding was asked for.
    package var decodedFrames: UInt64?
    /// Frames shown before the first key frame though stored after it.
    package var leadingFrames: UInt64
    /// What the reader could not read, in sentences.
    package var faults: [String]

    package init(
        session: SessionID?, index: Int?, firstFrame: UInt64?, frames: UInt64, duration: Duration,
        decodedFrames: UInt64? = nil, leadingFrames: UInt64 = 0, faults: [String] = []
    ) {
        self.session = session
        self.index = index
        self.firstFrame = firstFrame
        self.frames = frames
        self.duration = duration
        self.decodedFrames = decodedFrames
        self.leadingFrames = leadingFrames
        self.faults = faults
    }
}

/// A gap as the ledger lists it.
package struct GapFacts: Sendable, Hashable {
    package var from: WallTime
    package var to: WallTime
    package var cause: GapCause
    package var framesLost: UInt64?

    package init(from: WallTime, to: WallTime, cause: GapCause, framesLost: UInt64? = nil) {
        self.from = from
        self.to = to
        self.cause = cause
        self.framesLost = framesLost
    }
}
