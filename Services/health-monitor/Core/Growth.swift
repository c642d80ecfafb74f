package import Domain

/// Watches a count that should grow: frames of a source, bytes on a disk, bytes at a media server.
package struct Growth: Hashable, Sendable {
    package private(set) var value: UInt64?
    package private(set) var grewAt: MonotonicTime?

    package init() {}

    /// A count that falls has begun anew and has grown by that.
    package mutating func take(_ value: UInt64, at now: MonotonicTime) {
        guard value != self.value else { return }
        self.value = value
        grewAt = now
    }

    /// What was silent before does not count.
    package mutating func restart(at now: MonotonicTime) { grewAt = now }

    package mutating func forget() { self = Growth() }
}
