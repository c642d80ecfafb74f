import Domain
import FramekeeperCore
import Testing

@Suite("Whether a session's files keep the promises")
struct ContinuityCheckTests {
    private static let session = SessionID(high: 1, low: 2)
    private static let start = WallTime(milliseconds: 1_772_368_200_000)

    /// Ten-second segments of 100 frames, whole and in order.
    private func segments(_ count: Int) -> [SegmentFacts] {
        (0..<count).map { index in
            let first = UInt64(index) * 100
            return SegmentFacts(
                index: index, file: "front/\(index).mp4", state: .closed,
                startedAt: Self.start + .seconds(10 * index), firstFrame: first, lastFrame: first + 99, frames: 100,
                duration: .seconds(10),
                found: FileFacts(
                    session: Self.session, index: index, firstFrame: first, frames: 100, duration: .seconds(10)))
        }
    }

    private func faults(_ segments: [SegmentFacts], _ gaps: [GapFacts] = []) -> [ContinuityFault] {
        ContinuityCheck(
            session: Self.session, camera: CameraID(unchecked: "front"), segments: segments, gaps: gaps
        ).verdict().faults
    }

    /// A gap that begins with the end of segment 0.
    private func gap(lost: UInt64?) -> GapFacts {
        GapFacts(
            from: Self.start + .seconds(10) - .milliseconds(1), to: Self.start + .seconds(10), cause: .workerDied,
            framesLost: lost)
    }

    /// Moves the frame numbers of segments 1 and later.
    private func shifted(_ count: Int, by shift: Int) -> [SegmentFacts] {
        segments(count).map { segment in
            guard segment.index > 0 else { return segment }
            var moved = segment
            moved.firstFrame = UInt64(Int(moved.firstFrame) + shift)
            moved.lastFrame = moved.lastFrame.map { UInt64(Int($0) + shift) }
            moved.found?.firstFrame = moved.firstFrame
            return moved
        }
    }

    private func changed(_ change: (inout SegmentFacts) -> Void) -> [SegmentFacts] {
        var all = segments(3)
        change(&all[1])
        return all
    }

    @Test("Numbers that nobody can have counted are faults, and no sum of them traps")
    func monstrous() {
        let monsters = segments(4).map { segment in
            var segment = segment
            segment.frames = .max
            segment.lastFrame = .max
            segment.found = nil
            return segment
        }
        let lost = (0..<3).map {
            GapFacts(from: Self.start, to: Self.start + .seconds($0), cause: .overrun, framesLost: .max)
        }
        #expect(!faults(monsters, lost).isEmpty)
    }

    @Test("Whole sessions, in whatever order they are given")
    func whole() {
        #expect(faults([]) == [])
        #expect(faults(segments(1)) == [])
        #expect(faults(segments(50).reversed()) == [])
        let verdict = ContinuityCheck(
            session: Self.session, camera: CameraID(unchecked: "front"), segments: segments(3), gaps: []
        ).verdict()
        #expect(verdict.frames == 300 && verdict.duration == .seconds(30) && verdict.closed == 3)
        #expect(verdict.isSound)
    }

    @Test("A listed gap that skips numbers is a kept promise")
    func honestGap() {
        #expect(faults(shifted(3, by: 1), [gap(lost: nil)]) == [])
        #expect(faults(shifted(3, by: 5), [gap(lost: 5)]) == [])
        #expect(faults(shifted(3, by: 2), [gap(lost: nil), gap(lost: 1)]) == [])
    }

