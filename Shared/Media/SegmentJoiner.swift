internal import CAVFormat
internal import CAVShim
package import Domain
internal import Glibc

/// Joins segments into one regular MP4 without coding anything anew.
///
/// Frames keep their place on the session's timeline: where two pieces meet, the second begins exactly where the first
/// ends; a gap stays a gap. One file has one decoder configuration, so pieces whose configuration differs are refused
/// with `conflict`; `runs` tells which pieces go together. `framekeeper recordings export` calls it.
package enum SegmentJoiner {
    /// One segment file and the place of its first frame on the session's timeline.
    package struct Piece: Sendable, Hashable {
        package var path: String
        package var sessionOffset: Duration
        package init(path: String, sessionOffset: Duration) {
            self.path = path
            self.sessionOffset = sessionOffset
        }
    }

    /// Joins pieces in their order and writes aside, under a name that nobody else has, then renames; an `output` that
    /// exists is never replaced. What was written aside goes if it does not become the output.
    ///
    /// `range` is on the session's timeline and is widened to key frames: from the last one at or before its start up
    /// to the first one at or after its end; nil: everything. `progress` gets 0 to 1.
    ///
    /// Errors: `conflict` (different decoder configurations, or the output exists), `invalidArgument` (nothing in the
    /// range), `expired` (`isUnwanted` said so), `storageFull`, `storageFailed`, `sourceUnavailable` (a piece cannot be
    /// read to its end, or as far as the range goes).
    package static func join(
        _ pieces: [Piece], range: Range<Duration>? = nil, output: String, progress: (Double) -> Void = { _ in },
        isUnwanted: @escaping () -> Bool = { false }
    ) throws(CodedError) -> JoinReport {
        guard access(output, F_OK) != 0 else { throw CodedError(.conflict, "\(output) is there already") }
        let aside = try newFile(beside: output)
        let writer = JoinedFile(path: aside, range: range, isUnwanted: isUnwanted)
        do {
            for (index, piece) in pieces.enumerated() {
                try writer.append(piece)
                progress(Double(index + 1) / Double(pieces.count))
            }
            let report = try writer.finish()
            try SafeRename.rename(aside, to: output)
            return report
        } catch {
            _ = unlink(aside)
            throw error
        }
    }

    /// An empty file that nothing stood for before.
    private static func newFile(beside output: String) throws(CodedError) -> String {
        let path = "\(output).\(String(UInt32.random(in: 0 ... .max), radix: 36)).part"
        let descriptor = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else { throw LibavError.storage(errno, "cannot create \(path)") }
        close(descriptor)
        return path
    }

    /// Groups of pieces, in order, that `join` takes together: the same decoder configuration throughout.
    package static func runs(_ pieces: [Piece]) throws(CodedError) -> [[Piece]] {
        var runs: [[Piece]] = []
        var last: [[UInt8]] = []
        for piece in pieces {
            let input = try LibavInput(
                url: piece.path, name: piece.path, isFile: true, audio: true, wake: WakeSignal.never)
            let configuration = JoinedFile.configuration(of: input)
            if configuration == last, !runs.isEmpty {
                runs[runs.count - 1].append(piece)
            } else {
                runs.append([piece])
            }
            last = configuration
        }
        return runs
    }
}

/// The file that a join writes.
private final class JoinedFile {
    private let path: String
    private let range: Range<Duration>?
    private let isUnwanted: () -> Bool
    private var context: UnsafeMutablePointer<AVFormatContext>?
    private var configuration: [[UInt8]] = []
    private var origin: Duration?
    /// The decode times that follow the last packets, for video and audio, in the pieces' time bases.
    private var ends: [Int64?] = [nil, nil]
    private var timeBases: [TimeBase] = [.mpeg, .mpeg]
    private var report = JoinReport(videoFrames: 0, audioPackets: 0, bytes: 0, duration: .zero)
    private var isOver = false

    /// Two pieces meet if less than this lies between them; a session's offsets are taken from other clocks.
    private static let meetingMax: Duration = .milliseconds(20)

    init(path: String, range: Range<Duration>?, isUnwanted: @escaping () -> Bool) {
        self.path = path
        self.range = range
        self.isUnwanted = isUnwanted
    }

    deinit {
        guard let context else { return }
        avio_closep(&context.pointee.pb)
        avformat_free_context(context)
    }

