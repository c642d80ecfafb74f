internal import Domain
internal import Synchronization

/// The moment from which on somebody wants a key frame. Any thread may want one; the encoder's thread asks.
final class KeyFrameMoment: Sendable {
    /// On the monotonic clock, in nanoseconds; `Int64.max`: none.
    private let moment = Atomic<Int64>(.max)

    /// Takes the place of an earlier wish.
    func want(from time: MonotonicTime) { moment.store(time.nanoseconds, ordering: .releasing) }

    /// Whether a picture of this arrival must be a key frame; a wish is granted once.
    func isDue(at arrival: MonotonicTime) -> Bool {
        let wish = moment.load(ordering: .acquiring)
        guard arrival.nanoseconds >= wish else { return false }
        // A wish that came in between stays.
        _ = moment.compareExchange(expected: wish, desired: .max, ordering: .acquiringAndReleasing)
        return true
    }
}
