/// The most that an event on recordings, or a file of one, may claim. Far beyond what any recording reaches, and small
/// enough that sums of many stay within 64 bits.
package enum RecordingLimits {
    package static let indexMax = (1 << 31) - 1
    /// As far as every JSON reader holds whole numbers.
    package static let frameMax: UInt64 = 1 << 53
    /// Of one file.
    package static let bytesMax: UInt64 = 1 << 50
    /// Of one file: six days at 30 frames a second.
    package static let framesOfFileMax: UInt64 = 1 << 24
    /// Times and lengths of one event are rounded each for itself.
    package static let roundingSeconds = 0.01
    /// Of one session.
    package static let sessionMax: Duration = .writtenMax * 50
    /// The year 2200.
    package static let endOfTime = WallTime(milliseconds: 7_258_118_400_000)

    package static func isSpan(_ seconds: Double?) -> Bool {
        guard let seconds else { return true }
        return seconds.isFinite && seconds >= 0 && seconds <= Duration.writtenMax.seconds
    }
}
