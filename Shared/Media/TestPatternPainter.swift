/// Paints the pictures of the test pattern into planar YUV 4:2:0: colour bars, a block that moves, the frame's number
/// in large digits for the eye, and the same number as a strip of black and white cells for the machine. Pure.
///
/// The strip is two rows of 16 cells at the top edge, the most significant bit first; white is 1.
package struct TestPatternPainter: Sendable {
    package let width: Int
    package let height: Int

    package init(width: Int, height: Int) {
        self.width = width
        self.height = height
    }

    /// One plane of a picture.
    package struct Plane {
        package var bytes: UnsafeMutablePointer<UInt8>
        package var stride: Int
        package init(bytes: UnsafeMutablePointer<UInt8>, stride: Int) {
            self.bytes = bytes
            self.stride = stride
        }
    }

    /// 75% colour bars (Rec. ITU-R BT.601): white, yellow, cyan, green, magenta, red, blue.
    private static let bars: [(y: UInt8, u: UInt8, v: UInt8)] = [
        (180, 128, 128), (162, 44, 142), (131, 156, 44), (112, 72, 58), (84, 184, 198), (65, 100, 212), (35, 212, 114),
    ]
    private static let black: UInt8 = 16
    private static let white: UInt8 = 235
    private static let grey: UInt8 = 128
    private static let cellsPerRow = 16
    private static let digitCount = 6

    /// Five columns by seven rows each, a row in five bits.
    private static let digits: [[UInt8]] = [
        [14, 17, 19, 21, 25, 17, 14], [4, 12, 4, 4, 4, 4, 14], [14, 17, 1, 2, 4, 8, 31], [31, 2, 4, 2, 1, 17, 14],
        [2, 6, 10, 18, 31, 2, 2], [31, 16, 30, 1, 1, 17, 14], [6, 8, 16, 30, 17, 17, 14], [31, 1, 2, 4, 8, 8, 8],
        [14, 17, 17, 14, 17, 17, 14], [14, 17, 17, 15, 1, 2, 12],
    ]

    private var cellWidth: Int { width / Self.cellsPerRow & ~1 }
    private var cellHeight: Int { max(8, height / 20) & ~1 }

    package func paint(_ number: UInt32, luma: Plane, u: Plane, v: Plane) {
        paintBars(luma, u, v)
        let side = max(8, height / 8) & ~1
        let x = Int(number) * 4 % max(1, width - side) & ~1
        fill(luma, x, height - side, side, side, Self.white)
        paintDigits(number, luma, u, v)
        paintStrip(number, luma, u, v)
    }

    /// The number that the strip of a picture shows.
    package func number(luma: UnsafePointer<UInt8>, stride: Int) -> UInt32 {
        var number: UInt32 = 0
        for bit in 0..<2 * Self.cellsPerRow {
            let x = bit % Self.cellsPerRow * cellWidth
            let y = bit / Self.cellsPerRow * cellHeight
            var sum = 0
            for row in y + cellHeight / 4..<y + cellHeight - cellHeight / 4 {
                for column in x + cellWidth / 4..<x + cellWidth - cellWidth / 4 {
                    sum += Int(luma[row * stride + column]) - Int(Self.grey)
                }
            }
            number = number << 1 | (sum > 0 ? 1 : 0)
        }
        return number
    }

    private func paintBars(_ luma: Plane, _ u: Plane, _ v: Plane) {
        for (index, bar) in Self.bars.enumerated() {
            let left = width * index / Self.bars.count & ~1
            let right = index == Self.bars.count - 1 ? width : width * (index + 1) / Self.bars.count & ~1
            fill(luma, left, 0, right - left, height, bar.y)
            fill(u, left / 2, 0, (right - left) / 2, height / 2, bar.u)
            fill(v, left / 2, 0, (right - left) / 2, height / 2, bar.v)
        }
    }

    private func paintStrip(_ number: UInt32, _ luma: Plane, _ u: Plane, _ v: Plane) {
        let total = cellWidth * Self.cellsPerRow
        fill(u, 0, 0, total / 2, cellHeight, Self.grey)
        fill(v, 0, 0, total / 2, cellHeight, Self.grey)
        for bit in 0..<2 * Self.cellsPerRow {
            let isSet = number >> UInt32(31 - bit) & 1 == 1
            fill(
                luma, bit % Self.cellsPerRow * cellWidth, bit / Self.cellsPerRow * cellHeight, cellWidth, cellHeight,
                isSet ? Self.white : Self.black)
        }
    }

    private func paintDigits(_ number: UInt32, _ luma: Plane, _ u: Plane, _ v: Plane) {
        let scale = max(1, width / (Self.digitCount * 6 + 6))
        let boxWidth = (Self.digitCount * 6 + 1) * scale & ~1
        let boxHeight = 9 * scale & ~1
        let left = (width - boxWidth) / 2 & ~1
        let top = max(2 * cellHeight, (height - boxHeight) / 2) & ~1
        guard top + boxHeight <= height else { return }
        fill(luma, left, top, boxWidth, boxHeight, Self.black)
        fill(u, left / 2, top / 2, boxWidth / 2, boxHeight / 2, Self.grey)
        fill(v, left / 2, top / 2, boxWidth / 2, boxHeight / 2, Self.grey)
        var rest = number
        for place in (0..<Self.digitCount).reversed() {
            let rows = Self.digits[Int(rest % 10)]
            rest /= 10
            for (row, bits) in rows.enumerated() {
                for column in 0..<5 where bits >> UInt8(4 - column) & 1 == 1 {
                    let x = left + (place * 6 + 1 + column) * scale
                    fill(luma, x, top + (row + 1) * scale, scale, scale, Self.white)
                }
            }
        }
    }

    private func fill(_ plane: Plane, _ x: Int, _ y: Int, _ width: Int, _ height: Int, _ value: UInt8) {
        guard width > 0 else { return }
        for row in y..<y + height {
            (plane.bytes + row * plane.stride + x).update(repeating: value, count: width)
        }
    }
}
