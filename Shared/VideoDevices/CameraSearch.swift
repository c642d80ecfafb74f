internal import Domain

/// Finds the camera that a name of the configuration means.
///
/// The name itself comes first. If another camera answers there, or none, and the one that was open before is somewhere
/// else now, it is that one: a camera that is plugged in again may come back as another node. A camera that is
/// certainly another one does not take its place unasked, nor does one that a name shared by several leads to.
struct CameraSearch {
    let memory: CameraMemory

    /// Errors: those of `DeviceFault.opening`; `sourceUnavailable` if the node is no camera, or another one.
    func open(_ path: String) throws(CodedError) -> DeviceHandle {
        let node = DeviceDirectory.target(of: path)
        let known = memory.identity
        let outcome = Self.camera(at: node, as: path)
        if case .success(let found) = outcome, known?.matches(found.identity) ?? true { return remembered(found) }
        var twin: CameraMemory.Identity?
        if let known, case .success(let found) = outcome, known.mayBeTwin(found.identity, under: path) {
            twin = found.identity
        }
        // A name that is made to be stable means what it leads to now, unless cameras share it.
        guard let known, twin != nil || !path.hasPrefix("/dev/v4l/") else { return remembered(try outcome.get()) }
        for other in DeviceDirectory.system.nodes() where other != node {
            guard case .success(let found) = Self.camera(at: other, as: other), known.matches(found.identity)
            else { continue }
            return remembered(found)
        }
        let found = try outcome.get()
        if let twin {
            throw CodedError(
                .sourceUnavailable,
                "\(path) may be another camera of that kind now, in \(twin.busInfo); the one in \(known.busInfo) is "
                    + "awaited. What tells them apart is their name in /dev/v4l/by-path")
        }
        if known.isCertainlyNot(found.identity) {
            let (name, other) = (known.stableName ?? known.card, found.identity.stableName ?? found.identity.card)
            throw CodedError(
                .sourceUnavailable,
                "\(node) is another camera now, \(other); \(name) is awaited. To take the new one, write its name "
                    + "into the configuration")
        }
        return remembered(found)
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
        let directory = DeviceDirectory.system
        let isUnique = !directory.hasTwin(node)
        let name = directory.stableNames(of: node).first { $0.hasPrefix("/dev/v4l/by-id/") }
        return CameraMemory.Identity(
            stableName: isUnique ? name : nil, card: capability.card, busInfo: capability.busInfo,
            serial: isUnique ? directory.serial(of: node) : nil)
    }
}
