package import Domain

/// The newest groups of pictures in memory, for pre-roll.
///
/// Owns its elements in order of arrival. Invariants: the first element kept is a key frame's; groups leave whole and
/// oldest first; the group being filled always stays, as long as it fits. A group that alone exceeds `bytesMax` is
/// emptied, counted, and nothing is kept until the next key frame; what `bytesMax` takes of `span` is counted too.
/// Pure: the pipeline that owns it brings the time.
package struct GOPRing<Element> {
    /// How far back a request may reach; at least the last group is kept even beyond it.
    package let span: Duration
    package let bytesMax: Int
    package private(set) var bytes = 0
    /// Groups dropped because one alone exceeded the bound.
    package private(set) var overruns = 0
    /// Groups that left for want of room although `span` still asks for them.
    package private(set) var groupsCut = 0

    private struct Entry {
        /// Nil once it has left.
        var element: Element?
        var isKey: Bool
        var time: MonotonicTime
        var bytes: Int
    }

    private var entries: [Entry] = []
    /// Entries before this index have left; the array is compacted when half of it is dead.
    private var head = 0
    /// Indices into `entries` of the key frames kept.
    private var keys: [Int] = []

    package init(span: Duration, bytesMax: Int) {
        self.span = span
        self.bytesMax = bytesMax
    }

    package var count: Int { entries.count - head }
    package var isEmpty: Bool { count == 0 }
    /// The time of the oldest element kept.
    package var oldest: MonotonicTime? { isEmpty ? nil : entries[head].time }

    /// `isKey`: a decoder can begin here (a video key frame; never audio).
    ///
    /// - Returns: whether less is kept now than `span` asks for, for want of room.
    @discardableResult
    package mutating func append(_ element: Element, isKey: Bool, time: MonotonicTime, bytes: Int) -> Bool {
        guard isKey || !keys.isEmpty else { return false }
        if isKey { keys.append(entries.count) }
        entries.append(Entry(element: element, isKey: isKey, time: time, bytes: bytes))
        self.bytes += bytes
        dropGroups(before: time - span)
        guard self.bytes > bytesMax else { return false }
        while self.bytes > bytesMax, keys.count > 1 {
            dropOldestGroup()
            groupsCut += 1
        }
        if self.bytes > bytesMax {
            overruns += 1
            removeAll()
        }
        return true
    }

    package mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        keys.removeAll(keepingCapacity: true)
        head = 0
        bytes = 0
    }

    /// From the key frame at or before `time`, else from the oldest kept.
    package func elements(from time: MonotonicTime) -> some Sequence<Element> {
        let first = keys.last { entries[$0].time <= time } ?? keys.first ?? entries.endIndex
        return entries[first...].lazy.compactMap(\.element)
    }

    /// A group is no longer needed when the one after it begins at or before the moment.
    private mutating func dropGroups(before moment: MonotonicTime) {
        while keys.count > 1, entries[keys[1]].time <= moment { dropOldestGroup() }
    }

    private mutating func dropOldestGroup() {
        let end = keys[1]
        for index in head..<end {
            bytes -= entries[index].bytes
            entries[index].element = nil
        }
        head = end
        keys.removeFirst()
        compact()
    }

    private mutating func compact() {
        guard head > 64, head > entries.count / 2 else { return }
        entries.removeFirst(head)
        for index in keys.indices { keys[index] -= head }
        head = 0
    }
}
