internal import CaptureWorkerCore
internal import Domain
internal import FoundationEssentials
internal import Media

/// Finds where a remembered session ends on disk, and finishes the files that its worker left open.
struct SessionTailReader: Sendable {
    let storage: String
    let camera: CameraID
    let unreadable: @Sendable (SegmentPath, CodedError) -> Void

    private struct Found {
        var path: SegmentPath
        var inspection: SegmentInspection
        var manifest: SegmentManifest
        /// Finished here and now.
        var isRecovered = false
    }

    /// Nil if the session has no file. Blocks on the disk. A file that cannot be read is passed over and told: the
    /// recording must go on all the same, and the rotation-service deals with the file.
    func read(_ session: WorkerMemory.Session) -> SessionTail? {
        var recovered: [SegmentClosed] = []
        var last: Found?
        var unread: Int?
        // From the newest back: of a day's thousands of files only those that can tell the end are opened.
        let newestFirst = segments(of: session).sorted { $0.index > $1.index }
        for path in newestFirst where path.isPartial || last == nil {
            do throws(CodedError) {
                guard let found = try facts(of: path) else { continue }
                if found.isRecovered { recovered.insert(closed(found), at: 0) }
                last = last ?? found
            } catch {
                unreadable(path, error)
                if last == nil { unread = unread ?? path.index }
            }
        }
        return tail(last, unread: unread, of: session, recovered)
    }

    /// What an unreadable file holds nobody knows, and it may be read some day: no number of its frames is used again.
    private func tail(
        _ last: Found?, unread: Int?, of session: WorkerMemory.Session, _ recovered: [SegmentClosed]
    ) -> SessionTail? {
        let tail = last.map {
            SessionTail(
                lastIndex: $0.path.index, nextFrame: $0.manifest.firstFrame + UInt64($0.inspection.videoFrames),
                endedAt: $0.manifest.startedAt + $0.inspection.duration, recovered: recovered)
        }
        guard let unread else { return tail }
        let begun = max(tail?.nextFrame ?? 0, session.nextFrame)
        return SessionTail(
            lastIndex: unread, nextFrame: begun + RecordingLimits.framesOfFileMax,
            endedAt: max(tail?.endedAt ?? session.newestAt, session.newestAt), recovered: recovered)
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

    /// Nil for a file without a frame, and for one that is gone.
    private func facts(of path: SegmentPath) throws(CodedError) -> Found? {
        guard path.isPartial else { return try look(path) }
        let refusal: CodedError
        do throws(CodedError) {
            if let finished = try SegmentRecovery.finish("\(storage)/\(path)") {
                guard let inspection = finished.inspection else { return nil }
                guard let manifest = inspection.manifest else { throw Self.nameless(path) }
                return Found(path: path, inspection: inspection, manifest: manifest, isRecovered: true)
            }
            // The rotation-service finishes it at this moment, or has.
            return try lookByEitherName(path)
        } catch {
            refusal = error
        }
        // What cannot be finished may still be read.
        guard let found = try lookByEitherName(path) else { throw refusal }
        unreadable(path, refusal)
        return found
    }

    private func lookByEitherName(_ path: SegmentPath) throws(CodedError) -> Found? {
        if let found = try look(path) { return found }
        return try look(path.completed)
    }

    /// Nil if there is no such file, or no frame in it.
    private func look(_ path: SegmentPath) throws(CodedError) -> Found? {
        let absolute = "\(storage)/\(path)"
        guard FileManager.default.fileExists(atPath: absolute) else { return nil }
        let inspection = try SegmentFileReader.inspect(absolute)
        guard inspection.parts > 0 else { return nil }
        guard let manifest = inspection.manifest else { throw Self.nameless(path) }
        return Found(path: path, inspection: inspection, manifest: manifest)
    }

    private static func nameless(_ path: SegmentPath) -> CodedError {
        CodedError(.storageFailed, "\(path) does not say what it is")
    }

    private func closed(_ found: Found) -> SegmentClosed {
        let manifest = found.manifest
        return SegmentClosed(
            session: manifest.session, index: manifest.index, file: found.path.completed.relativePath,
            startedAt: manifest.startedAt, duration: found.inspection.duration,
            frames: UInt64(found.inspection.videoFrames), firstFrame: manifest.firstFrame,
            bytes: UInt64(max(found.inspection.completeBytes, 0)),
            offset: manifest.offsetSeconds.map { .seconds($0) }, reason: .recovered)
    }
}
