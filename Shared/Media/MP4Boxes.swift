internal import Domain

/// Reads the boxes of ISO/IEC 14496-12 that a segment consists of. Pure: bytes in, values out; every length is checked
/// against what there is, because a torn file may hold anything.
struct BoxBytes {
    let bytes: ArraySlice<UInt8>

    /// The boxes that follow one another in these bytes, as far as they are whole.
    var children: [(type: String, body: BoxBytes)] {
        var found: [(String, BoxBytes)] = []
        var rest = bytes
        while let header = BoxHeader(rest.prefix(BoxHeader.lengthMax)), header.size <= rest.count {
            let end = rest.startIndex + Int(header.size)
            found.append((header.type, BoxBytes(bytes: rest[rest.startIndex + header.length..<end])))
            rest = rest[end...]
        }
        return found
    }

    func child(_ type: String) -> BoxBytes? { children.first { $0.type == type }?.body }

    func skipping(_ count: Int) -> BoxBytes { BoxBytes(bytes: bytes.dropFirst(count)) }

    /// Big-endian, at an offset from the start; nil beyond the end.
    func number(at offset: Int, bytes count: Int) -> UInt64? {
        guard offset >= 0, offset + count <= bytes.count else { return nil }
        let start = bytes.startIndex + offset
        return bytes[start..<start + count].reduce(0) { $0 << 8 | UInt64($1) }
    }

    func text(at offset: Int, count: Int) -> String? {
        guard offset >= 0, offset + count <= bytes.count else { return nil }
        let start = bytes.startIndex + offset
        return String(decoding: bytes[start..<start + count], as: UTF8.self)
    }
}

/// The first bytes of a box: its whole size, 32 or 64 bits, and its type.
struct BoxHeader {
    static let lengthMax = 16
    let type: String
    /// Of the whole box, header included.
    let size: Int64
    let length: Int

    /// Nil for what cannot be the start of a box: too short, a type that is not printable, or "until the end".
    init?(_ bytes: ArraySlice<UInt8>) {
        let box = BoxBytes(bytes: bytes)
        guard let short = box.number(at: 0, bytes: 4), let type = box.text(at: 4, count: 4),
            bytes.dropFirst(4).prefix(4).allSatisfy({ $0 == 0xa9 || (0x20..<0x7f).contains($0) })
        else { return nil }
        let isLong = short == 1
        let size = isLong ? box.number(at: 8, bytes: 8) : short
        let length = isLong ? 16 : 8
        guard let size, size >= UInt64(length), size <= UInt64(Int64.max) else { return nil }
        self.type = type
        self.size = Int64(size)
        self.length = length
    }
}

/// What `moov` says: the tracks and the comment.
struct MovieHeader {
    struct Track {
        var id: UInt64
        /// `vide` or `soun`.
        var handler: String
        var timescale: UInt64
    }

    var tracks: [Track] = []
    var comment: String?

    init(_ moov: BoxBytes) {
        for (type, body) in moov.children where type == "trak" {
            if let track = Self.track(body) { tracks.append(track) }
        }
        comment = moov.child("udta").flatMap(Self.comment)
    }

    private static func track(_ trak: BoxBytes) -> Track? {
        guard let header = trak.child("tkhd"), let version = header.number(at: 0, bytes: 1),
            let id = header.number(at: version == 1 ? 20 : 12, bytes: 4), let media = trak.child("mdia"),
            let mediaHeader = media.child("mdhd"), let mediaVersion = mediaHeader.number(at: 0, bytes: 1),
            let timescale = mediaHeader.number(at: mediaVersion == 1 ? 20 : 12, bytes: 4), timescale > 0,
            let handler = media.child("hdlr")?.text(at: 8, count: 4)
        else { return nil }
        return Track(id: id, handler: handler, timescale: timescale)
    }

    /// MP4 keeps it as `meta/ilst/©cmt/data`, QuickTime as `©cmt` with a length and a language before the text.
    private static func comment(_ userData: BoxBytes) -> String? {
        // The copyright sign is one byte, 0xA9, which is no UTF-8 by itself.
        let name = String(decoding: [0xa9, 0x63, 0x6d, 0x74], as: UTF8.self)
        if let items = userData.child("meta")?.skipping(4).child("ilst"),
            let data = items.child(name)?.child("data")
        {
            return data.text(at: 8, count: max(0, data.bytes.count - 8))
        }
        guard let plain = userData.child(name), let count = plain.number(at: 0, bytes: 2) else { return nil }
        return plain.text(at: 4, count: Int(count))
    }
}

/// What one `moof` says of one track.
struct TrackFragment {
    var trackID: UInt64
    var samples: Int
    /// Where the fragment begins on the track's timeline, in its timescale.
    var decodeTime: UInt64
    var duration: UInt64

    /// Nil where a box that must be there is missing or cut.
    init?(_ traf: BoxBytes) {
        guard let header = traf.child("tfhd"), let flags = header.number(at: 0, bytes: 4).map({ $0 & 0xff_ffff }),
            let id = header.number(at: 4, bytes: 4), let time = traf.child("tfdt"),
            let version = time.number(at: 0, bytes: 1),
            let decodeTime = time.number(at: 4, bytes: version == 1 ? 8 : 4)
        else { return nil }
        trackID = id
        self.decodeTime = decodeTime
        samples = 0
        duration = 0
        // tfhd's optional fields in their order: base offset, sample description, default duration.
        let offset = 8 + (flags & 0x1 != 0 ? 8 : 0) + (flags & 0x2 != 0 ? 4 : 0)
        let defaultDuration = flags & 0x8 != 0 ? header.number(at: offset, bytes: 4) : nil
        for (type, run) in traf.children where type == "trun" {
            guard add(run, defaultDuration: defaultDuration) else { return nil }
        }
    }

    private mutating func add(_ run: BoxBytes, defaultDuration: UInt64?) -> Bool {
        guard let flags = run.number(at: 0, bytes: 4).map({ $0 & 0xff_ffff }), let count = run.number(at: 4, bytes: 4)
        else { return false }
        samples += Int(count)
        guard flags & 0x100 != 0 else {
            // Both have 32 bits.
            duration = duration.addingClamped(count * (defaultDuration ?? 0))
            return true
        }
        let first = 8 + (flags & 0x1 != 0 ? 4 : 0) + (flags & 0x4 != 0 ? 4 : 0)
        let stride = [0x100, 0x200, 0x400, 0x800].reduce(0) { $0 + (flags & UInt64($1) != 0 ? 4 : 0) }
        for index in 0..<Int(count) {
            guard let ticks = run.number(at: first + index * stride, bytes: 4) else { return false }
            duration = duration.addingClamped(ticks)
        }
        return true
    }
}
