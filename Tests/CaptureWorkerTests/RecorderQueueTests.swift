import Domain
import Foundation
import ServiceKit
import Synchronization
import TestSupport
import Testing

@testable import CaptureWorkerShell

@Suite("The recorder's queue")
struct RecorderQueueTests {
    @Test("A burst that a pre-roll puts in is no overrun; what comes on top of it is bounded as ever")
    func burst() {
        let queue = RecorderQueue()
        for _ in 0..<(RecorderQueue.jobsMax + 10) { queue.put(.close(.error)) }
        #expect(!queue.hasRoom)
        queue.allowBurst()
        #expect(queue.hasRoom)
        for _ in 0..<RecorderQueue.jobsMax { queue.put(.close(.error)) }
        #expect(!queue.hasRoom)
        while queue.depth > 0 { _ = queue.take(timeout: .zero) }
        for _ in 0..<RecorderQueue.jobsMax { queue.put(.close(.error)) }
        #expect(!queue.hasRoom)
    }

    @Test("The end of the thread wakes a source that waits for room")
    func quitWakes() async throws {
        let queue = RecorderQueue()
        for _ in 0..<RecorderQueue.jobsMax { queue.put(.close(.error)) }
        let hasRoom = Flag()
        BlockingThread.start(Self.waiter) {
            queue.waitForRoom()
            hasRoom.set()
        }
        try await eventually("the source waits", that: { Self.isBlocked(Self.waiter) })
        #expect(!hasRoom.isSet)
        queue.put(.quit)
        try await eventually("the source goes on", that: { hasRoom.isSet })
    }

    private static let waiter = "room-waiter"

    /// Whether a thread of this process has that name and sleeps (proc(5), the field after the name in `stat`).
    private static func isBlocked(_ name: String) -> Bool {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        return tasks.contains { task in
            let stat = try? String(contentsOfFile: "/proc/self/task/\(task)/stat", encoding: .utf8)
            return stat?.contains("(\(name)) S ") ?? false
        }
    }

    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isSet: Bool { value.withLock { $0 } }
        func set() { value.withLock { $0 = true } }
    }
}
