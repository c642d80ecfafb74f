import BusContract
import Domain
import RotationServiceCore
import Testing

/// When the files are asked.
extension RotationCoreTests {
    @Test func aWorkerThatGoesIsScannedForUnlessItComesBack() {
        let core = Self.settled()
        _ = core.handle(.availabilityReported(Self.front, .offline), at: Self.at(0))
        _ = core.handle(.availabilityReported(Self.front, .online), at: Self.at(2))
        #expect(Self.scans(core.handle(.woke, at: Self.at(20))) == [])
        _ = core.handle(.availabilityReported(Self.front, .offline), at: Self.at(30))
        #expect(Self.scans(core.handle(.woke, at: Self.at(40))) == [.camera(Self.front)])
    }

    /// A worker that was fenced or killed takes its last words with it; those of its successor jump.
    @Test func segmentsThatNoEventToldOfAreLookedForInTheFiles() {
        let core = Self.settled()
        func report(_ kind: SegmentEvent.Kind, _ index: Int, at seconds: Int, session: SessionID = Self.session) {
            _ = core.handle(
                .segmentReported(Self.front, Self.segment(kind, index, session: session)), at: Self.at(seconds))
        }
        // The first that is heard after a start may have any number: everything has been scanned.
        report(.opened, 7, at: 0)
        report(.opened, 8, at: 10)
        report(.closed, 7, at: 10)
        #expect(Self.scans(core.handle(.woke, at: Self.at(60))) == [])
        report(.closed, 8, at: 61)
        report(.opened, 12, at: 61)
        // Neither its end nor its worker's return takes the wish back.
        report(.closed, 12, at: 62)
        _ = core.handle(.availabilityReported(Self.front, .online), at: Self.at(63))
        #expect(Self.scans(core.handle(.woke, at: Self.at(65))) == [])
        #expect(Self.scans(core.handle(.woke, at: Self.at(66))) == [.camera(Self.front)])
        _ = core.handle(.scanEnded(Self.main, .camera(Self.front), .success(ScanCounts())), at: Self.at(67))
        report(.opened, 13, at: 70)
        #expect(Self.scans(core.handle(.woke, at: Self.at(90))) == [], "what was found is settled")
        // The next session begins with its first file, and late words of the last one are no jump.
        let next = SessionID(high: 2, low: 2)
        report(.opened, 0, at: 91, session: next)
        report(.closed, 13, at: 91)
        #expect(Self.scans(core.handle(.woke, at: Self.at(110))) == [])
        report(.opened, 3, at: 111, session: SessionID(high: 3, low: 3))
        #expect(Self.scans(core.handle(.woke, at: Self.at(116))) == [.camera(Self.front)])
    }

    @Test func aConnectIsFollowedByAScanAndSoIsEveryFifthMinute() {
        let core = Self.settled()
        _ = core.handle(.busConnected, at: Self.at(10))
        #expect(Self.scans(core.handle(.woke, at: Self.at(12))) == [])
        #expect(Self.scans(core.handle(.woke, at: Self.at(13))) == [.everything])
        #expect(Self.scans(core.handle(.busConnected, at: Self.at(20))) == [])
        #expect(Self.scans(core.handle(.woke, at: Self.at(30))) == [], "one at a time")
        let effects = core.handle(.scanEnded(Self.main, .everything, .success(ScanCounts())), at: Self.at(31))
        #expect(Self.scans(effects) == [.everything], "the wish that came meanwhile is kept")
        _ = core.handle(.scanEnded(Self.main, .everything, .success(ScanCounts())), at: Self.at(32))
        #expect(Self.scans(core.handle(.woke, at: Self.at(331))) == [])
        #expect(Self.scans(core.handle(.woke, at: Self.at(332))) == [.everything])
    }
}
