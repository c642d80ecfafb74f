import BusContract
import ConfigWriterCore
import Domain
import Testing

/// Viewers and leases, as transcripts.
struct DemandTests {
    private var core = MediaServerUnderTest()
    private static let front = CameraID(unchecked: "front")
    private static let start = MediaServerEffect.startViewing(front, .seconds(300))
    private static let stop = MediaServerEffect.stopViewing(front)

    private mutating func begin() {
        core.configure()
        core.look(standings: ["front": .equal])
    }

    /// Somebody watches, and that has been counted.
    private mutating func beginWatched(by viewers: Int = 1) {
        begin()
        core.handle(.demanded(Self.front))
        core.wake()
        core.look(ready: true, viewers: viewers)
    }

    /// Looks until one brings a command to the worker, at most for `limit`.
    private mutating func command(
        ready: Bool = true, viewers: Int = 0, within limit: Duration
    ) -> (MediaServerEffect, after: Duration)? {
        let begin = core.now
        while core.now - begin <= limit {
            core.wake()
            if let found = core.requests.first(where: { $0 == Self.start || $0 == Self.stop }) {
                return (found, core.now - begin)
            }
            guard core.isLooking else { continue }
            core.look(ready: ready, viewers: viewers)
            if let found = core.requests.first(where: { $0 == Self.start || $0 == Self.stop }) {
                return (found, core.now - begin)
            }
        }
        return nil
    }

    @Test mutating func theHookTakesTheLeaseAtOnce() {
        begin()
        core.handle(.demanded(Self.front))
        #expect(core.requests == [Self.start])
        // A second hook in the same moment asks for nothing new.
        core.handle(.demanded(Self.front))
        #expect(core.requests == [])
        core.handle(.demanded(CameraID(unchecked: "nobody")))
        #expect(core.requests == [])
    }

    @Test mutating func aSecondViewerTriggersNoHookAndIsCounted() {
        begin()
        let found = command(viewers: 1, within: .seconds(2))
        #expect(found?.0 == Self.start)
        #expect((found?.after ?? .seconds(9)) <= MediaServerCore.idlePeriod + .milliseconds(100))
    }

    @Test mutating func theLeaseIsRenewedWhileSomebodyWatchesAndEndsAfterTheLast() {
        begin()
        core.handle(.demanded(Self.front))
        let renewed = command(viewers: 2, within: .seconds(100))
        #expect(renewed?.0 == Self.start)
        #expect((renewed?.after ?? .zero) >= .seconds(58))
        let ended = command(viewers: 0, within: .seconds(10))
        #expect(ended?.0 == Self.stop)
        #expect((ended?.after ?? .seconds(9)) <= .seconds(3))
        #expect(command(viewers: 0, within: .seconds(600)) == nil)
    }

    @Test mutating func aReaderBetweenItsQuestionsIsNotTakenForNone() {
        begin()
        core.handle(.demanded(Self.front))
        core.wake()
        // The publisher is there; the reader has not asked for the stream yet.
        core.look(ready: true, viewers: 0)
        #expect(core.requests == [])
        core.wake()
        core.look(ready: true, viewers: 1)
        #expect(core.requests == [])
    }

    @Test mutating func whenNobodyPublishesTheLeaseLastsAsLongAsAReaderWaits() {
        begin()
        core.handle(.demanded(Self.front))
        let ended = command(ready: false, within: .seconds(60))
        #expect(ended?.0 == Self.stop)
        // The server's own patience of 15 s, and a margin.
        #expect((ended?.after ?? .zero) >= .seconds(18) && (ended?.after ?? .zero) <= .seconds(23))
    }

    @Test mutating func aLostPublisherWithViewersKeepsTheLease() {
        beginWatched(by: 2)
        core.wake()
        core.look(ready: false)
        #expect(core.requests == [])
        #expect(command(ready: false, within: .seconds(10)) == nil)
        // It is back, and so are they.
        #expect(command(viewers: 2, within: .seconds(30)) == nil)
    }

    /// Its camera rebooted: who came back at once is on hold until somebody publishes, however long that takes.
    @Test(arguments: [true, false]) mutating func whoIsOnHoldAfterALossIsNotForgotten(_ isCounted: Bool) {
        if isCounted {
            beginWatched()
        } else {
            // All of it between two counts; the worker knows.
            begin()
            core.handle(.demanded(Self.front))
            core.handle(.viewingReported(Self.front, .active, isLeased: true))
            core.handle(.viewingReported(Self.front, .starting, isLeased: true))
        }
        core.wake()
        core.look(ready: false)
        core.handle(.undemanded(Self.front))
        let ended = command(ready: false, within: .seconds(600))
        #expect(ended?.0 == Self.start && ended?.after ?? .zero <= .seconds(60), "the lease is renewed")
        #expect(command(viewers: 1, within: .seconds(30)) == nil, "and there they are")
        // Without anybody it ends as soon as that can be seen.
        #expect(command(ready: true, viewers: 0, within: .seconds(10))?.0 == Self.stop)
    }

    /// A second cycle ends with an answer to everyone on hold.
    @Test mutating func aNewDemandAfterALossLastsAsLongAsAnyOther() {
        beginWatched()
        core.wake()
        core.look(ready: false)
        core.handle(.demanded(Self.front))
        core.handle(.undemanded(Self.front))
        #expect(command(ready: false, within: .seconds(60))?.0 == Self.stop)
    }

