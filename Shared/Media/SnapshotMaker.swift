internal import CAVFormat
internal import CAVShim
package import Domain

/// Makes one still picture out of coded ones.
///
/// Owns nothing but a wake signal until `make` runs, and nothing again after it: decoder, scaler and encoder live for
/// one picture, since to open them takes less than a millisecond and to keep them takes megabytes. It decodes from the
/// last key frame and leaves out what the wanted picture does not depend on, so that the result is what a player shows.
/// The thread that calls `make` is its caller's, and is busy for as long as that takes; any thread may interrupt it.
package final class SnapshotMaker: Sendable {
    /// A group of pictures beyond this is not decoded for one of them: some half a minute of video.
    package static let picturesMax = 900
    /// More decoding threads than this gain little on groups of a few seconds.
    private static let threadsMax: Int32 = 8
    /// Below this, starting threads takes longer than they save.
    private static let picturesForThreads = 4

    private let timeLimit: Duration
    private let wake = WakeSignal()

    package init(timeLimit: Duration = .seconds(5)) { self.timeLimit = timeLimit }

    /// `make` returns promptly with an error.
    package func interrupt() { wake.interrupt() }

    /// `packets` hold a key frame at or before the wanted moment and what follows, in the order of arrival; others than
    /// video are passed over.
    ///
    /// Errors: `invalidArgument`; `notReady` if no picture is as old as the moment; `timeout`; `sourceUnavailable` if
    /// the pictures do not decode.
    package func make(
        _ wish: SnapshotWish, from packets: some Sequence<Packet>, format: StreamFormat
    ) throws(CodedError) -> Snapshot {
        guard wish.width.map(SnapshotWish.widthRange.contains) ?? true else {
            throw CodedError(.invalidArgument, "width: \(Self.text(SnapshotWish.widthRange))")
        }
        guard SnapshotWish.qualityRange.contains(wish.quality) else {
            throw CodedError(.invalidArgument, "quality: \(Self.text(SnapshotWish.qualityRange))")
        }
        MediaLibrary.prepare()
        wake.allow(timeLimit)
        let needed = try Self.needed(for: wish, packets, format)
        if needed.count == 1, let snapshot = Self.coded(needed[0], wish) { return snapshot }
        return try decode(needed, wish, format)
    }

    private static func text(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) to \(range.upperBound)" }

    // MARK: Which pictures

    private static func needed(
        for wish: SnapshotWish, _ packets: some Sequence<Packet>, _ format: StreamFormat
    ) throws(CodedError) -> [Packet] {
        let video = packets.prefix(while: { $0.arrival <= wish.moment }).filter { $0.track == .video }
        guard let key = video.lastIndex(where: \.isKey) else {
            throw CodedError(.notReady, "no picture is kept that is as old as the moment asked for")
        }
        let group = video[key...]
        // Pictures arrive in the order of decoding; the newest is the one that is shown last.
        let newest = group.indices.max { order(group[$0], $0) < order(group[$1], $1) } ?? key
        // The fewer pictures lie between it and the key frame, the sooner it is decoded.
        let oldest = wish.moment - wish.leeway
        let soonest = wish.leeway > .zero ? group.firstIndex { $0.arrival >= oldest } : nil
        let wanted = min(soonest ?? newest, newest)
        let upToWanted = group[...wanted]
        guard let codec = ParameterSets.Codec(name: format.video.codecName) else { return upToWanted.suffix(1) }
        let needed = PictureReferences(codec: codec, parameterSets: format.video.parameterSets).needed(upToWanted)
        guard needed.count <= picturesMax else {
            throw CodedError(.timeout, "the last key frame is \(needed.count) pictures back, more than \(picturesMax)")
        }
        return needed
    }

    /// Where the source does not say when a picture is shown, pictures are shown as they come.
    private static func order(_ packet: Packet, _ index: Int) -> (Int64, Int) { (packet.pts ?? packet.dts ?? 0, index) }

    /// A picture that the camera itself has coded as wanted.
    private static func coded(_ packet: Packet, _ wish: SnapshotWish) -> Snapshot? {
        packet.withBytes { bytes in
            guard let markers = JPEGMarkers(bytes), markers.hasHuffmanTables, let length = markers.length,
                wish.width.map({ $0 >= markers.width }) ?? true
            else { return nil }
            return Snapshot(
                jpeg: Array(bytes[..<length]), width: markers.width, height: markers.height, arrival: packet.arrival,
                pts: packet.pts, decoded: 0)
        }
    }

    // MARK: The picture

    private func decode(
        _ packets: [Packet], _ wish: SnapshotWish, _ format: StreamFormat
    ) throws(CodedError) -> Snapshot {
        let newest = NewestPicture()
        let threads = packets.count < Self.picturesForThreads ? 1 : min(Self.threadsMax, av_cpu_count())
        let decoder = try PictureDecoder(format.videoParameters, threads: threads, isStrict: false) { frame in
            newest.take(frame)
        }
        let scratch = try CodedPicture()
        for (index, packet) in packets.enumerated() {
            guard !wake.shouldStop else { throw reason }
            // The decoder hands back with each picture what stands here: its place in the list.
            try scratch.refer(to: packet, pts: Int64(index), dts: Int64(index))
            _ = decoder.decode(scratch.raw)
        }
        _ = decoder.decode(nil)
        guard !wake.shouldStop else { throw reason }
        guard let frame = newest.frame, packets.indices.contains(newest.index) else {
            throw CodedError(.sourceUnavailable, "the camera's pictures do not decode")
        }
        let source = packets[newest.index]
        let size = SnapshotSize(
            width: Int(frame.pointee.width), height: Int(frame.pointee.height),
            aspect: (Int(frame.pointee.sample_aspect_ratio.num), Int(frame.pointee.sample_aspect_ratio.den)),
            wanted: wish.width)
        let scaler = PictureScaler(
            .init(width: Int32(size.width), height: Int32(size.height), isFullRange: true))
        let jpeg = try JPEGEncoder.encode(try scaler.scale(frame), quality: wish.quality)
        return Snapshot(
            jpeg: jpeg, width: size.width, height: size.height, arrival: source.arrival, pts: source.pts,
            decoded: packets.count)
    }

    private var reason: CodedError {
        wake.isInterrupted
            ? CodedError(.sourceUnavailable, "the snapshot was interrupted")
            : CodedError(.timeout, "the snapshot took longer than \(timeLimit)")
    }

    /// Keeps the picture that is shown last.
    private final class NewestPicture {
        private(set) var frame: UnsafeMutablePointer<AVFrame>? = av_frame_alloc()
        private(set) var index = -1

        func take(_ picture: UnsafeMutablePointer<AVFrame>) {
            guard picture.pointee.pts > index else { return }
            av_frame_unref(frame)
            index = av_frame_ref(frame, picture) >= 0 ? Int(picture.pointee.pts) : -1
        }

        deinit {
            var used = frame
            av_frame_free(&used)
        }
    }
}
