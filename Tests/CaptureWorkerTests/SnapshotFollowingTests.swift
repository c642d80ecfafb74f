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
        following.asked(at: at(1))
        following.worked(.seconds(1), at: at(2.9))
        #expect(following.until(at: at(2.9)) != nil, "the first group is caught up with")
        following.worked(.milliseconds(100), at: at(3))
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
            following.worked(.milliseconds(300), at: at(Double(second)))
            #expect(following.until(at: at(Double(second))) != nil)
        }
        following.ended()
        #expect(following.until(at: at(60)) == nil)
    }
}
