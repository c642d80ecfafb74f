internal import Domain

/// Gives key frames the parameter sets that they lack, so that a reader who comes late finds them in the stream itself.
/// Pure.
///
/// The sets are those of the format, in the form that its access units have, right behind an access unit delimiter
/// (Rec. ITU-T H.264, 7.4.1.2.3; H.265, 7.4.2.4.4).
struct KeyFrameUnits {
    private let codec: ParameterSets.Codec
    private let lengthSize: Int?
    private let sets: [[UInt8]]

    /// Nil for video that has no parameter sets, and where the access units' lengths cannot hold them.
    init?(_ track: TrackFormat) {
        guard let codec = ParameterSets.Codec(name: track.codecName) else { return nil }
        self.codec = codec
        lengthSize = ParameterSets.lengthSize(extradata: track.parameterSets, codec: codec)
        sets = ParameterSets.units(inExtradata: track.parameterSets, codec: codec)
        if let lengthSize, sets.contains(where: { $0.count >> (8 * lengthSize) > 0 }) { return nil }
    }

    /// The key frame with its sets; nil if it has them.
    func completed(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        guard !sets.isEmpty else { return nil }
        var hasSets = false
        var delimiter: [UInt8] = []
        var rest: [Slice<UnsafeRawBufferPointer>] = []
        ParameterSets.forEachUnit(in: bytes, lengthSize: lengthSize) { unit in
            let type = codec.type(of: unit)
            if codec.isSPS(type) { hasSets = true }
            if codec.isDelimiter(type), rest.isEmpty { delimiter = Array(unit) } else { rest.append(unit) }
        }
        guard !hasSets, !rest.isEmpty else { return nil }
        var whole: [UInt8] = []
        whole.reserveCapacity(bytes.count + sets.reduce(16) { $0 + $1.count + 4 })
        if !delimiter.isEmpty { append(delimiter, to: &whole) }
        for unit in sets { append(unit, to: &whole) }
        for unit in rest { append(unit, to: &whole) }
        return whole
    }

    private func append(_ unit: some Collection<UInt8>, to bytes: inout [UInt8]) {
        if let lengthSize {
            for place in (0..<lengthSize).reversed() { bytes.append(UInt8(unit.count >> (8 * place) & 0xff)) }
        } else {
            bytes += [0, 0, 0, 1]
        }
        bytes += unit
    }
}
