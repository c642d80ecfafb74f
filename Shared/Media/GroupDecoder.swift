internal import CAVFormat
internal import Domain

/// A decoder on its way through one group of pictures, and the last of them that it has shown.
///
/// Owns a libavcodec decoder, and holds on to the packets that it was given. A decoder shows a picture once it knows
/// that none comes before it; `drain` makes it show what it holds back, and is its end. One thread uses it.
final class GroupDecoder {
    let format: StreamFormat
    private let decoder: PictureDecoder
    private let newest = NewestPicture()
    private let scratch: CodedPicture
    /// What the decoder was given.
    private var given: [Packet] = []
    private(set) var isDrained = false

    init(_ format: StreamFormat, threads: Int32) throws(CodedError) {
        self.format = format
        scratch = try CodedPicture()
        decoder = try PictureDecoder(format.videoParameters, threads: threads, isStrict: false) { [newest] frame in
            newest.take(frame)
        }
    }

    /// Shown last, with the packet that it came in.
    var picture: (frame: UnsafeMutablePointer<AVFrame>, packet: Packet)? {
        guard let frame = newest.frame, given.indices.contains(newest.index) else { return nil }
        return (frame, given[newest.index])
    }

    /// Whether the picture stands for itself: one that is shown before the key frame refers to the group before.
    var showsWhole: Bool {
        guard let shown = picture?.packet.pts, let first = given.first?.pts else { return picture != nil }
        return shown >= first
    }

    var lastGiven: Packet? { given.last }

    /// What is left to decode of `needed`, which begins with a key frame. Nil if there is no way from here: it is
    /// another group, or one of them was left out before one that is decoded.
    func rest(of needed: [Packet]) -> ArraySlice<Packet>? {
        guard !isDrained else { return nil }
        guard let first = given.first else { return needed[...] }
        guard needed.first === first else { return nil }
        let known = Set(given.map(ObjectIdentifier.init))
        let rest = needed.drop { known.contains(ObjectIdentifier($0)) }
        return rest.contains { known.contains(ObjectIdentifier($0)) } ? nil : rest
    }

    /// One that does not decode leaves its traces in those that depend on it, as in a player.
    func decode(_ packet: Packet) throws(CodedError) {
        // The decoder hands back with each picture what stands here: its place in the list.
        let place = Int64(given.count)
        try scratch.refer(to: packet, pts: place, dts: place)
        given.append(packet)
        _ = decoder.decode(scratch.raw)
    }

    func drain() {
        guard !isDrained else { return }
        isDrained = true
        _ = decoder.decode(nil)
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
