internal import CAVFormat
internal import CAVShim
internal import Domain
internal import Synchronization

/// A source whose pictures are encoded to H.264 if they are of a kind that recordings do not hold: MJPEG, or raw
/// pictures as `rawvideo`. Any other source passes through untouched.
///
/// Owns the source, and once that has shown what it delivers, a reader thread, a decoder, a scaler and an encoder.
/// Invariants: each picture becomes one packet with the picture's own arrival and timestamps; a picture that does not
/// decode and one that the encoder has no time for are dropped and counted, and never half encoded; the next picture
/// after `requestKeyFrame()` becomes a key frame, and so does the first one of a wanted moment. What is missing is told
/// as `skipped`, since it ends a file: at most once in a group of pictures where the encoder has no time, and every
/// `lossPause` where the device loses pictures or they do not decode. Audio is not touched.
///
/// Unchecked Sendable because of `MediaSource`'s rule: one thread opens, reads and closes; the calls from elsewhere
/// touch the source, the reader and atomics alone, and `reader` is set under its lock.
final class TranscodingSource: MediaSource, @unchecked Sendable {
    /// How many pictures may wait for the encoder, which bridges a key frame that takes longer or a moment without CPU.
    static let picturesMax = 8
    /// Raw pictures are large, and a device has few buffers for them.
    static let rawPicturesMax = 2
    /// Pictures that an encoder may hold back.
    private static let inFlightMax = 16
    /// Pictures that are dropped with a lost one, at most, so that a bad cable does not make a file of each picture.
    static let lossPause: Duration = .milliseconds(250)
    /// Pictures in a row that do not decode before the source counts as broken.
    private static let badPicturesMax = 100
    /// What a source without a stated rate is taken for.
    private static let frameRateDefault = 25.0
    private static let encodedKinds: Set<String> = ["mjpeg", "rawvideo"]

    private let source: any MediaSource
    private let settings: EncoderSettings
    private let wantsKey = Atomic<Bool>(false)
    private let keyMoment = KeyFrameMoment()
    private let undecodable = Atomic<Int>(0)
    /// Pictures between those that the reader dropped and the next group.
    private let leftOut = Atomic<Int>(0)
    private let reader = Mutex<ReadAhead?>(nil)
    private var work: Work?
    /// What was said when the encoder was chosen.
    private var encoderRemarks: [SourceRemark] = []
    private var badInARow = 0
    /// Whether a JPEG has come with its end marker.
    private var writesEnds = false
    /// The picture to encode next.
    private var held: Packet?
    /// Pictures that were left out and not told yet.
    private var skipped = 0
    /// Whether the encoder had no time for some of them.
    private var hasOverrun = false
    /// Of the reader's drops, those that were seen.
    private var dropsSeen = 0
    /// The picture with which it went on after the last ones that were left out.
    private var resumedAt: MonotonicTime?

    /// What is made for one format of the source.
    private struct Work {
        var decoder: PictureDecoder
        var pictures: DecodedPictures
        var scaler: PictureScaler
        var encoder: PictureEncoder
        var isJPEG: Bool
        var lastKey: MonotonicTime?
        /// The stamps of pictures that the encoder holds, in order.
        var inFlight: [Stamp] = []
    }

    private struct Stamp {
        var pts: Int64?
        var dts: Int64?
        var duration: Int64
        var arrival: MonotonicTime

        init(_ packet: Packet) {
            (pts, dts, duration, arrival) = (packet.pts, packet.dts, packet.duration, packet.arrival)
        }
    }

    init(_ source: any MediaSource, encoder: EncoderSettings) {
        self.source = source
        settings = encoder
    }

    deinit { close() }

    var paces: Bool { source.paces }

    var input: SourceInput? {
        guard var input = source.input else { return nil }
        input.encoder = work?.encoder.name
        return input
    }

    var remarks: [SourceRemark] { source.remarks + encoderRemarks }

