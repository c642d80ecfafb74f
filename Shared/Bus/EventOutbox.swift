package import Domain
internal import Synchronization

/// Events that the broker has not acknowledged yet, in order, bounded, and in a file so that they survive the
/// process. An event keeps the payload that it was published with, `at` and `seq` included.
///
/// Invariants: an entry is visible to a sender only when it is synced (or its sync has failed and been reported);
/// entries leave in any order and are never reordered; when full, the oldest goes and is counted. An acknowledgement
/// is not synced: after a power cut an acknowledged event may be sent again, which its key makes harmless.
/// `append` and `acknowledge` touch the disk: `BusClient` calls them on a queue of its own.
package final class EventOutbox: Sendable {
    package struct Entry: Sendable, Hashable {
        /// Grows; unique within the file.
        package var id: UInt64
        /// Whole, root included.
        package var topic: String
        package var payload: [UInt8]

        var bytes: Int { topic.utf8.count + payload.count }
    }

    package struct Limits: Sendable, Hashable {
        package var countMax: Int
        /// Over topics and payloads; the file is at most about twice as long.
        package var bytesMax: Int
        package init(countMax: Int = 50_000, bytesMax: Int = 32 * 1024 * 1024) {
            self.countMax = countMax
            self.bytesMax = bytesMax
        }
    }

    /// What an `append` did besides appending.
    package struct Outcome: Sendable, Hashable {
        /// Of the oldest entries, to stay within the limits.
        package var dropped = 0
        /// Nil: synced. Otherwise the entries are in memory only.
        package var failure: CodedError?
    }

    fileprivate struct Memory: Sendable {
        var entries: [Entry] = []
        var bytes = 0
        var nextID: UInt64 = 1
    }

    private let limits: Limits
    private let memory: Mutex<Memory>
    /// Nil: this outbox lives in memory only.
    private let file: Mutex<OutboxFile?>
    /// Bytes of a torn or damaged tail that the file had when it was opened; they were cut off.
    package let discardedBytes: Int

    /// In memory only: for programs whose events nobody misses after their end.
    package init(limits: Limits = Limits()) {
        self.limits = limits
        memory = Mutex(Memory())
        file = Mutex(nil)
        discardedBytes = 0
    }

    /// Opens or creates the file and loads what it holds.
    /// - Throws: `storage_failed`, `storage_full` if the file cannot be opened or read.
    package init(path: String, limits: Limits = Limits()) throws(CodedError) {
        self.limits = limits
        let (file, contents) = try OutboxFile.open(path: path)
        var memory = Memory()
        memory.entries = contents.entries
        memory.bytes = contents.entries.reduce(0) { $0 + $1.bytes }
        memory.nextID = contents.lastID + 1
        self.memory = Mutex(memory)
        self.file = Mutex(file)
        discardedBytes = contents.discardedBytes
    }

    /// Entries that wait.
    package var count: Int { memory.withLock { $0.entries.count } }

    /// The oldest entries behind `id`, in order.
    package func entries(after id: UInt64, atMost count: Int) -> [Entry] {
        memory.withLock { memory in
            let start = memory.entries.partitioningIndex { $0.id > id }
            return Array(memory.entries[start...].prefix(count))
        }
    }

    /// Adds events behind all others, with one sync for all of them.
    package func append(_ events: [(topic: String, payload: [UInt8])]) -> Outcome {
        let firstID = memory.withLock { memory in
            defer { memory.nextID += UInt64(events.count) }
            return memory.nextID
        }
        let added = zip(firstID..., events).map { Entry(id: $0, topic: $1.topic, payload: $1.payload) }
        var outcome = Outcome()
        outcome.failure = write(added.map(OutboxRecord.append))
        let dropped = memory.withLock { memory in
            memory.entries += added
            memory.bytes += added.reduce(0) { $0 + $1.bytes }
            return memory.dropOldest(beyond: limits)
        }
        outcome.dropped = dropped.count
        if !dropped.isEmpty {
            outcome.failure = write(dropped.map(OutboxRecord.remove)) ?? outcome.failure
            outcome.failure = compactIfWorthwhile() ?? outcome.failure
        }
        return outcome
    }

    /// Removes entries that the broker has taken; unknown ids are ignored.
    /// - Returns: why the file could not be told; the entries may then be sent again after a restart.
    @discardableResult
    package func acknowledge(_ ids: Set<UInt64>) -> CodedError? {
        let removed = memory.withLock { memory in
            let removed = memory.entries.filter { ids.contains($0.id) }
            memory.entries.removeAll { ids.contains($0.id) }
            memory.bytes -= removed.reduce(0) { $0 + $1.bytes }
            return removed
        }
        guard !removed.isEmpty else { return nil }
        return write(removed.map { .remove($0.id) }, isSynced: false) ?? compactIfWorthwhile()
    }

    private func write(_ records: [OutboxRecord], isSynced: Bool = true) -> CodedError? {
        file.withLock { file in
            guard let file else { return nil }
            do throws(CodedError) {
                try file.append(records, isSynced: isSynced)
                return nil
            } catch {
                return error
            }
        }
    }

    /// Rewrites the file when most of it is dead.
    private func compactIfWorthwhile() -> CodedError? {
        let (live, bytes) = memory.withLock { ($0.entries, $0.bytes) }
        return file.withLock { file in
            guard let file, live.isEmpty || file.length > 2 * bytes + Self.deadBytesMax else { return nil }
            do throws(CodedError) {
                try file.replace(with: live)
                return nil
            } catch {
                return error
            }
        }
    }

    /// The least dead space that is worth a rewrite.
    private static let deadBytesMax = 1024 * 1024
}

extension EventOutbox.Memory {
    /// - Returns: the ids that went.
    fileprivate mutating func dropOldest(beyond limits: EventOutbox.Limits) -> [UInt64] {
        var dropped = 0
        while dropped < entries.count, entries.count - dropped > limits.countMax || bytes > limits.bytesMax {
            bytes -= entries[dropped].bytes
            dropped += 1
        }
        defer { entries.removeFirst(dropped) }
        return entries.prefix(dropped).map(\.id)
    }
}

extension Array {
    /// The first index whose element satisfies `isBehind`, in an array where all that do stand behind all that do not.
    fileprivate func partitioningIndex(where isBehind: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if isBehind(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
