package import Domain

/// Turning a camera's knobs, and how they stand.

/// `cameras/<camera>/controls`: every control that can be set, after each opening of the camera and each change.
package struct ControlsState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/controls"
    package static let delivery = DeliveryClass.state

    /// A wish that the camera did not take, when it was opened or since.
    package struct Refusal: Hashable, Sendable, Codable {
        package var name: ControlName
        package var message: String
        package init(name: ControlName, message: String) {
            self.name = name
            self.message = message
        }
    }

    package var controls: [CameraControl]
    package var refused: [Refusal]

    package init(controls: [CameraControl], refused: [Refusal] = []) {
        self.controls = controls
        self.refused = refused
    }
}

/// `cameras/<camera>/controls/set`: `{"brightness":128,"white_balance_automatic":false,"contrast":"default"}`. An empty
/// object changes nothing and is answered with how they stand.
package struct ControlsCommand: BusCommand {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/controls/set"

    /// More names than any camera has controls.
    package static let settingsMax = 64

    package var settings: [ControlName: ControlSetting]

    package init(settings: [ControlName: ControlSetting]) { self.settings = settings }

    package init(_ text: CommandText) throws(CodedError) {
        guard case .fields(let raw) = text else {
            guard case .word(let word) = text else { preconditionFailure("a command is a word or has fields") }
            throw Self.unknown(word)
        }
        var fields = CommandFields(raw)
        settings = try fields.controls(atMost: Self.settingsMax)
    }
}

extension CommandFields {
    /// Every field that is left, as a control's name with its wish.
    mutating func controls(atMost limit: Int) throws(CodedError) -> [ControlName: ControlSetting] {
        var settings: [ControlName: ControlSetting] = [:]
        let names = rest.keys.sorted()
        guard names.count <= limit else {
            throw CodedError(.invalidArgument, "more than \(limit) controls in one command")
        }
        for key in names {
            guard let name = ControlName(rawValue: key) else {
                throw CodedError(.invalidArgument, "\(key.prefix(40)): a control's name is of a-z, 0-9 and '_'")
            }
            settings[name] = try controlSetting(key)
        }
        return settings
    }

    private mutating func controlSetting(_ key: String) throws(CodedError) -> ControlSetting {
        switch rest.removeValue(forKey: key) {
        case .bool(let isOn)?: return .number(isOn ? 1 : 0)
        case .string(let word)?:
            guard !word.isEmpty, word.utf8.count <= ControlSetting.wordBytesMax else { break }
            return .word(word)
        case .number(let number)?:
            guard let whole = Int32(exactly: number) else { break }
            return .number(Int(whole))
        case nil, .null?, .array?, .object?: break
        }
        throw CodedError(
            .invalidArgument, "\(key): expected a whole number, true or false, the words of a menu, or \"default\"")
    }
}
