package import Domain

/// The newest announcements with their numbers, so that a browser that was away for a moment goes on where it was.
/// Telemetry has no number and is not kept: what was missed of it is worth nothing, and of many cameras it would push
/// out everything else within seconds.
package struct EventLog: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        /// Grows by one; nil: not kept.
        package var number: UInt64?
        package var announcement: Announcement
    }

    package static let entriesMax = 512
    package private(set) var last: UInt64
    private var entries: [Entry] = []

    /// - Parameter start: the beginning of this run, from which numbers go on: those of an earlier run, which had fewer
    ///   than one announcement a millisecond, are all smaller.
    package init(start: WallTime) { last = UInt64(max(start.milliseconds, 0)) }

    package mutating func add(_ announcement: Announcement) -> Entry {
        guard !announcement.isTelemetry else { return Entry(number: nil, announcement: announcement) }
        last += 1
        let entry = Entry(number: last, announcement: announcement)
        if entries.count >= Self.entriesMax { entries.removeFirst(entries.count / 2) }
        entries.append(entry)
        return entry
    }

    /// What came after `number`.
    /// - Returns: nil if some of it is gone, or if `number` is of another run: then everything is to be asked anew.
    package func since(_ number: UInt64) -> [Entry]? {
        guard number <= last else { return nil }
        guard number < last else { return [] }
        guard let first = entries.first?.number, first <= number + 1 else { return nil }
        return Array(entries.suffix(Int(last - number)))
    }
}

extension EventLog.Entry {
    /// As it goes over the line (WHATWG HTML, server-sent events). The JSON has no line break.
    package var wire: String {
        let id = number.map { "id: \($0)\n" } ?? ""
        return "\(id)event: \(announcement.kind)\ndata: \(announcement.json)\n\n"
    }
}
