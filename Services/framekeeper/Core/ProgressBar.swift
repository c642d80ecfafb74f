/// How a long job tells a terminal how far it is: `[#####.....]  50%  what`.
package struct ProgressBar: Sendable, Hashable {
    package static let width = 30

    /// `fraction` is cut to 0 to 1.
    package static func text(_ fraction: Double, _ label: String) -> String {
        let part = fraction.isFinite ? min(max(fraction, 0), 1) : 0
        let filled = Int(part * Double(width))
        let percent = String(Int(part * 100))
        return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled) + "] "
            + String(repeating: " ", count: 3 - percent.count) + percent + "%  " + label
    }
}
