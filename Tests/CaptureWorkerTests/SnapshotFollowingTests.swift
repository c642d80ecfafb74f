import CaptureWorkerCore
import Domain
import Testing

@Suite struct SnapshotFollowingTests {
    private func at(_ seconds: Double) -> MonotonicTime {
        MonotonicTime(nanoseconds: Int64(seconds * 1_000_000_000))
    }

    @Test func itBeginsWithTheSecondSnapshotAndEndsAWindowAfterTheLast() {
        var following = SnapshotFollowing()
        following.asked(at: at(100))
        #expect(following.until(at: at(100)) == nil)
        following.asked(at: at(109))
        #expect(following.until(at: at(109)) == at(119))
        following.asked(at: at(115))
        #expect(following.until(at: at(124.9)) == at(125))
        #expect(following.until(at: at(125)) == nil)
        following.asked(at: at(126))
        #expect(following.until(at: at(126)) == nil, "the first of a new row")
    }

    @Test func snapshotsFarApartAreNotWorthIt() {
        var following = SnapshotFollowing()
        for second in stride(from: 0.0, to: 100, by: 10) {
            following.asked(at: at(second))
            #expect(following.until(at: at(second)) == nil)
        }
    }

    @Test func aStreamTooLargeIsGivenUpUntilTheSnapshotsPause() {
        var following = SnapshotFollowing()
        following.asked(at: at(0))
        following.asked(at: at(0.5))
        following.worked(.milliseconds(500), hasCaughtUp: true, at: at(1))
        following.worked(.seconds(1), hasCaughtUp: true, at: at(2.9))
        #expect(following.until(at: at(2.9)) != nil, "not judged yet")
        following.worked(.milliseconds(100), hasCaughtUp: true, at: at(3))
        #expect(following.until(at: at(3)) == nil)
        following.asked(at: at(4))
        #expect(following.until(at: at(4)) == nil)
        following.asked(at: at(20))
        following.asked(at: at(21))
        #expect(following.until(at: at(21)) != nil)
    }

    @Test func whatTakesLittleOfTheTimeGoesOn() {
        var following = SnapshotFollowing()
        following.asked(at: at(0))
        for second in 1...60 {
            following.asked(at: at(Double(second)))
            following.worked(.milliseconds(490), hasCaughtUp: true, at: at(Double(second)))
            #expect(following.until(at: at(Double(second))) != nil)
        }
        // What became of it counts, not what it was for an hour.
        for second in 61...63 {
            following.asked(at: at(Double(second)))
            following.worked(.milliseconds(900), hasCaughtUp: true, at: at(Double(second)))
        }
        #expect(following.until(at: at(63)) == nil)
        following.ended()
        following.asked(at: at(64))
        #expect(following.until(at: at(64)) == nil)
    }

    @Test func catchingUpWithALongGroupIsNoSignOfALargeStream() {
        var following = SnapshotFollowing()
        following.asked(at: at(0))
        following.asked(at: at(1))
        following.worked(.seconds(1), hasCaughtUp: false, at: at(2))
        following.worked(.seconds(1.5), hasCaughtUp: true, at: at(3.5))
        following.worked(.milliseconds(300), hasCaughtUp: true, at: at(6))
        #expect(following.until(at: at(6)) != nil)
        var slow = SnapshotFollowing()
        for second in 0...11 {
            slow.asked(at: at(Double(second)))
            slow.worked(.seconds(1), hasCaughtUp: false, at: at(Double(second)))
        }
        #expect(slow.until(at: at(11)) == nil, "it never catches up")
    }
}
