/// What the markers of a coded picture say, if it is a JPEG (Rec. ITU-T T.81, annex B). Pure.
package struct JPEGMarkers: Hashable, Sendable {
    package private(set) var width = 0
    package private(set) var height = 0
    /// Cameras leave them out where both sides know the usual ones; a viewer of files does not.
    package private(set) var hasHuffmanTables = false
    /// Up to and with the end marker, without what a container has padded; nil where there is no end marker.
    package private(set) var length: Int?

    /// Nil where the bytes do not begin as a picture does or state no size.
    package init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count > 4, bytes[0] == 0xff, bytes[1] == Marker.start else { return nil }
        var offset = 2
        while offset + 4 <= bytes.count, bytes[offset] == 0xff {
            let marker = bytes[offset + 1]
            // A marker may have any number of fill bytes before it.
            guard marker != 0xff else {
                offset += 1
                continue
            }
            if marker == Marker.scan { break }
            if marker == Marker.huffmanTables { hasHuffmanTables = true }
            if Marker.isFrame(marker), offset + 9 <= bytes.count {
                height = Int(bytes[offset + 5]) << 8 | Int(bytes[offset + 6])
                width = Int(bytes[offset + 7]) << 8 | Int(bytes[offset + 8])
            }
            offset += 2 + max(2, Int(bytes[offset + 2]) << 8 | Int(bytes[offset + 3]))
        }
        guard width > 0, height > 0 else { return nil }
        var end = bytes.count
        while end > 0, bytes[end - 1] == 0 { end -= 1 }
        if end > offset, bytes[end - 2] == 0xff, bytes[end - 1] == Marker.end { length = end }
    }

    /// Whether there is an end marker, wherever: some cameras leave remains of other pictures behind it. Coded samples
    /// hold none (Rec. ITU-T T.81, F.1.2.3), so a picture that lost its end has none, unless a preview in its head
    /// does.
    static func hasEnd(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var place = bytes.count - 1
        while place > 0 {
            if bytes[place] == Marker.end, bytes[place - 1] == 0xff { return true }
            place -= 1
        }
        return false
    }

    private enum Marker {
        static let start: UInt8 = 0xd8
        static let end: UInt8 = 0xd9
        static let scan: UInt8 = 0xda
        static let huffmanTables: UInt8 = 0xc4

        /// SOF0 to SOF15; three numbers in between mean something else.
        static func isFrame(_ marker: UInt8) -> Bool {
            (0xc0...0xcf).contains(marker) && ![huffmanTables, 0xc8, 0xcc].contains(marker)
        }
    }
}
