internal import Domain

/// Tells which coded pictures no other picture depends on. Pure.
///
/// H.264: `nal_ref_idc` is 0 (Rec. ITU-T H.264, 7.4.1). H.265: a sub-layer non-reference picture of the highest
/// temporal sub-layer (Rec. ITU-T H.265, 7.4.2.2), since pictures of a higher one may still depend on it.
struct PictureReferences {
    private let codec: ParameterSets.Codec
    private let lengthSize: Int?

    init(codec: ParameterSets.Codec, parameterSets: [UInt8]) {
        self.codec = codec
        lengthSize = ParameterSets.lengthSize(extradata: parameterSets, codec: codec)
    }

    /// Of `packets`, which are in the order of decoding, those that the last one needs, and the last one.
    func needed(_ packets: ArraySlice<Packet>) -> [Packet] {
        let useful = useful(packets)
        return zip(packets, useful).enumerated().compactMap { index, pair in
            pair.1 || index == useful.count - 1 ? pair.0 : nil
        }
    }

    /// Of `packets`, which are in the order of decoding, those that a later one of no higher sub-layer may need.
    func neededLater(_ packets: ArraySlice<Packet>) -> [Packet] {
        zip(packets, useful(packets)).compactMap { packet, isUseful in isUseful ? packet : nil }
    }

    /// Whether others may depend on it, for each.
    private func useful(_ packets: ArraySlice<Packet>) -> [Bool] {
        let headers = packets.map { packet in packet.withBytes(firstSlice) }
        let highest = headers.compactMap { $0?.layer }.max() ?? 0
        return zip(packets, headers).map { packet, header in
            guard !packet.isKey, let header else { return true }
            return header.isReference || header.layer < highest
        }
    }

    private struct SliceHeader {
        var isReference: Bool
        /// The number of the temporal sub-layer as coded; 0 in H.264.
        var layer: UInt8
    }

    /// All slices of a picture agree, so the first one tells.
    private func firstSlice(_ bytes: UnsafeRawBufferPointer) -> SliceHeader? {
        var found: SliceHeader?
        ParameterSets.forEachUnit(in: bytes, lengthSize: lengthSize) { unit in
            guard found == nil, unit.count > 1, codec.isVCL(unit[unit.startIndex]) else { return }
            let first = unit[unit.startIndex]
            switch codec {
            case .h264: found = SliceHeader(isReference: first & 0x60 != 0, layer: 0)
            case .hevc:
                let type = first >> 1 & 0x3f
                // The names of types 0 to 14 that are even end in _N or are reserved for the like.
                let isReference = type > 14 || type % 2 == 1
                found = SliceHeader(isReference: isReference, layer: unit[unit.startIndex + 1] & 7)
            }
        }
        return found
    }
}
