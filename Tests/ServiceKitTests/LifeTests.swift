import Domain
import Foundation
import ServiceKit
import Testing

@Suite("The life of a process")
struct LifeTests {
    @Test("A wish to stop wakes all who wait; the second makes it urgent", .timeLimit(.minutes(1)))
    func shutdown() async {
        let shutdown = Shutdown()
        #expect(!shutdown.isRequested)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { await shutdown.wait() } }
            group.addTask { shutdown.request("SIGTERM") }
        }
        #expect(shutdown.reason == "SIGTERM")
        #expect(!shutdown.isUrgent)
        await shutdown.wait()
        shutdown.request("SIGINT")
        #expect(shutdown.reason == "SIGTERM")
        await shutdown.waitUntilUrgent()
        #expect(shutdown.isUrgent)
    }

    @Test("A waiter that is cancelled does not wait for ever", .timeLimit(.minutes(1)))
    func cancelled() async {
        let shutdown = Shutdown()
        let waiter = Task { await shutdown.wait() }
        waiter.cancel()
        await waiter.value
        #expect(!shutdown.isRequested)
    }

    @Test("A blocking call runs on a named thread of its own", .timeLimit(.minutes(1)))
    func blockingThread() async throws {
        let name = await BlockingThread.run("front-source-of-frames") {
            (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? ""
        }
        #expect(name == "front-source-of\n")
        await #expect(throws: CodedError.self) {
            try await BlockingThread.run("fails") { () throws(CodedError) -> Int in
                throw CodedError(.timeout, "too late")
            }
        }
    }

    /// Nothing that a camera can do without may end its recording.
    @Test("A thread that the system does not give is an error")
    func noThread() {
        #expect {
            try BlockingThread.attempt("huge", stackBytes: 1 << 47) { Issue.record("it ran") }
        } throws: { ($0 as? CodedError)?.code == .notReady }
    }

    @Test("More blocked threads than the machine has cores leave room for the rest", .timeLimit(.minutes(1)))
    func manyBlocked() async {
        let gate = Shutdown()
        await withTaskGroup(of: Void.self) { group in
            for number in 0..<16 {
                group.addTask {
                    await BlockingThread.run("blocked-\(number)") {
                        while !gate.isRequested { sched_yield() }
                    }
                }
            }
            group.addTask { gate.request("all are blocked") }
        }
        #expect(gate.isRequested)
    }

    @Test("Both clocks are read, and go forward")
    func clock() {
        let first = ServiceClock.now()
        let second = ServiceClock.now()
        #expect(second.monotonic >= first.monotonic)
        #expect(first.wall > WallTime(milliseconds: 1_700_000_000_000))
    }
}
