internal import CAVFormat
internal import CAVShim
package import Domain

/// One access unit of video or one frame of audio: it owns one `AVPacket`, whose data is referenced, never copied.
///
/// Sources create it; the pipeline may repair its timestamps before anyone else sees it; after that it is read only,
/// by the ring, the segment writer and every other sink at the same time.
///
/// Unchecked Sendable by that rule: `setTimestamps` is called before the packet is shared, and nothing else writes.
package final class Packet: @unchecked Sendable {
    package let track: TrackKind
    /// When the source handed it over.
    package let arrival: MonotonicTime
    let raw: UnsafeMutablePointer<AVPacket>

    /// Takes over what `source` references and leaves it blank.
    init(moving source: UnsafeMutablePointer<AVPacket>, track: TrackKind, arrival: MonotonicTime) throws(CodedError) {
        guard let raw = av_packet_alloc() else { throw CodedError(.internal, "no memory for a packet") }
        av_packet_move_ref(raw, source)
        self.raw = raw
        self.track = track
        self.arrival = arrival
    }

    deinit {
        var packet: UnsafeMutablePointer<AVPacket>? = raw
        av_packet_free(&packet)
    }

    /// In ticks of the track's time base; nil where the source did not say (`AV_NOPTS_VALUE`).
    package var pts: Int64? { ticks(raw.pointee.pts) }
    package var dts: Int64? { ticks(raw.pointee.dts) }
    /// In ticks; 0 where unknown.
    package var duration: Int64 { raw.pointee.duration }
    /// A decoder can begin here.
    package var isKey: Bool { raw.pointee.flags & AV_PKT_FLAG_KEY != 0 }
    package var byteCount: Int { Int(raw.pointee.size) }

    /// The coded bytes, valid inside `body` only.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try body(UnsafeRawBufferPointer(start: raw.pointee.data, count: byteCount))
    }

    /// Replaces the timestamps. Only the pipeline calls it, and only before the packet is shared.
    package func setTimestamps(pts: Int64?, dts: Int64?, duration: Int64) {
        raw.pointee.pts = pts ?? cav_nopts_value()
        raw.pointee.dts = dts ?? cav_nopts_value()
        raw.pointee.duration = duration
    }

    private func ticks(_ value: Int64) -> Int64? { value == cav_nopts_value() ? nil : value }
}
