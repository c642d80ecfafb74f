package import Media

/// How raw pictures lie in memory.
extension CameraFormat.RawLayout {
    /// One plane of samples: bytes of a row that mean something, rows, and how its stride follows from the first one's.
    package struct Plane: Hashable, Sendable {
        package var rowBytes: Int
        package var rows: Int
        package var strideDivisor: Int
    }

    package func planes(width: Int, height: Int) -> [Plane] {
        let halves = (width: (width + 1) / 2, height: (height + 1) / 2)
        switch self {
        case .yuyv422, .uyvy422, .yvyu422:
            return [Plane(rowBytes: halves.width * 4, rows: height, strideDivisor: 1)]
        case .rgb24, .bgr24: return [Plane(rowBytes: width * 3, rows: height, strideDivisor: 1)]
        case .gray: return [Plane(rowBytes: width, rows: height, strideDivisor: 1)]
        case .nv12, .nv21:
            return [
                Plane(rowBytes: width, rows: height, strideDivisor: 1),
                Plane(rowBytes: halves.width * 2, rows: halves.height, strideDivisor: 1),
            ]
        case .yuv420p:
            let chroma = Plane(rowBytes: halves.width, rows: halves.height, strideDivisor: 2)
            return [Plane(rowBytes: width, rows: height, strideDivisor: 1), chroma, chroma]
        }
    }

    /// The bytes of a picture without padding.
    package func byteCount(width: Int, height: Int) -> Int {
        planes(width: width, height: height).reduce(0) { $0 + $1.rowBytes * $1.rows }
    }

    /// Of a picture whose first plane has rows of `stride` bytes; the last row may lack its padding.
    package func byteCount(width: Int, height: Int, stride: Int) -> Int {
        let planes = planes(width: width, height: height)
        let whole = planes.reduce(0) { $0 + stride / $1.strideDivisor * $1.rows }
        guard let last = planes.last else { return whole }
        return whole - stride / last.strideDivisor + last.rowBytes
    }

    /// Copies a padded picture of at least `byteCount(width:height:stride:)` bytes to memory of
    /// `byteCount(width:height:)`.
    package func pack(
        _ padded: UnsafeRawPointer, stride: Int, width: Int, height: Int, into packed: UnsafeMutableRawPointer
    ) {
        var (source, target) = (0, 0)
        for plane in planes(width: width, height: height) {
            for _ in 0..<plane.rows {
                (packed + target).copyMemory(from: padded + source, byteCount: plane.rowBytes)
                source += stride / plane.strideDivisor
                target += plane.rowBytes
            }
        }
    }
}
