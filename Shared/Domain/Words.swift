/// The closed vocabularies that the processes share.

/// What a stream is wanted for.
package enum UseCase: String, Hashable, Sendable, Codable, CaseIterable {
    case recording, viewing, snapshot
}

/// Why a session has a span without frames.
package enum GapCause: String, Hashable, Sendable, Codable, CaseIterable {
    /// The source ended, refused or broke the connection.
    case sourceLost = "source_lost"
    /// The source stayed connected and sent nothing.
    case sourceStalled = "source_stalled"
    /// The worker was killed, stopped or replaced while the session went on.
    case workerDied = "worker_died"
    case storageFull = "storage_full"
    case storageFailed = "storage_failed"
    /// Frames came faster than the disk or the encoder took them, or than a process that was held for a while; whole
    /// groups of pictures were dropped.
    case overrun
    /// The source's timestamps broke so badly that frames could not be placed.
    case timestampFault = "timestamp_fault"
}

/// How a camera delivers its pictures, the cheapest to record first.
package enum PictureKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// Recorded as it comes.
    case h264, h265
    /// Decoded and encoded anew.
    case mjpeg
    /// Encoded.
    case raw
}

/// Why a segment ended.
package enum SegmentEnd: String, Hashable, Sendable, Codable, CaseIterable {
    case rotation, stop, error, shutdown
    /// The worker died with the segment open; it was finished afterwards from what the disk held.
    case recovered
}

/// How rotation boundaries lie.
package enum RotationAlignment: String, Hashable, Sendable, Codable, CaseIterable {
    /// At multiples of the interval since 1970-01-01T00:00Z: for an interval that divides a day, the same moments of
    /// every day.
    case clock
    /// At multiples of the interval since the session began.
    case session
}

/// What a part survives before its write is reported done.
package enum Durability: String, Hashable, Sendable, Codable, CaseIterable {
    /// Written and synced: survives a power cut.
    case powerCut = "power_cut"
    /// Written: survives the death of the process.
    case processCrash = "process_crash"
}

/// What can go wrong, as a closed list that replies and error events quote.
package enum ErrorCode: String, Hashable, Sendable, Codable, CaseIterable {
    case invalidPayload = "invalid_payload"
    case invalidArgument = "invalid_argument"
    case unknownCamera = "unknown_camera"
    case unknownCommand = "unknown_command"
    case retainedCommand = "retained_command"
    case expired
    case payloadTooLarge = "payload_too_large"
    case unauthorized
    case notReady = "not_ready"
    case sourceUnavailable = "source_unavailable"
    case storageFull = "storage_full"
    case storageFailed = "storage_failed"
    case mediaServerUnavailable = "media_server_unavailable"
    case timeout
    case conflict
    case `internal`
}

/// The project's one error type: a closed code, a sentence for a person, and what lay beneath it.
/// Foreign errors are mapped to it at the edge of the module that meets them.
package struct CodedError: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: ErrorCode
    package let message: String
    /// The text of the foreign error, if there was one; never a secret.
    package let cause: String?

    package init(_ code: ErrorCode, _ message: String, cause: String? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { cause.map { "\(message) (\($0))" } ?? message }
}
