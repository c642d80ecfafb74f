internal import Domain
internal import FramekeeperCore
internal import Glibc
internal import Ledger
internal import Media

/// Collects what `ContinuityCheck` compares: the ledger's rows of a session and a full read of each file.
struct SegmentProof: Sendable {
    let folder: RecordingArchive.Folder
    let session: SessionRecord
    /// Decode every frame as well, which takes far longer.
    let decodes: Bool

    /// - Parameter progress: Called after each file with the number of files read.
    func verdict(progress: (Int) -> Void) throws(CommandFailure) -> SessionVerdict {
        let rows = try folder.segments(session.id)
        var segments: [SegmentFacts] = []
        for (number, row) in rows.enumerated() {
            segments.append(try facts(row))
            progress(number + 1)
        }
        let gaps = try folder.gaps(session.id).map { gap in
            GapFacts(from: gap.from, to: gap.to, cause: gap.cause, framesLost: gap.framesLost)
        }
        return ContinuityCheck(session: session.id, camera: session.camera, segments: segments, gaps: gaps).verdict()
    }

    private func facts(_ row: SegmentRecord) throws(CommandFailure) -> SegmentFacts {
        var facts = SegmentFacts(row)
        guard facts.state == .closed else { return facts }
        // Whatever is in the ledger, nothing but a segment below the storage folder is read.
        guard row.place != nil else {
            facts.found = unreadable(row, "the ledger's path is not this segment's: \(row.path.prefix(200))")
            return facts
        }
        let path = "\(folder.storage)/\(row.path)"
        guard access(path, F_OK) == 0 else {
            // Retention may have been faster than this reader; then the row says so by now.
            do throws(CodedError) {
                return try folder.ledger.segment(row.session, index: row.index).map(SegmentFacts.init) ?? facts
            } catch {
                throw CommandFailure(error)
            }
        }
        facts.found = read(path, row)
        return facts
    }

    private func read(_ path: String, _ row: SegmentRecord) -> FileFacts {
        do throws(CodedError) {
            let found = try SegmentFileReader.verify(path, decode: decodes)
            let manifest = found.inspection.manifest
            return FileFacts(
                session: manifest?.session, index: manifest?.index, firstFrame: manifest?.firstFrame,
                frames: UInt64(found.videoFrames), duration: found.duration,
                decodedFrames: found.decodedFrames.map { UInt64($0) }, leadingFrames: UInt64(found.leadingFrames),
                faults: found.faults)
        } catch {
            // One fault says it all; nothing else about this file can be compared.
            return unreadable(row, "cannot be read: \(error)")
        }
    }

    private func unreadable(_ row: SegmentRecord, _ fault: String) -> FileFacts {
        FileFacts(
            session: row.session, index: row.index, firstFrame: nil, frames: row.frames ?? 0,
            duration: row.duration ?? .zero, faults: [fault])
    }
}

extension SegmentFacts {
    init(_ row: SegmentRecord) {
        let state: State =
            switch row.state {
            case .open: .open
            case .closed: .closed
            case .missing: .missing
            case .deleted: .deleted
            }
        self.init(
            index: row.index, file: row.path, state: state, startedAt: row.startedAt, firstFrame: row.firstFrame,
            lastFrame: row.lastFrame, frames: row.frames, duration: row.duration)
    }
}