    static func configuration(of input: LibavInput) -> [[UInt8]] {
        [input.videoIndex, input.audioIndex].compactMap { $0 }.compactMap { input.stream($0)?.pointee.codecpar }
            .map { parameters in
                Array(LibavInput.codecName(parameters).utf8)
                    + UnsafeBufferPointer(
                        start: parameters.pointee.extradata, count: Int(parameters.pointee.extradata_size))
            }
    }

    func append(_ piece: SegmentJoiner.Piece) throws(CodedError) {
        guard !isOver else { return }
        if let range, piece.sessionOffset >= range.upperBound { return }
        let input = try LibavInput(
            url: piece.path, name: piece.path, isFile: true, audio: true, wake: WakeSignal.never)
        let found = Self.configuration(of: input)
        guard let video = input.stream(input.videoIndex) else { return }
        let timeBase = video.pointee.timeBase
        let start = try rangeStart(in: piece, timeBase)
        guard let start else { return }
        if context == nil {
            try begin(like: input)
            configuration = found
            timeBases[0] = timeBase
        }
        guard found == configuration else {
            throw CodedError(.conflict, "\(piece.path) has other parameter sets; join it by itself")
        }
        try copy(piece.path, input, shift: shift(of: piece, start: start, timeBase), from: start)
    }

    /// The decode time in the piece at which the range begins; nil if the piece lies before it.
    private func rangeStart(in piece: SegmentJoiner.Piece, _ timeBase: TimeBase) throws(CodedError) -> Int64? {
        guard let range, origin == nil else { return 0 }
        let inspection = try SegmentFileReader.inspect(piece.path)
        if piece.sessionOffset + inspection.duration <= range.lowerBound {
            // Where its whole parts end, a damaged piece does not.
            guard !inspection.isTorn else { throw Self.damaged(piece.path) }
            return nil
        }
        let wanted = timeBase.ticks(in: range.lowerBound - piece.sessionOffset)
        let input = try LibavInput(
            url: piece.path, name: piece.path, isFile: true, audio: false, wake: WakeSignal.never)
        var key: Int64 = 0
        try Self.forEachPacket(of: piece.path, input) {
            (packet: UnsafeMutablePointer<AVPacket>) throws(CodedError) -> Bool in
            guard packet.pointee.stream_index == input.videoIndex, packet.pointee.dts <= wanted else {
                return packet.pointee.dts <= wanted
            }
            if packet.pointee.flags & AV_PKT_FLAG_KEY != 0 { key = packet.pointee.dts }
            return true
        }
        return key
    }

    /// What is added to the piece's video ticks.
    private func shift(of piece: SegmentJoiner.Piece, start: Int64, _ timeBase: TimeBase) -> Int64 {
        let began = piece.sessionOffset + timeBase.duration(ticks: start)
        guard let origin else {
            self.origin = began
            return -start
        }
        let placed = timeBase.ticks(in: piece.sessionOffset - origin)
        guard let end = ends[0] else { return placed }
        let isMeeting = timeBase.duration(ticks: placed.subtractingClamped(end)) < Self.meetingMax
        return isMeeting ? end : placed
    }

    private func copy(
        _ piece: String, _ input: LibavInput, shift: Int64, from start: Int64
    ) throws(CodedError) {
        guard let video = input.stream(input.videoIndex)?.pointee.timeBase else { return }
        let audio = input.audioIndex.flatMap { input.stream($0)?.pointee.timeBase } ?? video
        timeBases[1] = audio
        let audioShift = audio.ticks(in: video.duration(ticks: shift))
        let audioStart = audio.ticks(in: video.duration(ticks: start))
        let stop = range.flatMap { range in origin.map { video.ticks(in: range.upperBound - $0) } }
        try Self.forEachPacket(of: piece, input) {
            (packet: UnsafeMutablePointer<AVPacket>) throws(CodedError) -> Bool in
            let isVideo = packet.pointee.stream_index == input.videoIndex
            guard packet.pointee.dts >= (isVideo ? start : audioStart) else { return true }
            guard !self.isUnwanted() else { throw CodedError(.expired, "ended before \(self.path) was complete") }
            let index = isVideo ? 0 : 1
            let ticks = isVideo ? shift : audioShift
            packet.pointee.stream_index = Int32(index)
            let dts = max(packet.pointee.dts.addingClamped(ticks), self.ends[index].map { $0 } ?? 0)
            if isVideo, let stop, dts >= stop, packet.pointee.flags & AV_PKT_FLAG_KEY != 0 {
                self.isOver = true
                return false
            }
            packet.pointee.pts = max(packet.pointee.pts.addingClamped(ticks), dts)
            packet.pointee.dts = dts
            self.ends[index] = dts.addingClamped(max(packet.pointee.duration, 1))
            try self.write(packet, index)
            return true
        }
        // The last packet's own duration may be libav's guess; the track's length is what the parts say.
        if !isOver, let length = input.stream(input.videoIndex)?.pointee.duration, length > 0 {
            ends[0] = shift.addingClamped(length)
        }
    }

