import BusContract
import CaptureWorkerCore
import Domain
import Media
import TestSupport
import Testing

@testable import CaptureWorkerShell

/// Promise 4: what is lost or mended is counted where an operator can see it.
@Suite struct PipelineCountTests {
    @Test func whatIsCountedIsPublished() {
        var counts = PipelineStats()
        (counts.frames, counts.bytes, counts.dropped) = (30, 3000, 4)
        (counts.repaired, counts.prerollCut) = (5, 6)
        let now = MonotonicTime.zero + .seconds(10)
        let first = StreamStats(counts, at: now, since: nil)
        #expect(first.framesTotal == 30 && first.bytesTotal == 3000 && first.droppedTotal == 4)
        #expect(first.timestampsRepairedTotal == 5 && first.prerollDroppedGroupsTotal == 6)
        #expect(first.fps == 0 && first.bitrateBps == 0)
        let mark = CapturePipeline.StatsMark(at: .zero + .seconds(8), frames: 10, bytes: 1000)
        let next = StreamStats(counts, at: now, since: mark)
        #expect(next.fps == 10 && next.bitrateBps == 8000)
    }

    @Test func aFaultOfTheClockIsSeenAndTold() throws {
        let fixtures = try MediaFixtures()
        let kept = try StreamPublisherTests.kept(try fixtures.clip("clip.mp4", seconds: 2))
        var feed = FrameFeed(try #require(kept.first).format, run: 1, paces: false)
        #expect(feed.notes == [])
        for kept in kept[..<25] {
            _ = feed.place(kept.packet)
            #expect(feed.lastFault == nil)
        }
        kept[25].packet.setTimestamps(pts: nil, dts: nil, duration: 0)
        _ = feed.place(kept[25].packet)
        #expect(feed.lastFault == .missing)
        _ = feed.place(kept[26].packet)
        #expect(feed.lastFault == nil)
        #expect(feed.notes == ["timestamps repaired: 1 missing"])
    }
}
