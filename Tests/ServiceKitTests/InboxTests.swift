import ServiceKit
import Synchronization
import TestSupport
import Testing

@Suite("What waits for a service's loop")
struct InboxTests {
    @Test("Inputs come in the order in which they were put, whoever waits first", .timeLimit(.minutes(1)))
    func order() async {
        let inbox = Inbox<Int>()
        inbox.put(1)
        inbox.put(2)
        #expect(await inbox.next() == 1)
        #expect(await inbox.next() == 2)
        let waiting = Task { await inbox.next() }
        inbox.put(3)
        #expect(await waiting.value == 3)
        for number in 0..<5000 { inbox.put(number) }
        for number in 0..<5000 { #expect(await inbox.next() == number) }
    }

    @Test("A flood from outside waits outside; what comes from inside passes", .timeLimit(.minutes(1)))
    func flood() async throws {
        let inbox = Inbox<Int>()
        let given = Mutex(0)
        let flood = Task {
            for number in 0..<10_000 {
                await inbox.offer(number)
                given.withLock { $0 = number + 1 }
            }
        }
        try await eventually("the giver waits") { given.withLock { $0 } > Inbox<Int>.offersMax }
        for expected in 0..<5000 {
            #expect(await inbox.next() == expected)
            #expect(given.withLock { $0 } <= expected + Inbox<Int>.offersMax + 3)
        }
        inbox.put(-1)
        var found = false
        for _ in 0..<(Inbox<Int>.offersMax + 3) where await inbox.next() == -1 { found = true }
        #expect(found, "an input from inside stands behind what is there, not behind the flood")
        inbox.end()
        await flood.value
    }

    @Test("The end leaves nobody waiting", .timeLimit(.minutes(1)))
    func end() async {
        let inbox = Inbox<Int>()
        let consumer = Task { await inbox.next() }
        await Task.yield()
        inbox.end()
        #expect(await consumer.value == nil)
        inbox.put(1)
        await inbox.offer(2)
        #expect(await inbox.next() == nil)
    }
}
