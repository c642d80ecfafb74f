package import Domain
internal import Glibc

/// Reads segment files: `inspect` from their boxes, in milliseconds; `verify` from every packet.
package enum SegmentFileReader {
    /// A header box larger than this is damage: 30 minutes of parts have `moof` boxes of a few KiB each.
    private static let headerBytesMax: Int64 = 64 << 20

    /// Walks the boxes of a finished or partial segment. Works on any prefix of a segment and on damage; a file that is
    /// no segment at all has no parts and no complete bytes.
    ///
    /// Errors: `storageFailed` where the file cannot be read.
    package static func inspect(_ path: String) throws(CodedError) -> SegmentInspection {
        // Neither a link to elsewhere nor a pipe that never answers.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { throw LibavError.storage(errno, "cannot read \(path)") }
        defer { close(descriptor) }
        return try inspect(descriptor, path)
    }

    static func inspect(_ descriptor: Int32, _ path: String) throws(CodedError) -> SegmentInspection {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LibavError.storage(errno, "cannot read \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw CodedError(.storageFailed, "\(path) is not a regular file")
        }
        var walk = SegmentWalk(fileBytes: Int64(status.st_size))
        while let wanted = walk.wants {
            let bytes = try read(descriptor, path, at: wanted.offset, count: wanted.count)
            walk.take(bytes)
        }
        return walk.inspection
    }

    private static func read(
        _ descriptor: Int32, _ path: String, at offset: Int64, count: Int
    ) throws(CodedError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while filled < count {
                let read = pread(
                    descriptor, buffer.baseAddress.map { $0 + filled }, count - filled,
                    off_t(offset) + off_t(filled))
                if read > 0 {
                    filled += read
                } else if read == 0 {
                    break
                } else if errno != EINTR {
                    failure = errno
                    break
                }
            }
        }
        guard failure == 0 else { throw LibavError.storage(failure, "cannot read \(path)") }
        return bytes
    }

    /// Walks the top level of a file: asks for bytes, takes them, and adds up what they say.
    private struct SegmentWalk {
        private(set) var inspection: SegmentInspection
        private var offset: Int64 = 0
        /// The header box whose body is wanted next.
        private var pending: BoxHeader?
        private var movie: MovieHeader?
        /// What the last `moof` said; counts once its `mdat` is whole.
        private var fragments: [TrackFragment] = []
        private var hasFragment = false
        private var isOver = false

        init(fileBytes: Int64) {
            inspection = SegmentInspection(
                manifest: nil, videoFrames: 0, audioPackets: 0, duration: .zero, parts: 0, completeBytes: 0,
                fileBytes: fileBytes)
        }

        /// Nil at the end of the file or of what can be understood.
        var wants: (offset: Int64, count: Int)? {
            guard !isOver, offset < inspection.fileBytes else { return nil }
            if let pending { return (offset + Int64(pending.length), Int(pending.size) - pending.length) }
            return (offset, Int(min(Int64(BoxHeader.lengthMax), inspection.fileBytes - offset)))
        }

        mutating func take(_ bytes: [UInt8]) {
            if let header = pending {
                pending = nil
                takeBody(header, BoxBytes(bytes: bytes[...]))
                return
            }
            guard let header = BoxHeader(bytes[...]), header.size <= inspection.fileBytes - offset else {
                isOver = true
                return
            }
            switch header.type {
            case "moov", "moof":
                guard header.size <= headerBytesMax else {
                    isOver = true
                    return
                }
                pending = header
            case "mdat":
                offset += header.size
                if hasFragment { addPart() }
            default: offset += header.size
            }
        }

        private mutating func takeBody(_ header: BoxHeader, _ body: BoxBytes) {
            offset += header.size
            if header.type == "moov" {
                let movie = MovieHeader(body)
                self.movie = movie
                inspection.manifest = movie.comment.flatMap(ManifestText.read)
                return
            }
            let tracks = body.children.filter { $0.type == "traf" }
            fragments = tracks.compactMap { TrackFragment($0.body) }
            hasFragment = movie != nil && !fragments.isEmpty && fragments.count == tracks.count
            if !hasFragment { isOver = true }
        }

        /// On the timeline of its track; nil if there is no such track.
        private func end(of fragment: TrackFragment) -> Duration? {
            guard let track = movie?.tracks.first(where: { $0.id == fragment.trackID }) else { return nil }
            let ticks = Int64(clamping: fragment.decodeTime.addingClamped(fragment.duration))
            return TimeBase(1, Int32(clamping: track.timescale)).duration(ticks: ticks)
        }

        private mutating func addPart() {
            // Decoded beyond anything that is recorded: a damaged number, and nothing behind it can be believed.
            guard fragments.allSatisfy({ self.end(of: $0).map { $0 <= .writtenMax } ?? true }) else {
                isOver = true
                return
            }
            for fragment in fragments {
                guard let track = movie?.tracks.first(where: { $0.id == fragment.trackID }) else { continue }
                if track.handler == "vide" {
                    inspection.videoFrames += fragment.samples
                    inspection.duration = max(inspection.duration, end(of: fragment) ?? .zero)
                } else {
                    inspection.audioPackets += fragment.samples
                }
            }
            inspection.parts += 1
            inspection.completeBytes = offset
            hasFragment = false
        }
    }
}
