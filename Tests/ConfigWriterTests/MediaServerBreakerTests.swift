import BusContract
import ConfigWriterCore
import Domain
import Testing

struct MediaServerBreakerTests {
    private var breaker = Breaker()
    private var now = MonotonicTime(nanoseconds: 0)

    /// Tries as soon as it may, `count` times, and fails.
    private mutating func fail(_ kind: MediaServerFailure.Kind, _ count: Int, chance: Double = 0.5) -> [Duration] {
        var waits: [Duration] = []
        for _ in 0..<count {
            let before = now
            now = max(now, breaker.tryAt ?? now)
            waits.append(now - before)
            breaker.begin(at: now)
            #expect(breaker.published != .open)
            breaker.failed(kind, at: now, chance: chance)
            #expect(!breaker.mayTry(at: now))
        }
        return waits
    }

    @Test mutating func opensAfterThreeFailuresAndCloses() {
        _ = fail(.silent, 2)
        #expect(breaker.published == .closed)
        _ = fail(.silent, 1)
        #expect(breaker.published == .open)
        now = breaker.tryAt ?? now
        breaker.begin(at: now)
        #expect(breaker.published == .halfOpen)
        // One try decides; there is no second beside it.
        #expect(!breaker.mayTry(at: now + .seconds(100)))
        breaker.succeeded()
        #expect(breaker.isClosed && breaker.mayTry(at: now))
    }

    /// A server that was away is found within 2 s of its return, however long it was away and whatever the chance.
    @Test(arguments: [0.0, 0.5, 0.999]) mutating func aRefusedConnectionIsTriedOften(_ chance: Double) {
        let waits = fail(.unreachable, 50, chance: chance)
        #expect(waits.allSatisfy { $0 <= .milliseconds(1200) })
        #expect(waits.dropFirst().allSatisfy { $0 >= .milliseconds(250) })
    }

    /// It may be ended and started again while nobody asks, and is to be found within 2 s of its return as well.
    @Test(arguments: [MediaServerFailure.Kind.silent, .unreadable]) mutating func oneThatHangsIsTriedOften(
        _ kind: MediaServerFailure.Kind
    ) {
        let waits = fail(kind, 50, chance: 0.999)
        #expect(waits.allSatisfy { $0 <= .milliseconds(1800) })
        #expect(waits.dropFirst(3).allSatisfy { $0 >= .seconds(1) })
    }

    @Test mutating func aServerThatDeniesIsLeftAloneLongerEachTime() {
        let waits = fail(.denied, 12, chance: 0.999)
        #expect(zip(waits.dropFirst(3), waits.dropFirst(4)).allSatisfy { $0 <= $1 })
        #expect((waits.last ?? .zero) > .seconds(30) && (waits.last ?? .zero) <= .seconds(36))
    }
}
