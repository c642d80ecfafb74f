internal import CAVFormat
internal import CAVShim
package import Domain

extension SegmentFileReader {
    /// Reads every packet of a segment through libavformat, and compares what it finds with what the boxes say:
    /// counts, growing decode times, a key frame first, duration. `decode`: decodes every picture as well.
    ///
    /// What is wrong with the file stands in the result; errors are for what prevents the reading:
    /// `storageFailed`.
    package static func verify(_ path: String, decode: Bool = false) throws(CodedError) -> SegmentVerification {
        let inspection = try inspect(path)
        var check = PacketCheck(inspection)
        do throws(CodedError) {
            let input = try LibavInput(url: path, name: path, isFile: true, audio: true, wake: WakeSignal.never)
            try check.read(input, decode: decode)
        } catch {
            guard error.code != .internal else { throw error }
            check.report("\(error)")
        }
        return check.verdict()
    }
}

extension WakeSignal {
    /// For reading files on disk, which nobody interrupts.
    static let never = WakeSignal()
}

/// Adds up the packets of one file for `verify`.
private struct PacketCheck {
    private var result: SegmentVerification
    private var lastDTS: [Int32: Int64] = [:]
    private var videoTimeBase = TimeBase.mpeg
    private var videoEnd: Int64 = 0
    private var firstKeyPTS: Int64?

    init(_ inspection: SegmentInspection) {
        result = SegmentVerification(
            inspection: inspection, videoFrames: 0, audioPackets: 0, keyFrames: 0, duration: .zero,
            decodedFrames: nil, leadingFrames: 0, faults: [])
    }

    mutating func report(_ fault: String) {
        if result.faults.count < SegmentVerification.faultsMax { result.faults.append(fault) }
    }

    mutating func read(_ input: LibavInput, decode: Bool) throws(CodedError) {
        guard let packet = av_packet_alloc(), let stream = input.stream(input.videoIndex) else {
            throw CodedError(.internal, "no memory for a packet")
        }
        defer {
            var used: UnsafeMutablePointer<AVPacket>? = packet
            av_packet_free(&used)
        }
        videoTimeBase = stream.pointee.timeBase
        let codec = ParameterSets.Codec(name: LibavInput.codecName(stream.pointee.codecpar))
        let tracker = codec.map { _ in FormatTracker(stream.pointee.codecpar) }
        let decoder = decode ? try PictureDecoder(stream.pointee.codecpar) : nil
        var code = input.read(packet)
        while code >= 0 {
            if packet.pointee.stream_index == input.videoIndex {
                take(video: packet, lengthSize: tracker?.lengthSize, codec: codec)
                if decoder?.decode(packet) == false { report("frame \(result.videoFrames - 1) does not decode") }
            } else {
                result.audioPackets += 1
                checkOrder(packet)
            }
            av_packet_unref(packet)
            code = input.read(packet)
        }
        // Of the last packet libav may state the usual duration instead of the file's own; the track's is right.
        videoEnd = max(0, stream.pointee.duration)
        if code != cav_error_eof() { report("reading ended early: \(LibavError.text(code))") }
        if let decoder {
            _ = decoder.decode(nil)
            result.decodedFrames = decoder.pictures
            if decoder.faultyPictures > 0 { report("\(decoder.faultyPictures) pictures decode with errors") }
        }
    }

    private mutating func take(video packet: UnsafePointer<AVPacket>, lengthSize: Int?, codec: ParameterSets.Codec?) {
        let isKey = packet.pointee.flags & AV_PKT_FLAG_KEY != 0
        if result.videoFrames == 0, !isKey { report("the first frame is no key frame") }
        if packet.pointee.flags & AV_PKT_FLAG_CORRUPT != 0 { report("frame \(result.videoFrames) is cut short") }
        if let lengthSize, let codec, !Self.isWellFormed(packet, lengthSize, codec) {
            report("frame \(result.videoFrames) is not a row of whole NAL units with a picture in it")
        }
        let first = firstKeyPTS ?? packet.pointee.pts
        firstKeyPTS = first
        if packet.pointee.pts < first { result.leadingFrames += 1 }
        result.videoFrames += 1
        if isKey { result.keyFrames += 1 }
        checkOrder(packet)
    }

    /// The lengths must add up to the packet's exactly, and a coded slice must be among the units.
    private static func isWellFormed(
        _ packet: UnsafePointer<AVPacket>, _ lengthSize: Int, _ codec: ParameterSets.Codec
    ) -> Bool {
        let bytes = UnsafeRawBufferPointer(start: packet.pointee.data, count: Int(packet.pointee.size))
        var sum = 0
        var hasSlice = false
        ParameterSets.forEachUnit(in: bytes, lengthSize: lengthSize) { unit in
            sum += unit.count + lengthSize
            // The forbidden bit is 0 in every NAL unit.
            if let first = unit.first, first & 0x80 == 0, codec.isVCL(first) { hasSlice = true }
        }
        return sum == bytes.count && hasSlice
    }

    private mutating func checkOrder(_ packet: UnsafePointer<AVPacket>) {
        let track = packet.pointee.stream_index
        guard packet.pointee.dts != cav_nopts_value() else { return report("a packet has no decode time") }
        if let last = lastDTS[track], packet.pointee.dts <= last {
            report("decode time \(packet.pointee.dts) of track \(track) does not grow")
        }
        lastDTS[track] = packet.pointee.dts
    }

    func verdict() -> SegmentVerification {
        var check = self
        check.result.duration = videoTimeBase.duration(ticks: videoEnd)
        let inspection = result.inspection
        if inspection.isTorn { check.report("\(inspection.fileBytes - inspection.completeBytes) bytes of a torn part") }
        if inspection.manifest == nil { check.report("no manifest") }
        if result.videoFrames != inspection.videoFrames {
            check.report("\(result.videoFrames) frames where the parts list \(inspection.videoFrames)")
        }
        if result.audioPackets != inspection.audioPackets {
            check.report("\(result.audioPackets) audio packets where the parts list \(inspection.audioPackets)")
        }
        let difference = check.result.duration - inspection.duration
        if abs(difference.nanoseconds) > 1_000_000 {
            check.report("lasts \(check.result.duration.seconds) s where the parts list \(inspection.duration.seconds)")
        }
        return check.result
    }
}