    var notes: [String] {
        var notes = source.notes
        let dropped = reader.withLock { $0?.dropped ?? 0 } + leftOut.load(ordering: .relaxed)
        if dropped > 0 { notes.append("\(dropped) pictures dropped: the encoder does not keep up") }
        let unheard = reader.withLock { $0?.droppedSound ?? 0 }
        if unheard > 0 { notes.append("\(unheard) packets of sound dropped: the encoder does not keep up") }
        let bad = undecodable.load(ordering: .relaxed)
        if bad > 0 { notes.append("\(bad) pictures dropped: they do not decode") }
        return notes
    }

    func requestKeyFrame() {
        wantsKey.store(true, ordering: .releasing)
        source.requestKeyFrame()
    }

    func requestKeyFrame(from moment: MonotonicTime) {
        keyMoment.want(from: moment)
        source.requestKeyFrame(from: moment)
    }

    func interrupt() {
        source.interrupt()
        reader.withLock { $0 }?.interrupt()
    }

    func close() {
        reader.withLock { $0 }?.stop()
        // A device is free only when its pictures are back.
        held = nil
        work = nil
        source.close()
    }

    func open() throws(CodedError) -> StreamFormat {
        let format = try source.open()
        guard Self.encodedKinds.contains(format.video.codecName) else { return format }
        let encoded = try begin(format)
        let isRaw = format.video.codecName == "rawvideo"
        let made = ReadAhead(source, picturesMax: isRaw ? Self.rawPicturesMax : Self.picturesMax)
        reader.withLock { $0 = made }
        try made.start()
        return encoded
    }

    func next() throws(CodedError) -> SourceItem {
        guard work != nil, let reader = reader.withLock({ $0 }) else { return try source.next() }
        while true {
            if let packet = held.take(), let encoded = try encode(packet) { return .packet(encoded) }
            switch try reader.take() {
            case .formatChanged(let changed): return .formatChanged(try begin(changed))
            case .skipped(let frames):
                skipped += frames
                let drops = reader.dropped
                hasOverrun = hasOverrun || drops > dropsSeen
                dropsSeen = drops
            case .end: return skipped > 0 ? tellSkipped() : .end
            case .packet(let packet):
                guard packet.track == .video else { return .packet(packet) }
                guard skipped > 0 else {
                    held = packet
                    continue
                }
                if resumes(with: packet) { return tellSkipped() }
            }
        }
    }

    /// After pictures were lost: goes on with a key frame, unless it has just done so. An encoder that is always too
    /// slow would make a file of every few pictures. Where the source is not of this time, arrivals say nothing.
    private func resumes(with packet: Packet) -> Bool {
        let pause = hasOverrun ? settings.gop : Self.lossPause
        guard !source.paces || resumedAt.map({ packet.arrival - $0 >= pause }) ?? true else {
            skipped += 1
            leftOut.add(1, ordering: .relaxed)
            return false
        }
        resumedAt = packet.arrival
        wantsKey.store(true, ordering: .releasing)
        held = packet
        return true
    }

    private func tellSkipped() -> SourceItem {
        defer { (skipped, hasOverrun) = (0, false) }
        return .skipped(frames: skipped)
    }

    /// Makes what the pictures of a format need; the first one comes out as a key frame.
    private func begin(_ format: StreamFormat) throws(CodedError) -> StreamFormat {
        let video = format.video
        let stated = video.frameRate.flatMap { $0 > 0 ? $0 : nil }
        let rate = av_d2q(stated ?? Self.frameRateDefault, 1_000_000)
        // The encoder knows even sides only.
        let (width, height) = (max(2, video.width & ~1), max(2, video.height & ~1))
        let choice = try EncoderChoice.make(
            settings, width: width, height: height, frame: TimeBase(max(1, rate.den), max(1, rate.num)))
        encoderRemarks = choice.remarks
        let pictures = DecodedPictures()
        let decoder = try PictureDecoder(format.videoParameters, isStrict: false) { pictures.take($0) }
        let scaler = PictureScaler(.init(width: Int32(width), height: Int32(height), isFullRange: false))
        work = Work(
            decoder: decoder, pictures: pictures, scaler: scaler, encoder: choice.encoder,
            isJPEG: video.codecName == "mjpeg")
        return try choice.encoder.format(timeBase: video.timeBase, frameRate: video.frameRate, audioOf: format)
    }

