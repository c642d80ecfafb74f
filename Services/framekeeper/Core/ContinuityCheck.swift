package import Domain

/// Proves or refutes the promises that concern files, for one session: no frame is lost at a boundary (promise 1), and
/// what is lost is known (promise 4). Frame numbers are the proof: every gap skips at least one, and nothing else does.
/// Pure; `recordings verify` collects the facts and prints the verdict.
package struct ContinuityCheck: Sendable, Hashable {
    package var session: SessionID
    package var camera: CameraID
    /// In the order of their indices.
    package let segments: [SegmentFacts]
    /// In the order of their beginnings.
    package let gaps: [GapFacts]

    /// Events and files carry whole milliseconds; a duration that went through both may differ by their rounding.
    package static let durationTolerance: Duration = .milliseconds(10)

    /// What the death of a worker may cost.
    package static let partSecondsMax: Duration = .seconds(1)

    package init(session: SessionID, camera: CameraID, segments: [SegmentFacts], gaps: [GapFacts]) {
        self.session = session
        self.camera = camera
        self.segments = segments.sorted { $0.index < $1.index }
        self.gaps = gaps.sorted { $0.from < $1.from }
    }

    package func verdict() -> SessionVerdict {
        // What never held a frame is no link of the chain; the gap around it has to account for it.
        let chain = segments.filter { !isEmpty($0) }
        var faults = chain.flatMap(faults(of:))
        for (last, next) in zip(chain, chain.dropFirst()) { faults += faultsAtBoundary(last, next) }
        let present = segments.filter { $0.state == .closed }
        return SessionVerdict(
            session: session, camera: camera, startedAt: segments.first?.startedAt,
            closed: present.count, open: chain.count { $0.state == .open },
            deleted: chain.count { $0.state == .deleted },
            empty: segments.count - chain.count,
            frames: present.reduce(0) { $0.addingClamped($1.found?.frames ?? $1.frames ?? 0) },
            duration: present.reduce(.zero) { $0 + ($1.found?.duration ?? $1.duration ?? .zero) }, gaps: gaps,
            faults: faults)
    }

    /// Opened, never closed, and not what the session writes now: its worker died before the first part was on disk.
    private func isEmpty(_ segment: SegmentFacts) -> Bool {
        guard segment.lastFrame == nil, segment.frames == nil else { return false }
        return segment.state == .missing || (segment.state == .open && segment.index != segments.last?.index)
    }

    /// The file against the ledger's row.
    private func faults(of segment: SegmentFacts) -> [ContinuityFault] {
        switch segment.state {
        case .open, .deleted: return []
        case .missing: return [.fileMissing(segment.index, file: segment.file)]
        case .closed: break
        }
        guard let found = segment.found else { return [.fileMissing(segment.index, file: segment.file)] }
        var faults = found.faults.map { ContinuityFault.unreadable(segment.index, $0) }
        if found.session.map({ $0 != session }) ?? true || found.index.map({ $0 != segment.index }) ?? true {
            faults.append(.wrongIdentity(segment.index, file: segment.file))
        }
        if let first = found.firstFrame, first != segment.firstFrame {
            faults.append(.firstFrameDiffers(segment.index, ledger: segment.firstFrame, file: first))
        }
        if let frames = segment.frames, frames != found.frames {
            faults.append(.framesDiffer(segment.index, ledger: frames, file: found.frames))
        }
        if let last = segment.lastFrame, last &+ 1 &- segment.firstFrame != segment.frames ?? found.frames {
            faults.append(.numbersDiffer(segment.index, first: segment.firstFrame, last: last, frames: found.frames))
        }
        if let duration = segment.duration {
            let difference = duration - found.duration
            if max(difference, .zero - difference) > Self.durationTolerance {
                faults.append(.durationsDiffer(segment.index, ledger: duration, file: found.duration))
            }
        }
        // Leading pictures of a first, open group need the file before to be decoded.
        if let decoded = found.decodedFrames, decoded > found.frames || decoded + found.leadingFrames < found.frames {
            faults.append(.notDecoded(segment.index, frames: found.frames, decoded: decoded))
        }
        return faults
    }

    /// The frame numbers on both sides of a boundary against the gaps that are listed for it.
    private func faultsAtBoundary(_ last: SegmentFacts, _ next: SegmentFacts) -> [ContinuityFault] {
        guard next.index > last.index else { return [.indexTwice(next.index)] }
        guard next.index == last.index + 1 || isCovered(between: last, and: next) else {
            return [.segmentsMissing(last.index, next.index)]
        }
        // A segment that is still open on paper has no last number yet.
        guard let lastFrame = last.lastFrame else { return [] }
        let expected = lastFrame &+ 1
        let listed = gaps.filter { isListed($0, between: last, and: next) }
        if next.firstFrame < expected {
            return [.numbersRepeat(last.index, next.index, expected: expected, found: next.firstFrame)]
        }
        let skipped = next.firstFrame - expected
        if listed.isEmpty {
            return skipped == 0 ? [] : [.holeWithoutGap(last.index, next.index, skipped: skipped)]
        }
        if skipped == 0 { return [.gapWithoutHole(last.index, next.index, from: listed[0].from)] }
        let known = listed.reduce(UInt64(0)) { $0.addingClamped(max($1.framesLost ?? 1, 1)) }
        return skipped < known ? [.holeTooSmall(last.index, next.index, skipped: skipped, lost: known)] : []
    }

    /// Whether listed gaps account for the time between two segments: then no file with frames lay there.
    private func isCovered(between last: SegmentFacts, and next: SegmentFacts) -> Bool {
        guard let duration = last.duration else { return false }
        let missing = next.startedAt - (last.startedAt + duration)
        let listed = gaps.filter { isListed($0, between: last, and: next) }
        let covered = listed.reduce(Duration.zero) { $0 + ($1.to - $1.from) }
        return !listed.isEmpty && missing - covered <= Self.partSecondsMax
    }

    /// A gap belongs to the boundary before the segment with which it ends; one that took no time begins there too.
    private func isListed(_ gap: GapFacts, between last: SegmentFacts, and next: SegmentFacts) -> Bool {
        gap.to > last.startedAt && gap.to <= next.startedAt
    }
}

