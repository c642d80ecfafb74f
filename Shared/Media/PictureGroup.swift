internal import Domain

/// The newest group of pictures of a stream up to a moment, in the order of decoding, and what of it has to be decoded
/// for one of them. Pure.
struct PictureGroup {
    private let pictures: ArraySlice<Packet>
    private let key: Int
    /// Of the one that is shown last; the newest may have come before it.
    private let newest: Int
    private let references: PictureReferences?

    /// `packets` hold a key frame at or before the moment and what follows, in the order of arrival; others than video
    /// are passed over. Errors: `notReady` if no picture is as old as the moment.
    init(_ packets: some Sequence<Packet>, until moment: MonotonicTime, format: StreamFormat) throws(CodedError) {
        let video = packets.prefix(while: { $0.arrival <= moment }).filter { $0.track == .video }
        guard let key = video.lastIndex(where: \.isKey) else {
            throw CodedError(.notReady, "no picture is kept that is as old as the moment asked for")
        }
        self.key = key
        pictures = video[key...]
        // Pictures arrive in the order of decoding; the newest is the one that is shown last.
        let indices = pictures.indices
        newest = indices.max { Self.order(video[$0], $0) < Self.order(video[$1], $1) } ?? key
        references = ParameterSets.Codec(name: format.video.codecName).map {
            PictureReferences(codec: $0, parameterSets: format.video.parameterSets)
        }
    }

    /// Where the source does not say when a picture is shown, pictures are shown as they come.
    private static func order(_ packet: Packet, _ index: Int) -> (Int64, Int) { (packet.pts ?? packet.dts ?? 0, index) }

    /// The newest picture, or the first that came at `oldest` or later, since the fewer pictures lie between it and
    /// the key frame, the sooner it is decoded; and before it what it may depend on. What is shown before the key frame
    /// refers to the group before (an open GOP) and is none to choose.
    func needed(notBefore oldest: MonotonicTime? = nil) -> [Packet] {
        let first = Self.order(pictures[key], key)
        let soonest = oldest.flatMap { oldest in
            pictures.indices.first { pictures[$0].arrival >= oldest && Self.order(pictures[$0], $0) >= first }
        }
        let upToWanted = pictures[...min(soonest ?? newest, newest)]
        return references?.needed(upToWanted) ?? upToWanted.suffix(1)
    }

    /// What later pictures may depend on, up to the newest; empty if every picture stands alone.
    var neededLater: [Packet] { references?.neededLater(pictures[...newest]) ?? [] }
}
