internal import Domain

/// Finds the camera that a name of the configuration means.
///
/// The name itself comes first. If another camera answers there, or none, and the one that was open before is somewhere
/// else now, it is that one: a camera that is plugged in again may come back as another node. A camera that is
/// certainly another one does not take its place unasked.
struct CameraSearch {
    let memory: CameraMemory

    /// Errors: those of `DeviceFault.opening`; `sourceUnavailable` if the node is no camera, or another one.
    func open(_ path: String) throws(CodedError) -> DeviceHandle {
        let node = DeviceDirectory.target(of: path)
        let known = memory.identity
        let outcome = Self.camera(at: node, as: path)
        if case .success(let found) = outcome, known?.matches(found.identity) ?? true { return remembered(found) }
        // A name that is made to be stable means what it leads to now.
        if let known, !path.hasPrefix("/dev/v4l/") {
            for other in DeviceDirectory.nodes() where other != node {
                guard case .success(let found) = Self.camera(at: other, as: other), known.matches(found.identity)
                else { continue }
                return remembered(found)
            }
            if case .success(let found) = outcome, known.isCertainlyNot(found.identity) {
                let (name, other) = (known.stableName ?? known.card, found.identity.stableName ?? found.identity.card)
                throw CodedError(
                    .sourceUnavailable,
                    "\(node) is another camera now, \(other); \(name) is awaited. To take the new one, write its name "
                        + "into the configuration")
            }
        }
        return remembered(try outcome.get())
    }

    private typealias Found = (handle: DeviceHandle, identity: CameraMemory.Identity)

    private func remembered(_ found: Found) -> DeviceHandle {
        memory.remember(found.identity, at: found.handle.path)
        return found.handle
    }

    private static func camera(at node: String, as name: String) -> Result<Found, CodedError> {
        do throws(CodedError) {
            let handle = try DeviceHandle(node)
            let capability = try handle.capability()
            guard capability.isCamera else {
                throw CodedError(.sourceUnavailable, "\(name) (\(capability.card)) is no camera: it gives no pictures")
            }
            return .success((handle, identity(of: node, capability)))
        } catch {
            return .failure(error)
        }
    }

    private static func identity(
        of node: String, _ capability: DeviceHandle.Capability
    ) -> CameraMemory.Identity {
        let name = DeviceDirectory.stableNames(of: node).first { $0.hasPrefix("/dev/v4l/by-id/") }
        return CameraMemory.Identity(
            stableName: DeviceDirectory.hasTwin(node) ? nil : name, card: capability.card, busInfo: capability.busInfo)
    }
}
