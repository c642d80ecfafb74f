internal import CV4L2
internal import CV4LShim
internal import Domain

/// What a device lets one turn.
extension DeviceHandle {
    /// A control with the number that the driver knows it by.
    struct Control {
        var id: UInt32
        var shown: CameraControl
    }

    /// More are left out.
    private static let controlsMax = 128
    private static let menuItemsMax: Int32 = 64

    /// Those that can be set: numbers, flags and menus, in the driver's order.
    func controls() -> [Control] {
        var found: [Control] = []
        var id = UInt32(V4L2_CTRL_FLAG_NEXT_CTRL)
        for _ in 0..<Self.controlsMax {
            var raw = v4l2_queryctrl()
            raw.id = id
            guard cv4l_query_control(descriptor, &raw) == 0 else { break }
            id = raw.id | UInt32(V4L2_CTRL_FLAG_NEXT_CTRL)
            if let control = control(raw), !found.contains(where: { $0.shown.name == control.shown.name }) {
                found.append(control)
            }
        }
        return found
    }

    private func control(_ raw: v4l2_queryctrl) -> Control? {
        let unsettable =
            UInt32(V4L2_CTRL_FLAG_DISABLED) | UInt32(V4L2_CTRL_FLAG_READ_ONLY)
            | UInt32(V4L2_CTRL_FLAG_WRITE_ONLY)
        guard raw.flags & unsettable == 0, let name = ControlName(title: text(of: raw.name)) else { return nil }
        let kind: CameraControl.Kind
        switch v4l2_ctrl_type(raw.type) {
        case V4L2_CTRL_TYPE_INTEGER: kind = .number
        case V4L2_CTRL_TYPE_BOOLEAN: kind = .flag
        case V4L2_CTRL_TYPE_MENU, V4L2_CTRL_TYPE_INTEGER_MENU: kind = .menu
        default: return nil
        }
        var value = v4l2_control(id: raw.id, value: 0)
        guard cv4l_get_control(descriptor, &value) == 0 else { return nil }
        return Control(
            id: raw.id,
            shown: CameraControl(
                name: name, kind: kind, value: Int(value.value), min: Int(raw.minimum), max: Int(raw.maximum),
                step: Int(raw.step), default: Int(raw.default_value), menu: kind == .menu ? menu(raw) : nil,
                inactive: raw.flags & UInt32(V4L2_CTRL_FLAG_INACTIVE) != 0))
    }

    private func menu(_ control: v4l2_queryctrl) -> [CameraControl.MenuItem] {
        guard let indexes = Self.menuIndexes(control.minimum, control.maximum) else { return [] }
        return indexes.compactMap { index in
            var raw = v4l2_querymenu()
            raw.id = control.id
            raw.index = UInt32(index)
            guard cv4l_query_menu(descriptor, &raw) == 0 else { return nil }
            let isNumber = v4l2_ctrl_type(control.type) == V4L2_CTRL_TYPE_INTEGER_MENU
            return CameraControl.MenuItem(value: Int(index), name: isNumber ? "\(raw.value)" : text(of: raw.name))
        }
    }

    /// Of the items of a menu; nil where a driver's numbers make no sense.
    static func menuIndexes(_ minimum: Int32, _ maximum: Int32) -> ClosedRange<Int32>? {
        guard minimum >= 0, minimum <= maximum else { return nil }
        return minimum...min(maximum, minimum.addingClamped(menuItemsMax))
    }

    /// Sets each; answers why one was not, by name. Switches and menus come first: they decide what else can be set.
    func set(_ wishes: [ControlName: ControlSetting]) -> [ControlName: CodedError] {
        guard !wishes.isEmpty else { return [:] }
        var refused: [ControlName: CodedError] = [:]
        let known = controls()
        for name in wishes.keys where !known.contains(where: { $0.shown.name == name }) {
            let all = known.map(\.shown.name.rawValue).joined(separator: ", ")
            refused[name] = CodedError(.invalidArgument, "\(name): the camera has no such control; it has \(all)")
        }
        for control in known.filter({ $0.shown.kind != .number }) + known.filter({ $0.shown.kind == .number }) {
            guard let wish = wishes[control.shown.name] else { continue }
            do throws(CodedError) {
                try set(control, to: wish)
            } catch {
                refused[control.shown.name] = error
            }
        }
        return refused
    }

    private func set(_ control: Control, to wish: ControlSetting) throws(CodedError) {
        var raw = v4l2_control(id: control.id, value: Int32(clamping: try control.shown.value(of: wish)))
        let code = cv4l_set_control(descriptor, &raw)
        guard code == 0 else { throw DeviceFault.call("\(control.shown.name): the camera refuses the value", code) }
    }

    /// False if the device knows no such wish.
    func forceKeyFrame() -> Bool {
        var raw = v4l2_control(id: cv4l_force_key_frame(), value: 1)
        return cv4l_set_control(descriptor, &raw) == 0
    }
}