    /// A reader that came back within the close-after of a lost publisher is on hold for ever, and no hook tells.
    @Test mutating func aForgottenReaderGetsItsPublisherBack() {
        begin()
        core.handle(.undemanded(Self.front))
        core.wake()
        core.look(ready: false)
        #expect(core.requests == [Self.start])
        // Nobody was there after all.
        #expect(command(ready: true, viewers: 0, within: .seconds(10))?.0 == Self.stop)
    }

    @Test mutating func theLastReadersHookEndsTheLeaseWithOneLook() {
        beginWatched()
        core.handle(.undemanded(Self.front))
        core.wake()
        core.look(ready: true, viewers: 0)
        #expect(core.requests == [Self.stop])
    }

    @Test mutating func somebodyWhoCameInBetweenKeepsIt() {
        begin()
        core.handle(.demanded(Self.front))
        core.wake()
        core.look(ready: true, viewers: 1)
        core.handle(.undemanded(Self.front))
        core.wake()
        core.look(ready: true, viewers: 1)
        #expect(core.requests == [])
    }

    @Test mutating func aRefusedLeaseIsAskedForAgain() {
        begin()
        core.handle(.demanded(Self.front))
        core.handle(.leaseAnswered(Self.front, CodedError(.notReady, "no worker")))
        #expect(core.requests == [])
        let again = command(ready: false, within: .seconds(3))
        #expect(again?.0 == Self.start)
        #expect((again?.after ?? .zero) >= .milliseconds(900))
    }

    @Test mutating func aLeaseOfAnEarlierLifeIsFoundAndEnded() {
        begin()
        core.handle(.viewingReported(Self.front, .active, isLeased: true))
        #expect(command(viewers: 0, within: .seconds(10))?.0 == Self.stop)
    }

    @Test mutating func aWorkerThatForgotIsAskedAgainWhileSomebodyWatches() {
        begin()
        core.handle(.demanded(Self.front))
        #expect(command(viewers: 1, within: .seconds(20)) == nil)
        core.handle(.viewingReported(Self.front, .starting, isLeased: false))
        #expect(command(viewers: 1, within: .seconds(2))?.0 == Self.start)
    }

    @Test mutating func whileTheServerHangsViewersKeepTheirPicture() {
        begin()
        core.handle(.demanded(Self.front))
        core.wake()
        core.look(ready: true, viewers: 1)
        core.handle(.viewingReported(Self.front, .active, isLeased: true))
        var starts = 0
        let begin = core.now
        while core.now - begin < .seconds(400) {
            core.wake()
            starts += core.requests.filter { $0 == Self.start }.count
            #expect(!core.requests.contains(Self.stop))
            if core.isLooking { core.fail(.silent) }
        }
        #expect(starts >= 5 && starts <= 8)
        // The server is gone and so is its publication: nobody can watch.
        core.handle(.viewingReported(Self.front, .failed, isLeased: true))
        var late = 0
        while core.now - begin < .seconds(900) {
            core.wake()
            late += core.requests.filter { $0 == Self.start }.count
            if core.isLooking { core.fail(.silent) }
        }
        #expect(late == 0)
        // Without a count the hook's word is all there is.
        core.handle(.demanded(Self.front))
        core.handle(.undemanded(Self.front))
        #expect(core.requests == [Self.stop])
    }

    /// Until nobody can count, and the server still relays: its API alone is refused.
    private mutating func loseTheAPI() {
        core.handle(.viewingReported(Self.front, .active, isLeased: true))
        core.wake()
        core.fail(.denied)
    }

    /// Renewals until `limit` is over.
    private mutating func starts(within limit: Duration) -> Int {
        let begin = core.now
        var count = 0
        while core.now - begin < limit {
            core.wake()
            count += core.requests.filter { $0 == Self.start }.count
            if core.isLooking { core.fail(.denied) }
        }
        return count
    }

    @Test mutating func whoJoinsWhileNobodyCanCountHasALease() {
        beginWatched()
        loseTheAPI()
        core.handle(.undemanded(Self.front))
        #expect(core.requests == [Self.stop])
        // It lingers, and somebody comes.
        core.handle(.viewingReported(Self.front, .active, isLeased: false))
        core.handle(.readerCame(Self.front))
        #expect(core.requests == [Self.start])
        core.handle(.viewingReported(Self.front, .active, isLeased: true))
        // No hook tells of the end; nobody is believed in for ever.
        #expect((50...70).contains(starts(within: .seconds(3600))))
        #expect(starts(within: .seconds(3600)) == 0)
    }

    @Test mutating func whoCameBetweenTheLastCountAndItsLossHasALease() {
        begin()
        core.handle(.viewingReported(Self.front, .active, isLeased: false))
        core.handle(.readerCame(Self.front))
        core.wake()
        core.fail(.denied)
        #expect(core.requests == [Self.start])
    }

    /// The hook that tells of the end may have been lost with this service's last life.
    @Test mutating func aLeaseOfAnEarlierLifeEndsAlsoWhereNobodyCanCount() {
        begin()
        loseTheAPI()
        #expect((50...70).contains(starts(within: .seconds(3600))))
        #expect(starts(within: .seconds(3600)) == 0)
    }

    /// Whom a hook told of, a hook will tell of again.
    @Test mutating func whoWasToldOfIsKeptHoweverLongNobodyCanCount() {
        beginWatched()
        loseTheAPI()
        #expect((200...280).contains(starts(within: .seconds(4 * 3600))))
        core.handle(.undemanded(Self.front))
        #expect(core.requests == [Self.stop])
    }

    @Test mutating func aPulledPathHasNoLease() {
        core.configure(kind: .pulled)
        core.look(viewers: 3, standings: ["front": .equal])
        core.handle(.demanded(Self.front))
        #expect(core.requests == [])
    }
}
