/// What a camera lets one turn: brightness, focus, exposure and the like.

/// A control's name as `v4l2-ctl --list-ctrls` prints it: `white_balance_automatic`. 1 to 63 of `a-z`, `0-9`, `_`.
package struct ControlName: CheckedText {
    package let rawValue: String
    package static let lengthMax = 63

    package init?(rawValue: String) {
        guard !rawValue.isEmpty, rawValue.utf8.count <= Self.lengthMax,
            rawValue.utf8.allSatisfy({ $0.isLowerAlphanumeric || $0 == UInt8(ascii: "_") })
        else { return nil }
        self.rawValue = rawValue
    }

    /// From the driver's words: `White Balance, Automatic`. What is neither letter nor digit becomes one `_`.
    package init?(title: String) {
        var name = ""
        for byte in title.utf8 {
            let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            if lower.isLowerAlphanumeric {
                name.unicodeScalars.append(Unicode.Scalar(lower))
            } else if !name.isEmpty, !name.hasSuffix("_") {
                name += "_"
            }
        }
        while name.hasSuffix("_") { name.removeLast() }
        self.init(rawValue: String(name.prefix(Self.lengthMax)))
    }
}

/// What somebody wants a control to be.
package enum ControlSetting: Hashable, Sendable, Codable {
    /// Its value; 1 and 0 for on and off.
    case number(Int)
    /// An entry of a menu by its words, or `default`.
    case word(String)

    package static let wordBytesMax = 64
    /// What puts a control back.
    package static let defaultWord = "default"
}

/// One control of a camera, as it stands.
package struct CameraControl: Hashable, Sendable, Codable {
    package enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        case number, flag, menu
    }

    package var name: ControlName
    package var kind: Kind
    package var value: Int
    package var min: Int
    package var max: Int
    package var step: Int
    package var `default`: Int
    /// For a menu: the words of each value.
    package var menu: [MenuItem]?
    /// The camera does not take a value now, as a rule because an automatic does it.
    package var inactive: Bool

    package struct MenuItem: Hashable, Sendable, Codable {
        package var value: Int
        package var name: String

        package init(value: Int, name: String) {
            self.value = value
            self.name = name
        }
    }

    package init(
        name: ControlName, kind: Kind, value: Int, min: Int, max: Int, step: Int, default: Int,
        menu: [MenuItem]? = nil, inactive: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.value = value
        self.min = min
        self.max = max
        self.step = step
        self.default = `default`
        self.menu = menu
        self.inactive = inactive
    }

    /// The value that a setting means. Errors: `invalidArgument`, with what would be taken.
    package func value(of setting: ControlSetting) throws(CodedError) -> Int {
        switch setting {
        case .word(ControlSetting.defaultWord): return self.default
        case .word(let word):
            let wanted = word.lowercased()
            guard let item = menu?.first(where: { $0.name.lowercased() == wanted }) else {
                throw CodedError(.invalidArgument, "\(name): expected \(expected)")
            }
            return item.value
        case .number(let number):
            guard (min...Swift.max(min, max)).contains(number), step <= 1 || (number - min) % step == 0,
                menu.map({ $0.contains { $0.value == number } }) ?? true
            else { throw CodedError(.invalidArgument, "\(name): expected \(expected)") }
            return number
        }
    }

    private var expected: String {
        switch kind {
        case .flag: "true or false"
        case .number: "\(min) to \(max)" + (step > 1 ? " in steps of \(step)" : "")
        case .menu: (menu ?? []).map { "\($0.value) (\($0.name))" }.joined(separator: ", ")
        }
    }
}
