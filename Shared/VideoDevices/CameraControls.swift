package import Domain

/// A camera's controls at run time, whether it streams or not. Blocks on the device.
package enum CameraControls {
    /// Sets what is wished, now and whenever the camera is opened again, and reads all of them. `refused`: what the
    /// camera did not take, while it took the rest.
    ///
    /// All or nothing of what is wrong in itself: a name that the camera does not have, or a value out of its range, is
    /// an error before anything is set. Errors: `invalidArgument`, and those of opening the device.
    package static func turn(
        _ wishes: [ControlName: ControlSetting], of source: SourceAddress.V4L2Source, memory: CameraMemory
    ) throws(CodedError) -> (controls: [CameraControl], refused: [ControlName: CodedError]) {
        let handle = try CameraSearch(memory: memory).open(source.path)
        let known = handle.controls().map(\.shown)
        for name in wishes.keys.sorted() {
            guard let wish = wishes[name] else { continue }
            guard let control = known.first(where: { $0.name == name }) else {
                let all = known.map(\.name.rawValue).joined(separator: ", ")
                throw CodedError(.invalidArgument, "\(name): the camera has no such control; it has \(all)")
            }
            _ = try control.value(of: wish)
        }
        let refused = handle.set(wishes)
        memory.take(wishes, refused: refused)
        return (handle.controls().map(\.shown), refused)
    }
}
