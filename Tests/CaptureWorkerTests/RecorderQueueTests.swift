import Domain
import ServiceKit
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

    @Test("The end of the thread wakes a source that waits for room", .timeLimit(.minutes(1)))
    func quitWakes() async {
        let queue = RecorderQueue()
        for _ in 0..<RecorderQueue.jobsMax { queue.put(.close(.error)) }
        await withCheckedContinuation { continuation in
            BlockingThread.start("waiter") {
                queue.waitForRoom()
                continuation.resume()
            }
            queue.put(.quit)
        }
    }
}