    /// Nil if the picture does not decode, or if the encoder keeps it for now.
    private func encode(_ packet: Packet) throws(CodedError) -> Packet? {
        guard let work else { throw CodedError(.internal, "the source is not open") }
        guard isWhole(packet), work.decoder.decode(packet.raw), let picture = work.pictures.newest else {
            try dropUndecodable()
            return nil
        }
        badInARow = 0
        let scaled = try work.scaler.scale(picture)
        // Key frames by the clock as well as by count, since a camera's stated rate may be wrong.
        let isDue = work.lastKey.map { packet.arrival - $0 >= settings.gop } ?? true
        let isWanted = keyMoment.isDue(at: packet.arrival)
        let isForced = wantsKey.exchange(false, ordering: .acquiring) || isWanted || isDue
        if isForced { self.work?.lastKey = packet.arrival }
        guard work.inFlight.count < Self.inFlightMax else {
            let error = CodedError(.sourceUnavailable, "the encoder \(work.encoder.name) returns nothing")
            EncoderChoice.refuse(work.encoder.library, because: error)
            throw error
        }
        self.work?.inFlight.append(Stamp(packet))
        let coded = try encode(scaled, forcesKey: isForced, with: work.encoder)
        work.pictures.clear()
        guard let coded, let stamp = self.work?.inFlight.removeFirst() else { return nil }
        let encoded = try coded.packet(
            pts: stamp.pts, dts: stamp.dts, duration: stamp.duration, arrival: stamp.arrival)
        if encoded.isKey { self.work?.lastKey = stamp.arrival }
        return encoded
    }

    /// Hardware that breaks off is not taken again, so that the next attempt goes on with libx264.
    private func encode(
        _ picture: UnsafeMutablePointer<AVFrame>, forcesKey: Bool, with encoder: PictureEncoder
    ) throws(CodedError) -> PictureEncoder.Coded? {
        do throws(CodedError) {
            return try encoder.encode(picture, forcesKey: forcesKey)
        } catch {
            EncoderChoice.refuse(encoder.library, because: error)
            throw CodedError(.sourceUnavailable, "the encoder \(encoder.name) broke off", cause: error.description)
        }
    }

    /// Decoders fill up with grey what a JPEG lost of its end. Some cameras never write the end marker; from one that
    /// has written it, a picture without it is a part of one.
    private func isWhole(_ packet: Packet) -> Bool {
        guard work?.isJPEG == true else { return true }
        let hasEnd = packet.withBytes { JPEGMarkers.hasEnd($0) }
        writesEnds = writesEnds || hasEnd
        return hasEnd || !writesEnds
    }

    private func dropUndecodable() throws(CodedError) {
        work?.pictures.clear()
        undecodable.add(1, ordering: .relaxed)
        skipped += 1
        badInARow += 1
        guard badInARow < Self.badPicturesMax else {
            throw CodedError(.sourceUnavailable, "the source sends pictures that do not decode")
        }
    }

    /// The picture that came out of the decoder last.
    private final class DecodedPictures {
        private let frame: UnsafeMutablePointer<AVFrame>? = av_frame_alloc()
        private var isFilled = false

        var newest: UnsafeMutablePointer<AVFrame>? { isFilled ? frame : nil }

        func take(_ picture: UnsafeMutablePointer<AVFrame>) {
            clear()
            isFilled = av_frame_ref(frame, picture) >= 0
        }

        func clear() {
            av_frame_unref(frame)
            isFilled = false
        }

        deinit {
            var used = frame
            av_frame_free(&used)
        }
    }
}
