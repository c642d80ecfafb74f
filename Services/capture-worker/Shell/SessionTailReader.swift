internal import CaptureWorkerCore
internal import Domain
internal import FoundationEssentials
internal import Media

/// Finds where a remembered session ends on disk, and finishes the files that its worker left open.
struct SessionTailReader: Sendable {
    let storage: String
    let camera: CameraID

    /// Nil if the session has no file. Blocks on the disk.
    func read(_ session: WorkerMemory.Session) throws(CodedError) -> SessionTail? {
        var recovered: [SegmentClosed] = []
        var last: (path: SegmentPath, inspection: SegmentInspection)?
        for path in segments(of: session).sorted(by: { $0.index < $1.index }) {
            guard let found = try facts(of: path) else { continue }
            if path.isPartial, let closed = closed(found) { recovered.append(closed) }
            last = found
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

    private func facts(
        of path: SegmentPath
    ) throws(CodedError) -> (path: SegmentPath, inspection: SegmentInspection)? {
        let absolute = "\(storage)/\(path.relativePath)"
        guard path.isPartial else { return (path, try SegmentFileReader.inspect(absolute)) }
        guard let recovered = try SegmentRecovery.finish(absolute), let inspection = recovered.inspection,
            recovered.finalPath != nil
        else { return nil }
        return (path, inspection)
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