    private func write(_ packet: UnsafeMutablePointer<AVPacket>, _ index: Int) throws(CodedError) {
        guard let context, let stream = context.pointee.streams[index] else { return }
        let from = AVRational(num: timeBases[index].numerator, den: timeBases[index].denominator)
        av_packet_rescale_ts(packet, from, stream.pointee.time_base)
        packet.pointee.pos = -1
        let code = av_interleaved_write_frame(context, packet)
        guard code >= 0 else { throw LibavError.storage(libav: code, "cannot write \(path)") }
        if index == 0 { report.videoFrames += 1 } else { report.audioPackets += 1 }
    }

    private func begin(like input: LibavInput) throws(CodedError) {
        let isG711 =
            input.audioIndex.flatMap { input.stream($0)?.pointee.codecpar }
            .map { LibavInput.codecName($0).hasPrefix("pcm_") } ?? false
        var made: UnsafeMutablePointer<AVFormatContext>?
        avformat_alloc_output_context2(&made, nil, isG711 ? "mov" : "mp4", nil)
        guard let made else { throw CodedError(.internal, "no muxer for MP4") }
        context = made
        for index in [input.videoIndex, input.audioIndex].compactMap({ $0 }) {
            guard let source = input.stream(index), let stream = avformat_new_stream(made, nil),
                avcodec_parameters_copy(stream.pointee.codecpar, source.pointee.codecpar) >= 0
            else { throw CodedError(.internal, "no memory for a track") }
            stream.pointee.codecpar.pointee.codec_tag = 0
            stream.pointee.time_base = source.pointee.time_base
            stream.pointee.avg_frame_rate = source.pointee.avg_frame_rate
        }
        made.pointee.strict_std_compliance = FF_COMPLIANCE_EXPERIMENTAL
        var code = avio_open(&made.pointee.pb, "file:\(path)", AVIO_FLAG_WRITE)
        guard code >= 0 else { throw LibavError.storage(libav: code, "cannot create \(path)") }
        code = avformat_write_header(made, nil)
        guard code >= 0 else { throw LibavError.internal(code, "MP4 cannot hold these tracks") }
    }

    func finish() throws(CodedError) -> JoinReport {
        guard let context, report.videoFrames > 0 else {
            throw CodedError(.invalidArgument, "nothing was recorded in this range")
        }
        var code = av_write_trailer(context)
        guard code >= 0 else { throw LibavError.storage(libav: code, "cannot finish \(path)") }
        report.bytes = avio_size(context.pointee.pb)
        code = avio_closep(&context.pointee.pb)
        guard code >= 0 else { throw LibavError.storage(libav: code, "cannot close \(path)") }
        report.duration = timeBases[0].duration(ticks: ends[0] ?? 0)
        return report
    }

    /// Ends early when `body` returns false. Throws if the file does not go on to its end: libavformat says "end of
    /// file" also before a part that it cannot make out.
    private static func forEachPacket(
        of path: String, _ input: LibavInput, _ body: (UnsafeMutablePointer<AVPacket>) throws(CodedError) -> Bool
    ) throws(CodedError) {
        guard let packet = av_packet_alloc() else { throw CodedError(.internal, "no memory for a packet") }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        var code = input.read(packet)
        while code >= 0 {
            guard packet.pointee.dts != cav_nopts_value(), packet.pointee.pts != cav_nopts_value() else {
                throw damaged(path)
            }
            guard try body(packet) else { return }
            av_packet_unref(packet)
            code = input.read(packet)
        }
        guard code == cav_error_eof() else { throw LibavError.source(code, "cannot read all of \(path)") }
        guard try !SegmentFileReader.inspect(path).isTorn else { throw damaged(path) }
    }

    private static func damaged(_ path: String) -> CodedError {
        CodedError(.sourceUnavailable, "\(path) is damaged and cannot be read to its end")
    }
}
