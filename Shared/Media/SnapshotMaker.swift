internal import CAVFormat
internal import CAVShim
package import Domain

/// Makes one still picture out of coded ones.
///
/// Owns nothing but a wake signal until `make` runs, and nothing again after it: decoder, scaler and encoder live for
/// one picture, since to open them takes less than a millisecond and to keep them takes megabytes. With a
/// `PictureFollower`, decoder and scaler are the follower's. It decodes from the last key frame, or from where the
/// follower is, and leaves out what the wanted picture does not depend on, so that the result is what a player shows.
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
    /// video are passed over. A follower of the same stream shortens the work, and is left with the result of it.
    ///
    /// Errors: `invalidArgument`; `notReady` if no picture is as old as the moment; `timeout`; `sourceUnavailable` if
    /// the pictures do not decode.
    package func make(
        _ wish: SnapshotWish, from packets: some Sequence<Packet>, format: StreamFormat,
        follower: PictureFollower? = nil
    ) throws(CodedError) -> Snapshot {
        guard wish.width.map(SnapshotWish.widthRange.contains) ?? true else {
            throw CodedError(.invalidArgument, "width: \(Self.text(SnapshotWish.widthRange))")
        }
        guard SnapshotWish.qualityRange.contains(wish.quality) else {
            throw CodedError(.invalidArgument, "quality: \(Self.text(SnapshotWish.qualityRange))")
        }
        MediaLibrary.prepare()
        wake.allow(timeLimit)
        let group = try PictureGroup(packets, until: wish.moment, format: format)
        let needed = group.needed(notBefore: wish.leeway > .zero ? wish.moment - wish.leeway : nil)
        guard needed.count <= Self.picturesMax else {
            throw CodedError(
                .timeout, "the last key frame is \(needed.count) pictures back, more than \(Self.picturesMax)")
        }
        if needed.count == 1, let snapshot = Self.coded(needed[0], wish) { return snapshot }
        let (decoder, decoded) = try decode(needed, wish, format, follower)
        guard let (frame, packet) = decoder.picture else {
            throw CodedError(.sourceUnavailable, "the camera's pictures do not decode")
        }
        return try Self.snapshot(of: frame, from: packet, wish, decoded: decoded, follower)
    }

    private static func text(_ range: ClosedRange<Int>) -> String { "\(range.lowerBound) to \(range.upperBound)" }

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

    // MARK: Decoding

    private func decode(
        _ needed: [Packet], _ wish: SnapshotWish, _ format: StreamFormat, _ follower: PictureFollower?
    ) throws(CodedError) -> (GroupDecoder, decoded: Int) {
        if let follower, let found = try goOn(follower, to: needed, wish, format) { return found }
        let threads = needed.count < Self.picturesForThreads ? 1 : min(Self.threadsMax, av_cpu_count())
        let decoder = try GroupDecoder(format, threads: threads)
        try decode(needed[...], decoder)
        decoder.drain()
        follower?.adopt(decoder)
        return (decoder, needed.count)
    }

    /// Nil if it is quicker, or the only way, to begin with the key frame.
    private func goOn(
        _ follower: PictureFollower, to needed: [Packet], _ wish: SnapshotWish, _ format: StreamFormat
    ) throws(CodedError) -> (GroupDecoder, decoded: Int)? {
        func serves(_ decoder: GroupDecoder) -> Bool {
            guard decoder.format === format, let packet = decoder.picture?.packet else { return false }
            if packet === needed.last { return true }
            let isYoung = packet.arrival >= wish.moment - wish.leeway && packet.arrival <= wish.moment
            return wish.leeway > .zero && isYoung && decoder.showsWhole
        }
        if let shown = follower.shown, serves(shown) { return (shown, 0) }
        guard let decoder = follower.decoder, decoder.format === format, let rest = decoder.rest(of: needed),
            rest.count * 2 <= needed.count
        else { return nil }
        try decode(rest, decoder)
        if !serves(decoder) {
            decoder.drain()
            // Two fields share a picture, under the first one's name; and one that does not decode shows nothing. A
            // decoder that begins with the key frame would show the same.
            guard decoder.picture != nil, serves(decoder) || decoder.lastGiven === needed.last else { return nil }
        }
        follower.adopt(decoder)
        return (decoder, rest.count)
    }

    private func decode(_ packets: ArraySlice<Packet>, _ decoder: GroupDecoder) throws(CodedError) {
        for packet in packets {
            guard !wake.shouldStop else { throw reason }
            try decoder.decode(packet)
        }
        guard !wake.shouldStop else { throw reason }
    }

    private static func snapshot(
        of frame: UnsafeMutablePointer<AVFrame>, from packet: Packet, _ wish: SnapshotWish, decoded: Int,
        _ follower: PictureFollower?
    ) throws(CodedError) -> Snapshot {
        let size = SnapshotSize(
            width: Int(frame.pointee.width), height: Int(frame.pointee.height),
            aspect: (Int(frame.pointee.sample_aspect_ratio.num), Int(frame.pointee.sample_aspect_ratio.den)),
            wanted: wish.width)
        let target = PictureScaler.Target(
            width: Int32(size.width), height: Int32(size.height), isFullRange: true)
        let scaler = follower?.scaler(to: target) ?? PictureScaler(target)
        let jpeg = try JPEGEncoder.encode(try scaler.scale(frame), quality: wish.quality)
        return Snapshot(
            jpeg: jpeg, width: size.width, height: size.height, arrival: packet.arrival, pts: packet.pts,
            decoded: decoded)
    }

    private var reason: CodedError {
        wake.isInterrupted
            ? CodedError(.sourceUnavailable, "the snapshot was interrupted")
            : CodedError(.timeout, "the snapshot took longer than \(timeLimit)")
    }
}
