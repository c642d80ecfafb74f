package import Domain

/// Decodes a stream's newest group of pictures as it comes, so that a snapshot of it has one picture left to decode
/// instead of all since the key frame.
///
/// Owns the decoder that follows, the one that has shown the newest picture, and a scaler: the memory of some ten
/// pictures each, and the packets of their groups. Where the newest picture is not the next
/// that the decoder would show (a stream with pictures coded out of order), a snapshot costs it its place, and the
/// group is decoded again. One thread uses it.
package final class PictureFollower {
    /// On its way through the newest group.
    private(set) var decoder: GroupDecoder?
    /// Has shown a picture, and is kept until a newer one is shown.
    private(set) var shown: GroupDecoder?
    private var scaler: PictureScaler?

    package init() {}

    /// Keeps what a decoder has shown for a snapshot. One that is drained leads no further.
    func adopt(_ decoder: GroupDecoder) {
        shown = decoder
        if !decoder.isDrained { self.decoder = decoder }
    }

    /// The same as last time, if it was one of this size: half of a conversion's time goes into new memory.
    func scaler(to target: PictureScaler.Target) -> PictureScaler {
        if let scaler, scaler.target == target { return scaler }
        let made = PictureScaler(target)
        scaler = made
        return made
    }

    /// Decodes what has come of the newest group and is not decoded yet, as far as later pictures may depend on it.
    /// Returns early once `mayGoOn` says no; the next call goes on. True if nothing is left: also where no picture
    /// refers to another, or a group has but its key frame so far.
    ///
    /// Errors: `notReady` without a key frame; `timeout` for groups so long that no snapshot is made of them; those of
    /// a decoder that does not open.
    package func follow(
        _ packets: some Sequence<Packet>, format: StreamFormat, while mayGoOn: () -> Bool
    ) throws(CodedError) -> Bool {
        let group = try PictureGroup(packets, until: MonotonicTime(nanoseconds: .max), format: format)
        let needed = group.neededLater
        guard needed.count <= SnapshotMaker.picturesMax else {
            decoder = nil
            throw CodedError(.timeout, "a group of \(needed.count) pictures, more than \(SnapshotMaker.picturesMax)")
        }
        guard needed.count > 1 else { return true }
        let (decoder, rest) = try continuation(of: needed, format)
        for packet in rest {
            guard mayGoOn() else { return false }
            try decoder.decode(packet)
            if isNewer(decoder) { shown = decoder }
        }
        return true
    }

    private func isNewer(_ decoder: GroupDecoder) -> Bool {
        guard let picture = decoder.picture else { return false }
        guard let shown, shown !== decoder, shown.format === decoder.format, let before = shown.picture else {
            return true
        }
        return picture.packet.arrival >= before.packet.arrival
    }

    private func continuation(
        of needed: [Packet], _ format: StreamFormat
    ) throws(CodedError) -> (GroupDecoder, ArraySlice<Packet>) {
        if let decoder, decoder.format === format, let rest = decoder.rest(of: needed) { return (decoder, rest) }
        MediaLibrary.prepare()
        // More threads would hold back as many pictures.
        let decoder = try GroupDecoder(format, threads: 1)
        self.decoder = decoder
        return (decoder, needed[...])
    }
}
