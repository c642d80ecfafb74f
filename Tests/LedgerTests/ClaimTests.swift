import BusContract
import Domain
import Foundation
import GRDB
import Ledger
import Testing

/// Anyone on the bus may tell the ledger of segments and gaps. The files decide.
@Suite struct ClaimTests {
    private let fixture: LedgerFixture
    private let store: LedgerStore
    private let session = LedgerFixture.session(1)

    init() throws {
        fixture = try LedgerFixture()
        store = try fixture.open()
    }

    private func take(_ event: SegmentEvent, of camera: CameraID = LedgerFixture.front) throws -> ClaimOutcome {
        try store.take(SegmentRecord(event, camera: camera), inspector: fixture.media, now: fixture.start)
    }

    private func isRefused(_ outcome: ClaimOutcome) -> Bool { if case .refused = outcome { true } else { false } }

    /// Past every check: what a ledger of an earlier version may hold.
    private func poison(_ sql: String) throws {
        try DatabaseQueue(path: fixture.ledgerPath).write { try $0.execute(sql: sql) }
    }

    @Test func whatTheDiskBearsOutIsRecordedWithoutReading() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest, partial: true)
        #expect(try take(fixture.opened(manifest)) == .recorded)
        try fixture.writeFile(manifest)
        for _ in 0..<2 { #expect(try take(fixture.closed(manifest)) == .recorded) }
        #expect(try take(fixture.opened(manifest)) == .recorded, "late")
        #expect(try store.segments().map(\.state) == [.closed])
        #expect(fixture.media.inspections == 0)
    }

    @Test func aSegmentWithoutAFileIsNotBelieved() throws {
        #expect(isRefused(try take(fixture.opened(fixture.manifest(0)))))
        #expect(isRefused(try take(fixture.closed(fixture.manifest(0)))))
        #expect(try store.segments().isEmpty && store.sessions().isEmpty)
    }

    /// It began for certain and its file is gone: that is known now, and not that it is there.
    @Test func aSegmentThatBeganAndIsGoneIsMissing() throws {
        let manifest = fixture.manifest(0)
        let path = try fixture.writeFile(manifest, partial: true)
        _ = try take(fixture.opened(manifest))
        #expect(isRefused(try take(fixture.closed(manifest))), "it is still being written")
        try FileManager.default.removeItem(atPath: "\(fixture.storage)/\(path)")
        #expect(try take(fixture.closed(manifest)) == .recorded)
        #expect(try store.segments().map(\.state) == [.missing])
    }

    @Test func anothersFileIsNotBelieved() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        #expect(isRefused(try take(fixture.closed(manifest), of: LedgerFixture.back)))
        #expect(try store.segments().isEmpty)
    }

    /// Size and age decide what is deleted, so a forged size or end would delete.
    @Test func aContradictionIsSettledByTheFile() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        var forged = fixture.closed(manifest)
        forged.bytes = 1 << 50
        #expect(try take(forged) == .inspected)
        #expect(try store.segment(session, index: 0)?.bytes == 1000)
        #expect(isRefused(try take(forged)))
        #expect(fixture.media.inspections == 1, "a flood of them reads no file again")
        #expect(try take(fixture.closed(manifest)) == .recorded)

        let other = fixture.manifest(1)
        try fixture.writeFile(other)
        _ = try take(fixture.closed(other))
        forged = fixture.closed(other)
        forged.endedAt = forged.startedAt
        forged.durationSeconds = 0
        forged.frames = 300
        forged.lastFrame = 549
        #expect(try take(forged) == .inspected)
        let row = try #require(try store.segment(session, index: 1))
        #expect(row.frames == 250 && row.endedAt == other.startedAt + .seconds(10))
        #expect(row.reason == .rotation)
    }

    /// Names hold eight of a session's digits.
    @Test func aSessionThatOnlyLooksTheSameDoesNotGetTheFile() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        _ = try take(fixture.closed(manifest))
        var forged = fixture.closed(manifest)
        forged.session = SessionID(high: 1 << 32, low: 99)
        #expect(forged.session.short == session.short)
        _ = try take(forged)
        #expect(try store.segments().map(\.session) == [session])
    }

    @Test func aGapNeedsAHoleInTheNumbers() throws {
        for index in 0..<3 {
            let manifest = fixture.manifest(index)
            try fixture.writeFile(manifest)
            _ = try take(fixture.closed(manifest))
        }
        let gap = fixture.gap(before: 2)
        func told(_ camera: CameraID, _ from: WallTime, _ to: WallTime) throws -> ClaimOutcome {
            try store.take(
                GapRecord(session: session, camera: camera, from: from, to: to, cause: .overrun, framesLost: nil),
                now: fixture.start)
        }
        #expect(isRefused(try told(LedgerFixture.front, gap.from, gap.to)))
        #expect(isRefused(try told(LedgerFixture.back, gap.from, gap.to)))
        #expect(isRefused(try told(LedgerFixture.front, fixture.start + .seconds(22), fixture.start + .seconds(23))))
        #expect(try store.gaps().isEmpty)
        let end = fixture.start + .seconds(30)
        #expect(try told(LedgerFixture.front, end, end + .seconds(4)) == .recorded)
    }

    /// Frames that were held up come all at once: the file with one of them lasts beyond the beginning of the next.
    @Test func aGapInABurstLiesWithinTheLengthOfTheFileBeforeIt() throws {
        let manifest = fixture.manifest(0)
        try fixture.writeFile(manifest)
        _ = try take(fixture.closed(manifest, reason: .error))
        let told = GapRecord(
            session: session, camera: LedgerFixture.front, from: fixture.start + .milliseconds(1),
            to: fixture.start + .milliseconds(2), cause: .overrun, framesLost: 19)
        #expect(try store.take(told, now: fixture.start) == .recorded)
        var next = fixture.manifest(1)
        (next.startedAt, next.firstFrame) = (told.to, 250 + 19)
        try fixture.writeFile(next)
        _ = try take(fixture.closed(next))
        #expect(try fixture.scan(store).dropped.isEmpty)
        #expect(try store.gaps() == [told])
    }

    @Test func aGapBetweenFilesOfOneMillisecondIsFound() throws {
        let at = fixture.start + .seconds(10)
        var manifests = (0..<3).map { fixture.manifest($0) }
        (manifests[2].startedAt, manifests[2].firstFrame) = (at, 251 + 19)
        let told = GapRecord(
            session: session, camera: LedgerFixture.front, from: at, to: at, cause: .overrun, framesLost: 19)
        for manifest in manifests {
            try fixture.writeFile(manifest)
            var event = fixture.closed(manifest, reason: .error)
            // Of one frame.
            if manifest.index == 1 { (event.frames, event.lastFrame) = (1, 250) }
            _ = try take(event)
        }
        #expect(try store.take(told, now: fixture.start) == .recorded)
        #expect(try fixture.scan(store).dropped.isEmpty)
        #expect(try store.gaps() == [told])
    }

    /// A silence, one frame, and a loss, all over in the same millisecond.
    @Test func twoGapsThatEndInOneMillisecondLieBehindOneAnother() throws {
        let at = fixture.start + .seconds(15)
        var manifests = (0..<3).map { fixture.manifest($0) }
        (manifests[1].startedAt, manifests[1].firstFrame) = (at, 250 + 100)
        (manifests[2].startedAt, manifests[2].firstFrame) = (at, 351 + 19)
        func gap(_ from: WallTime, _ lost: UInt64) -> GapRecord {
            GapRecord(
                session: session, camera: LedgerFixture.front, from: from, to: at, cause: .overrun, framesLost: lost)
        }
        let told = [gap(fixture.start + .seconds(10), 100), gap(at, 19)]
        for (index, gap) in zip(1..., told) {
            manifests[index].gap = .init(from: gap.from, to: gap.to, cause: gap.cause, framesLost: gap.framesLost)
        }
        for manifest in manifests {
            try fixture.writeFile(manifest)
            var event = fixture.closed(manifest, reason: .error)
            if manifest.index == 1 {
                (event.frames, event.lastFrame) = (1, 350)
                fixture.media.add(
                    "\(fixture.storage)/\(manifest.path.completed)",
                    InspectedFile(manifest: manifest, frames: 1, duration: .milliseconds(40), bytes: 1000))
            }
            _ = try take(event)
        }
        for one in told { #expect(try store.take(one, now: fixture.start) == .recorded) }
        #expect(try fixture.scan(store).dropped.isEmpty)
        #expect(try store.gaps() == told)
    }

    // MARK: A ledger that believed too much

    @Test func aPoisonedLedgerCanBeReadAndMended() throws {
        for index in 0..<3 { try fixture.writeFile(fixture.manifest(index)) }
        _ = try fixture.scan(store)
        let whole = try store.segments()
        for (index, path) in [(7, "/etc/passwd"), (8, "../x"), (9, "back/2026-03-01/12-00-00.000Z_00000001_9.mp4")] {
            try poison(
                """
                INSERT INTO segment SELECT session, \(index), camera, node, '\(path)', started_ms, session_started_ms,
                session_offset_ms, ended_ms, duration_ms, 9223372036854775807, first_frame, 9223372036854775807,
                9223372036854775807, offset_seconds, reason, state, 1, changed_ms FROM segment WHERE idx = 0
                """)
        }
        // The right name with false numbers: those of the file come back.
        try poison("UPDATE segment SET bytes = 9223372036854775807, knowledge = 1 WHERE idx = 2")
        try poison("UPDATE segment SET frames = 300, last_frame = 299, knowledge = 1 WHERE idx = 0")
        try poison("INSERT INTO gap SELECT id, 1772366405000, camera, 1772366406000, 'overrun', 5 FROM session")
        let holdings = try store.holdings(oldestPerCamera: 10)
        #expect(holdings.count == 1 && holdings[0].bytes > 0)
        #expect(try store.totalBytes() == .max)
        #expect(try store.segments().count == 6 && store.gaps().count == 1)
        let report = try fixture.scan(store)
        #expect(report.dropped.count == 5)
        #expect(try store.segments() == whole)
        #expect(try store.gaps().isEmpty)
        #expect(try fixture.scan(store).dropped.isEmpty && fixture.scan(store).opened == 0)
    }

    @Test func aSessionThatNeverWasGoesWithItsRows() throws {
        let forged = SegmentRecord(fixture.opened(fixture.manifest(0, session: 9)), camera: LedgerFixture.front)
        try store.record(segments: [forged], now: fixture.start)
        #expect(try store.sessions().count == 1)
        let report = try fixture.scan(store)
        #expect(report.dropped.count == 1 && report.missing.isEmpty)
        #expect(try store.segments().isEmpty && store.sessions().isEmpty)
    }

    /// A file that somebody deleted by hand was real; that must stay known.
    @Test func aFileThatWasDeletedByHandStaysMissing() throws {
        let manifest = fixture.manifest(0)
        let path = try fixture.writeFile(manifest)
        _ = try take(fixture.closed(manifest))
        try FileManager.default.removeItem(atPath: "\(fixture.storage)/\(path)")
        for _ in 0..<2 { #expect(try fixture.scan(store).dropped.isEmpty) }
        #expect(try store.segments().map(\.state) == [.missing])
    }

    @Test func aForgedGapAtATrueHoleGoesAndTheTrueOneStays() throws {
        let gap = fixture.gap(before: 1)
        var after = fixture.manifest(1, gap: gap)
        after.firstFrame += 3
        for manifest in [fixture.manifest(0), after] { try fixture.writeFile(manifest) }
        _ = try fixture.scan(store)
        let true1 = try store.gaps()
        #expect(true1.count == 1)
        let forged = GapRecord(
            session: session, camera: LedgerFixture.front, from: gap.from - .seconds(1), to: gap.to, cause: .overrun,
            framesLost: 1000)
        try store.record(segments: [], gaps: [forged], now: fixture.start)
        #expect(try fixture.scan(store).dropped.count == 1)
        #expect(try store.gaps() == true1)
    }
}
