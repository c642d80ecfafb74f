internal import CaptureWorkerCore
internal import Domain
internal import FoundationEssentials
internal import Media

/// Finds where a remembered session ends on disk, and finishes the files that its worker left open.
struct SessionTailReader: Sendable {
    let storage: String
    let camera: CameraID
    let unreadable: @Sendable (SegmentPath, CodedError) -> Void

    /// Nil if the session has no readable file. Blocks on the disk. A file that cannot be read is passed over and told:
    /// the recording must go on all the same, and the rotation-service deals with the file.
    func read(_ session: WorkerMemory.Session) -> SessionTail? {
        var recovered: [SegmentClosed] = []
        var last: (path: SegmentPath, inspection: SegmentInspection)?
        // From the newest back: of a day's thousands of files only those that can tell the end are opened.
        let newestFirst = segments(of: session).sorted { $0.index > $1.index }
        for path in newestFirst where path.isPartial || last == nil {
            guard let found = facts(of: path) else { continue }
            if path.isPartial, let closed = closed(found) { recovered.insert(closed, at: 0) }
            last = last ?? found
        }
        guard let (path, inspection) = last, let manifest = inspection.manifest else { return nil }
        return SessionTail(
            lastIndex: path.index, nextFrame: manifest.firstFrame + UInt64(inspection.videoFrames),
            endedAt: manifest.startedAt + inspection.duration, recovered: recovered)
    }

    /// From the day of the newest segment that was remembered on; a later one may have been opened since.
    private func segments(of session: WorkerMemory.Session) -> [SegmentPath] {
        let folder = "\(storage)/\(camera)"
        return Self.names(in: folder).filter { $0 >= session.newestAt.dateText }.flatMap { date in
            Self.names(in: "\(folder)/\(date)").compactMap { SegmentPath(relativePath: "\(camera)/\(date)/\($0)") }
        }.filter { $0.session8 == session.id.short }
    }

    /// A folder that is not there has nothing in it.
    private static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    private func facts(of path: SegmentPath) -> (path: SegmentPath, inspection: SegmentInspection)? {
        let absolute = "\(storage)/\(path.relativePath)"
        do throws(CodedError) {
            let inspection =
                path.isPartial
                ? try SegmentRecovery.finish(absolute)?.inspection : try SegmentFileReader.inspect(absolute)
            guard let inspection, inspection.manifest != nil else { return nil }
            return (path, inspection)
        } catch {
            unreadable(path, error)
            return nil
        }
    }

    private func closed(_ found: (path: SegmentPath, inspection: SegmentInspection)) -> SegmentClosed? {
        guard let manifest = found.inspection.manifest else { return nil }
        return SegmentClosed(
            session: manifest.session, index: manifest.index, file: found.path.completed.relativePath,
            startedAt: manifest.startedAt, duration: found.inspection.duration,
            frames: UInt64(found.inspection.videoFrames), firstFrame: manifest.firstFrame,
            bytes: UInt64(max(found.inspection.completeBytes, 0)),
            offset: manifest.offsetSeconds.map { .seconds($0) }, reason: .recovered)
    }
}
