package import Domain

/// Decodes a stream's newest group of pictures as it comes, so that a snapshot of it has one picture left to decode
/// instead of all since the key frame.
///
/// Owns a decoder and a scaler, and with them the memory of some ten pictures. Where the newest picture is not the next
/// that the decoder would show (a stream with pictures coded out of order), a snapshot costs it its place, and the
/// group is decoded again. One thread uses it.
package final class PictureFollower {
    /// On its way through the newest group.
    private(set) var decoder: GroupDecoder?
    /// Has shown a picture, and is kept until a newer one is shown.
    private(set) var shown: GroupDecoder?
    private var scaler: PictureScaler?

    package init() {}

    /// Goes on from a decoder that was made for a snapshot.
    func adopt(_ decoder: GroupDecoder) {
        shown = decoder
        self.decoder = decoder
    }

    /// The same as last time, if it was one of this size: half of a conversion's time goes into new memory.
    func scaler(to target: PictureScaler.Target) -> PictureScaler {
        if let scaler, scaler.target == target { return scaler }
        let made = PictureScaler(target)
        scaler = made
        return made
    }

    /// Decodes what has come of the newest group and is not decoded yet, as far as later pictures may depend on it.
    /// Returns early once `mayGoOn` says no; the next call goes on. Nothing is to be done where every picture stands
    /// alone, or in groups so long that no snapshot is made of them.
    ///
    /// Errors: `notReady` without a key frame; those of a decoder that does not open.
    package func follow(
        _ packets: some Sequence<Packet>, format: StreamFormat, while mayGoOn: () -> Bool
    ) throws(CodedError) {
        let group = try PictureGroup(packets, until: MonotonicTime(nanoseconds: .max), format: format)
        let needed = group.neededLater
        guard !needed.isEmpty, needed.count <= SnapshotMaker.picturesMax else {
            decoder = nil
            return
        }
        let (decoder, rest) = try continuation(of: needed, format)
        for packet in rest {
            guard mayGoOn() else { return }
            try decoder.decode(packet)
            if decoder.picture != nil { shown = decoder }
        }
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
