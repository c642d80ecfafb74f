package import Domain

/// Writes one segment: packets in, parts of less than 1 s on disk, at the end a file with its final name.
///
/// Owns the open file and its lock, and the muxer. Invariants: every video packet appended is in the file exactly
/// once, in order; a part is one write; the first part is written as soon as the second frame tells how long the first
/// lasts; decode times begin at 0 with the first video frame, audio is placed relative to it, and ticks are kept
/// exactly. One video packet is held back until the next one tells its duration. One thread at a time calls it, the
/// worker's. Repair of timestamps and the choice of the boundary do not belong here; a packet whose decode time does
/// not grow is placed one tick after the one before it, so that it is not lost.
///
/// After any error the writer takes nothing more: call `abandon()`.
package final class SegmentWriter {
    /// The most media that one part holds, unless a single frame lasts longer. Less than the 1 s that a crash may cost:
    /// the frame that waits for its duration and the time to sync are lost with the part.
    package static let partSecondsMax: Duration = .milliseconds(900)
    /// Audio that comes before the first video packet waits for it, up to this many packets.
    private static let earlyAudioMax = 256
    /// How long the last frame of a stream without durations and without a frame rate counts: 40 ms.
    private static let frameSecondsDefault = 0.04

    /// Where the file lies; partial until `finish` has returned.
    package var path: SegmentPath { file.path }
    /// Whether packets were appended that no part on disk holds yet.
    package var hasUnwritten: Bool { held != nil || !part.isEmpty || !earlyAudio.isEmpty }

    /// Frames in parts that reached the disk, also where what came after them failed.
    package var framesOnDisk: Int { videoFrames }

    private struct Held {
        var packet: Packet
        var dts: Int64
        var pts: Int64
    }

    /// What the muxer holds that is not on disk yet.
    private struct Part {
        var videoFrames = 0
        var audioPackets = 0
        /// The span of its video, in ticks.
        var videoTicks: Int64 = 0
        /// The span of its audio, in ticks.
        var audioTicks: Int64 = 0
        var isEmpty: Bool { videoFrames == 0 && audioPackets == 0 }
    }

    private let file: SegmentFile
    private let muxer: FragmentMuxer
    private let clock: MonotonicClock
    private let videoTimeBase: TimeBase
    private let audioTimeBase: TimeBase?
    private let partTicksMax: Int64
    private let audioPartTicksMax: Int64
    private let audioStepTicks: Int64
    private var frameTicks: Int64

    private var baseDTS: Int64?
    private var audioBase: Int64 = 0
    private var held: Held?
    private var earlyAudio: [Packet] = []
    private var lastVideoDTS: Int64 = -1
    private var lastAudioDTS: Int64 = -1
    private var videoEnd: Int64 = 0
    private var part = Part()
    private var partsWritten = 0
    private var videoFrames = 0
    private var audioPackets = 0
    private var failure: CodedError?

    /// Creates the file, locked, below `storage`, which must exist; nothing is in it before the first part.
    ///
    /// Errors: `storageFull`, `storageFailed`, `conflict` when the name is taken, `sourceUnavailable` when MP4 has no
    /// place for the codec.
    package init(
        storage: String, manifest: SegmentManifest, format: StreamFormat, durability: Durability,
        clock: @escaping MonotonicClock = SystemClock.now
    ) throws(CodedError) {
        self.clock = clock
        videoTimeBase = format.video.timeBase
        audioTimeBase = format.audio?.timeBase
        partTicksMax = max(1, videoTimeBase.ticks(in: Self.partSecondsMax))
        // Two samples at 8 kHz, so that the step survives the change into the file's time base.
        audioStepTicks = max(1, audioTimeBase?.ticks(in: .microseconds(250)) ?? 1)
        audioPartTicksMax = max(1, audioTimeBase?.ticks(in: Self.partSecondsMax) ?? 1)
        let frameSeconds = format.video.frameRate.map { 1 / $0 } ?? Self.frameSecondsDefault
        frameTicks = max(1, videoTimeBase.ticks(in: .seconds(frameSeconds)))
        muxer = try FragmentMuxer(
            format: format, comment: try ManifestText.print(manifest), createdAt: manifest.startedAt)
        file = try SegmentFile(storage: storage, path: manifest.path, durability: durability)
    }

    /// Takes a packet; the report is of the part that was thereby written, if one was due.
    package func append(_ packet: Packet) throws(CodedError) -> PartReport? {
        try guarded { () throws(CodedError) in
            switch packet.track {
            case .video: try self.appendVideo(packet)
            case .audio: try self.appendAudio(packet)
            }
        }
    }

    /// Writes what there is, for when nothing came for a second; the frame held back counts as long as the one before.
    package func flushPart() throws(CodedError) -> PartReport? {
        try guarded { () throws(CodedError) in
            if let held = self.held {
                try self.emit(held, duration: self.frameTicks)
                self.held = nil
            }
            return try self.writePart()
        }
    }

    /// Writes the last part, syncs, and gives the file its final name. `nextVideoDTS` is the decode time, in the
    /// video's ticks, of the frame that begins the next segment: with it the last frame's duration is exact.
    package func finish(nextVideoDTS: Int64?) throws(CodedError) -> SegmentReport {
        _ = try guarded { () throws(CodedError) -> PartReport? in
            if let held = self.held {
                let next = nextVideoDTS.map { $0 - (self.baseDTS ?? 0) - held.dts } ?? self.frameTicks
                try self.emit(held, duration: next > 0 ? next : self.frameTicks)
                self.held = nil
            }
            let report = try self.writePart()
            guard self.videoFrames > 0 else { throw CodedError(.internal, "a segment without a frame") }
            try self.file.complete()
            return report
        }
        return SegmentReport(
            path: path, videoFrames: videoFrames, audioPackets: audioPackets, bytes: file.size,
            duration: videoTimeBase.duration(ticks: videoEnd))
    }

    /// Closes the file as it is, and leaves the partial, with the parts that reached the disk, for repair.
    package func abandon() {
        failure = failure ?? CodedError(.internal, "the segment was abandoned")
        held = nil
        earlyAudio = []
        part = Part()
        file.close()
    }

    private func guarded(_ body: () throws(CodedError) -> PartReport?) throws(CodedError) -> PartReport? {
        if let failure { throw failure }
        do {
            return try body()
        } catch {
            failure = error
            throw error
        }
    }

    private func appendVideo(_ packet: Packet) throws(CodedError) -> PartReport? {
        let last = held.map { $0.dts } ?? lastVideoDTS
        guard let source = packet.dts ?? packet.pts ?? baseDTS.map({ $0 + last + frameTicks }) else {
            throw CodedError(.internal, "the first packet of a segment has no timestamp")
        }
        if baseDTS == nil { try begin(at: source) }
        let base = baseDTS ?? source
        let dts = max(source - base, last + 1)
        var report: PartReport?
        if let held {
            report = try emit(held, duration: dts - held.dts)
        }
        held = Held(packet: packet, dts: dts, pts: max((packet.pts ?? source) - base, dts))
        return report
    }

    private func begin(at dts: Int64) throws(CodedError) {
        baseDTS = dts
        guard let audioTimeBase else { return }
        audioBase = audioTimeBase.ticks(in: videoTimeBase.duration(ticks: dts))
        for packet in earlyAudio { try writeAudio(packet) }
        earlyAudio = []
    }

    /// Hands the frame to the muxer, and writes the part if another frame as long would not fit.
    @discardableResult
    private func emit(_ frame: Held, duration: Int64) throws(CodedError) -> PartReport? {
        var report: PartReport?
        if part.videoFrames > 0, part.videoTicks + duration > partTicksMax { report = try writePart() }
        try muxer.write(frame.packet, dts: frame.dts, pts: frame.pts, duration: duration)
        lastVideoDTS = frame.dts
        videoEnd = frame.dts + duration
        frameTicks = duration
        part.videoFrames += 1
        part.videoTicks += duration
        let isDue = partsWritten == 0 || part.videoTicks + duration > partTicksMax
        guard isDue, report == nil else { return report }
        return try writePart()
    }

    private func appendAudio(_ packet: Packet) throws(CodedError) -> PartReport? {
        guard audioTimeBase != nil else { return nil }
        guard baseDTS != nil else {
            if earlyAudio.count == Self.earlyAudioMax { earlyAudio.removeFirst() }
            earlyAudio.append(packet)
            return nil
        }
        try writeAudio(packet)
        return part.audioTicks >= audioPartTicksMax ? try writePart() : nil
    }

    /// Audio from before the first frame, which a source may deliver late, is squeezed in at the start.
    private func writeAudio(_ packet: Packet) throws(CodedError) {
        let source = packet.dts ?? packet.pts
        let least = lastAudioDTS < 0 ? 0 : lastAudioDTS + audioStepTicks
        let dts = max(source.map { $0 - audioBase } ?? least, least)
        try muxer.write(packet, dts: dts, pts: dts, duration: packet.duration)
        lastAudioDTS = dts
        part.audioPackets += 1
        part.audioTicks += packet.duration
    }

    private func writePart() throws(CodedError) -> PartReport? {
        // Without a frame there is nothing that could be played, and the header waits for the first one.
        guard !part.isEmpty, partsWritten > 0 || part.videoFrames > 0 else { return nil }
        try muxer.endPart()
        let bytes = muxer.buffer.bytes
        let began = clock()
        try file.append(bytes)
        let report = PartReport(
            bytes: bytes.count, videoFrames: part.videoFrames, writeSeconds: clock() - began,
            isFirst: partsWritten == 0)
        muxer.buffer.begin()
        partsWritten += 1
        videoFrames += part.videoFrames
        audioPackets += part.audioPackets
        part = Part()
        return report
    }
}
