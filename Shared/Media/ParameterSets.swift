/// Finds and compares the parameter sets of H.264 and H.265 (VPS, SPS, PPS) in access units. Pure.
///
/// An access unit is either Annex B (start codes) or has a length before each NAL unit; which of the two follows from
/// the stream's decoder configuration, as in ISO/IEC 14496-15.
package enum ParameterSets {
    package enum Codec: Sendable {
        case h264, hevc

        package init?(name: String) {
            switch name {
            case "h264": self = .h264
            case "hevc": self = .hevc
            default: return nil
            }
        }

        func type(of unit: Slice<UnsafeRawBufferPointer>) -> UInt8 {
            guard let first = unit.first else { return 0 }
            switch self {
            case .h264: return first & 0x1f
            case .hevc: return first >> 1 & 0x3f
            }
        }

        func isParameterSet(_ type: UInt8) -> Bool {
            switch self {
            case .h264: type == 7 || type == 8
            case .hevc: (32...34).contains(type)
            }
        }

        func isDelimiter(_ type: UInt8) -> Bool { self == .h264 ? type == 9 : type == 35 }

        func isSPS(_ type: UInt8) -> Bool { self == .h264 ? type == 7 : type == 33 }

        /// Coded slices: Rec. ITU-T H.264 table 7-1, H.265 table 7-1.
        package func isVCL(_ firstByte: UInt8) -> Bool {
            switch self {
            case .h264: (1...5).contains(firstByte & 0x1f)
            case .hevc: firstByte >> 1 & 0x3f < 32
            }
        }
    }

    /// How many bytes hold the length of a NAL unit; nil: Annex B.
    package static func lengthSize(extradata: [UInt8], codec: Codec) -> Int? {
        guard extradata.first == 1 else { return nil }
        switch codec {
        case .h264: return extradata.count > 6 ? Int(extradata[4] & 3) + 1 : nil
        case .hevc: return extradata.count > 22 ? Int(extradata[21] & 3) + 1 : nil
        }
    }

    /// Calls `body` with each NAL unit of an access unit, in order, without start code or length.
    package static func forEachUnit(
        in bytes: UnsafeRawBufferPointer, lengthSize: Int?, _ body: (Slice<UnsafeRawBufferPointer>) -> Void
    ) {
        if let lengthSize {
            forEachLengthPrefixedUnit(in: bytes, lengthSize, body)
        } else {
            forEachAnnexBUnit(in: bytes, body)
        }
    }

    private static func forEachLengthPrefixedUnit(
        in bytes: UnsafeRawBufferPointer, _ lengthSize: Int, _ body: (Slice<UnsafeRawBufferPointer>) -> Void
    ) {
        var offset = 0
        while offset + lengthSize <= bytes.count {
            let length = bytes[offset..<offset + lengthSize].reduce(0) { $0 << 8 | Int($1) }
            offset += lengthSize
            guard length <= bytes.count - offset else { return }
            if length > 0 { body(bytes[offset..<offset + length]) }
            offset += length
        }
    }

    private static func forEachAnnexBUnit(
        in bytes: UnsafeRawBufferPointer, _ body: (Slice<UnsafeRawBufferPointer>) -> Void
    ) {
        var start: Int?
        var index = 0
        while index + 3 <= bytes.count {
            if bytes[index + 2] > 1 {
                index += 3
            } else if bytes[index] == 0, bytes[index + 1] == 0, bytes[index + 2] == 1 {
                if let start { report(bytes[start..<index], body) }
                start = index + 3
                index += 3
            } else {
                index += 1
            }
        }
        if let start { report(bytes[start..<bytes.count], body) }
    }

    /// Zeros before the next start code belong to it.
    private static func report(
        _ unit: Slice<UnsafeRawBufferPointer>, _ body: (Slice<UnsafeRawBufferPointer>) -> Void
    ) {
        var unit = unit
        while unit.last == 0 { unit.removeLast() }
        if !unit.isEmpty { body(unit) }
    }

    /// The parameter sets that an access unit carries.
    static func units(
        in bytes: UnsafeRawBufferPointer, codec: Codec, lengthSize: Int?
    ) -> [(type: UInt8, bytes: [UInt8])] {
        var found: [(UInt8, [UInt8])] = []
        forEachUnit(in: bytes, lengthSize: lengthSize) { unit in
            let type = codec.type(of: unit)
            if codec.isParameterSet(type) { found.append((type, Array(unit))) }
        }
        return found
    }

    /// The sets inside a decoder configuration: Annex B, avcC or hvcC; as many as can be read.
    static func units(inExtradata extradata: [UInt8], codec: Codec) -> [[UInt8]] {
        guard extradata.first == 1 else {
            return extradata.withUnsafeBytes { units(in: $0, codec: codec, lengthSize: nil).map(\.bytes) }
        }
        var reader = RecordReader(bytes: extradata)
        switch codec {
        case .h264:
            reader.skip(5)
            reader.takeUnits(count: Int(reader.byte() & 0x1f))
            reader.takeUnits(count: Int(reader.byte()))
        case .hevc:
            reader.skip(22)
            for _ in 0..<reader.byte() {
                reader.skip(1)
                reader.takeUnits(count: reader.short())
            }
        }
        return reader.units
    }

    /// Annex B.
    static func annexB(_ units: [[UInt8]]) -> [UInt8] { units.flatMap { [0, 0, 0, 1] + $0 } }

    /// What an avcC record holds of each kind: five bits, and eight.
    static let avcCSequencesMax = 31
    static let avcCPicturesMax = 255

    /// ISO/IEC 14496-15, 5.3.3.1.2. Nil where there is no SPS, and where the record's counts and lengths cannot hold
    /// what there is.
    static func avcC(_ sets: [(type: UInt8, bytes: [UInt8])], lengthSize: Int) -> [UInt8]? {
        let sps = sets.filter { $0.type == 7 }.map(\.bytes)
        let pps = sets.filter { $0.type == 8 }.map(\.bytes)
        guard let first = sps.first, first.count > 3, sps.count <= avcCSequencesMax, pps.count <= avcCPicturesMax,
            (sps + pps).allSatisfy({ $0.count <= Int(UInt16.max) })
        else { return nil }
        func list(_ units: [[UInt8]]) -> [UInt8] {
            units.flatMap { [UInt8($0.count >> 8), UInt8($0.count & 0xff)] + $0 }
        }
        return [1, first[1], first[2], first[3], 0xfc | UInt8(lengthSize - 1), 0xe0 | UInt8(sps.count)]
            + list(sps) + [UInt8(pps.count)] + list(pps)
    }

    private struct RecordReader {
        let bytes: [UInt8]
        var offset = 0
        var units: [[UInt8]] = []

        init(bytes: [UInt8]) { self.bytes = bytes }

        mutating func skip(_ count: Int) { offset += count }

        mutating func byte() -> UInt8 {
            defer { offset += 1 }
            return offset < bytes.count ? bytes[offset] : 0
        }

        mutating func short() -> Int { Int(byte()) << 8 | Int(byte()) }

        mutating func takeUnits(count: Int) {
            for _ in 0..<count {
                let length = short()
                guard length > 0, offset + length <= bytes.count else { return }
                units.append(Array(bytes[offset..<offset + length]))
                offset += length
            }
        }
    }
}