/// One broken promise, with the segments that it concerns.
package enum ContinuityFault: Sendable, Hashable, CustomStringConvertible {
    case fileMissing(Int, file: String)
    case unreadable(Int, String)
    case wrongIdentity(Int, file: String)
    case firstFrameDiffers(Int, ledger: UInt64, file: UInt64)
    case framesDiffer(Int, ledger: UInt64, file: UInt64)
    case numbersDiffer(Int, first: UInt64, last: UInt64, frames: UInt64)
    case durationsDiffer(Int, ledger: Duration, file: Duration)
    case notDecoded(Int, frames: UInt64, decoded: UInt64)
    case indexTwice(Int)
    case segmentsMissing(Int, Int)
    case numbersRepeat(Int, Int, expected: UInt64, found: UInt64)
    case holeWithoutGap(Int, Int, skipped: UInt64)
    case gapWithoutHole(Int, Int, from: WallTime)
    case holeTooSmall(Int, Int, skipped: UInt64, lost: UInt64)

    package var description: String {
        switch self {
        case .fileMissing(let index, let file): "segment \(index): the file is missing: \(file)"
        case .unreadable(let index, let reason): "segment \(index): \(reason)"
        case .wrongIdentity(let index, let file): "segment \(index): \(file) says that it is another segment"
        case .firstFrameDiffers(let index, let ledger, let file):
            "segment \(index): the ledger begins with frame \(ledger), the file with \(file)"
        case .framesDiffer(let index, let ledger, let file):
            "segment \(index): the ledger counts \(ledger) frames, the file holds \(file)"
        case .numbersDiffer(let index, let first, let last, let frames):
            "segment \(index): frames \(first) to \(last) are not \(frames) frames"
        case .durationsDiffer(let index, let ledger, let file):
            "segment \(index): the ledger says \(ledger.seconds) s, the file \(file.seconds) s"
        case .notDecoded(let index, let frames, let decoded):
            "segment \(index): of \(frames) frames \(decoded) decode"
        case .indexTwice(let index): "segment \(index): listed twice"
        case .segmentsMissing(let last, let next): "after segment \(last) comes segment \(next)"
        case .numbersRepeat(let last, let next, let expected, let found):
            "segments \(last) and \(next): frame \(expected) should follow, \(found) does"
        case .holeWithoutGap(let last, let next, let skipped):
            "segments \(last) and \(next): \(skipped) frame numbers are skipped and no gap is listed"
        case .gapWithoutHole(let last, let next, let from):
            "segments \(last) and \(next): a gap from \(from) is listed and no frame number is skipped"
        case .holeTooSmall(let last, let next, let skipped, let lost):
            "segments \(last) and \(next): \(lost) frames are listed as lost, \(skipped) numbers are skipped"
        }
    }
}

/// What became of the promises in one session.
package struct SessionVerdict: Sendable, Hashable {
    package var session: SessionID
    package var camera: CameraID
    package var startedAt: WallTime?
    /// Segments by state.
    package var closed: Int
    package var open: Int
    package var deleted: Int
    /// Opened by a worker that died before their first part was on disk.
    package var empty: Int
    /// Of the closed segments.
    package var frames: UInt64
    package var duration: Duration
    package var gaps: [GapFacts]
    package var faults: [ContinuityFault]

    package var isSound: Bool { faults.isEmpty }
}
