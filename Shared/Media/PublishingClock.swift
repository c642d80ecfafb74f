internal import Domain

/// Times packets for a muxer: from 0 at the first key frame, in the muxer's own units, growing on each track. Pure but
/// for reading the packets.
struct PublishingClock {
    struct Stamps: Hashable {
        var pts: Int64
        var dts: Int64
        var duration: Int64
    }

    /// One track on its way from the source's units to the muxer's.
    private struct Track {
        let from: TimeBase
        var to: TimeBase
        var last: Int64?

        mutating func place(_ packet: Packet, origin: Duration) -> Stamps {
            let start = from.ticks(in: origin)
            let dts = to.ticks(in: from.duration(ticks: (packet.dts ?? packet.pts ?? start) - start))
            let pts = to.ticks(in: from.duration(ticks: (packet.pts ?? packet.dts ?? start) - start))
            let placed = next(dts)
            return Stamps(
                pts: max(pts, placed), dts: placed, duration: to.ticks(in: from.duration(ticks: packet.duration)))
        }

        /// The wanted time, or the first one that is left.
        mutating func next(_ wanted: Int64) -> Int64 {
            let placed = last.map { max(wanted, $0 + 1) } ?? wanted
            last = placed
            return placed
        }
    }

    private var video: Track
    private var audio: Track?
    /// Of the first key frame, on the source's own clock; nil until it has come.
    private var origin: Duration?

    init(_ format: StreamFormat) {
        video = Track(from: format.video.timeBase, to: format.video.timeBase)
        audio = format.audio.map { Track(from: $0.timeBase, to: $0.timeBase) }
    }

    /// The units that the muxer has chosen.
    mutating func begin(video: TimeBase, audio: TimeBase?) {
        self.video.to = video
        if let audio { self.audio?.to = audio }
    }

    /// Nil for a packet that is not to be sent: before the first key frame, or of a track that is not there.
    mutating func stamps(of packet: Packet) -> Stamps? {
        if origin == nil, packet.track == .video, packet.isKey {
            origin = video.from.duration(ticks: packet.dts ?? packet.pts ?? 0)
        }
        guard let origin else { return nil }
        switch packet.track {
        case .video: return video.place(packet, origin: origin)
        case .audio:
            let placed = audio?.place(packet, origin: origin)
            return placed.flatMap { $0.dts < 0 ? nil : $0 }
        }
    }

    /// For a packet without content, which must not push those that follow; nil before the first key frame.
    mutating func emptyStamps() -> Stamps? {
        guard let last = video.last else { return nil }
        let dts = video.next(last + 1)
        return Stamps(pts: dts, dts: dts, duration: 0)
    }
}