    @Test("A hole without a gap, a gap without a hole, a hole smaller than its gap")
    func dishonestGap() {
        #expect(faults(shifted(3, by: 7)) == [.holeWithoutGap(0, 1, skipped: 7)])
        #expect(
            faults(segments(3), [gap(lost: nil)])
                == [.gapWithoutHole(0, 1, from: Self.start + .seconds(10) - .milliseconds(1))])
        #expect(faults(shifted(3, by: 2), [gap(lost: 3)]) == [.holeTooSmall(0, 1, skipped: 2, lost: 3)])
    }

    @Test("A gap after the last segment, while the session waits for its source, is no fault")
    func openGap() {
        let late = GapFacts(
            from: Self.start + .seconds(30), to: Self.start + .seconds(40), cause: .sourceLost)
        #expect(faults(segments(3), [late]) == [])
    }

    @Test("A gap that took no time lies at the boundary where it is")
    func momentaryGap() {
        let moment = Self.start + .seconds(10)
        let gap = GapFacts(from: moment, to: moment, cause: .workerDied)
        #expect(faults(shifted(3, by: 1), [gap]) == [])
    }

    @Test("Frames that stand in two files")
    func repeated() {
        #expect(faults(shifted(2, by: -3)) == [.numbersRepeat(0, 1, expected: 100, found: 97)])
    }

    @Test("A segment that nobody lists, and one that is listed twice")
    func missingRow() {
        var all = segments(4)
        all.remove(at: 1)
        #expect(faults(all) == [.segmentsMissing(0, 2)])
        #expect(faults(segments(2) + [segments(2)[1]]) == [.indexTwice(1)])
    }

    @Test("A file that is gone")
    func missingFile() {
        #expect(faults(changed { $0.found = nil }) == [.fileMissing(1, file: "front/1.mp4")])
        #expect(faults(changed { $0.state = .missing }) == [.fileMissing(1, file: "front/1.mp4")])
    }

    @Test("A file that says something else than the ledger")
    func fileDiffers() {
        #expect(
            faults(changed { $0.found?.frames = 98 }) == [.framesDiffer(1, ledger: 100, file: 98)])
        #expect(
            faults(changed { $0.found?.duration = .milliseconds(9950) })
                == [.durationsDiffer(1, ledger: .seconds(10), file: .milliseconds(9950))])
        #expect(faults(changed { $0.found?.duration = .milliseconds(9999) }) == [])
        #expect(
            faults(changed { $0.found?.firstFrame = 99 }) == [.firstFrameDiffers(1, ledger: 100, file: 99)])
        #expect(
            faults(changed { $0.found?.index = 7 }) == [.wrongIdentity(1, file: "front/1.mp4")])
        #expect(
            faults(changed { $0.found?.session = nil }) == [.wrongIdentity(1, file: "front/1.mp4")])
    }

    @Test("Numbers that do not fit the count")
    func numbersDiffer() {
        let found = faults(changed { $0.lastFrame = 200 })
        #expect(found.contains(.numbersDiffer(1, first: 100, last: 200, frames: 100)))
    }

    @Test("A part that cannot be read, and frames that do not decode")
    func unreadable() {
        #expect(
            faults(changed { $0.found?.faults = ["part 3 is torn"] }) == [.unreadable(1, "part 3 is torn")])
        #expect(
            faults(changed { $0.found?.decodedFrames = 99 }) == [.notDecoded(1, frames: 100, decoded: 99)])
        #expect(
            faults(
                changed {
                    $0.found?.decodedFrames = 97
                    $0.found?.leadingFrames = 3
                }) == [])
        #expect(
            faults(
                changed {
                    $0.found?.decodedFrames = 96
                    $0.found?.leadingFrames = 3
                }) == [.notDecoded(1, frames: 100, decoded: 96)])
    }

    @Test("An open segment is open, not failed; its beginning still has to follow")
    func open() {
        var all = segments(3)
        all[2].state = .open
        all[2].found = nil
        all[2].lastFrame = nil
        all[2].frames = nil
        #expect(faults(all) == [])
        all[2].firstFrame = 205
        #expect(faults(all) == [.holeWithoutGap(1, 2, skipped: 5)])
    }

    @Test("A segment whose worker died before its first part is accounted for by the gap around it")
    func empty() {
        let lost = GapFacts(
            from: Self.start + .seconds(10), to: Self.start + .milliseconds(10_400), cause: .workerDied)
        for state in [SegmentFacts.State.open, .missing] {
            var all = shifted(3, by: 1)
            for index in 1...2 { all[index].index += 1 }
            for index in 1...2 { all[index].found?.index = index + 1 }
            for index in 1...2 { all[index].startedAt = all[index].startedAt + .milliseconds(400) }
            let opened = SegmentFacts(
                index: 1, file: "front/1.partial.mp4", state: state, startedAt: Self.start + .seconds(10),
                firstFrame: 100)
            #expect(faults(all + [opened], [lost]) == [])
            #expect(faults(all, [lost]) == [], "the ledger was rebuilt from the files, which do not know of it")
            #expect(faults(all + [opened]) == [.segmentsMissing(0, 2)])
            all.remove(at: 1)
            #expect(faults(all, [lost]) == [.segmentsMissing(0, 3)], "the gap is too short for a whole file")
        }
    }

    @Test("Segments that retention deleted leave no hole")
    func deleted() {
        #expect(
            faults(
                changed {
                    $0.state = .deleted
                    $0.found = nil
                }) == [])
        #expect(faults(Array(segments(6).dropFirst(3))) == [], "the tombstones are forgotten some day")
    }

    @Test("Frame numbers at the end of their range do not trap")
    func extremes() {
        let all = changed {
            $0.firstFrame = 0
            $0.lastFrame = .max
        }
        #expect(!faults(all).isEmpty)
    }
}
