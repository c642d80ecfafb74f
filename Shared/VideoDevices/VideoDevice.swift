package import Domain

/// A camera at this machine, described for people.
package struct VideoDevice: Hashable, Sendable {
    package enum Availability: Hashable, Sendable {
        case free
        /// Somebody streams from it; nobody, if it cannot be seen who.
        case busy([DeviceHolder])
    }

    /// `/dev/video0`.
    package var node: String
    package var card: String
    package var driver: String
    package var busInfo: String
    package var serial: String?
    /// Best first.
    package var stableNames: [String]
    package var modes: [VideoMode]
    package var availability: Availability

    package init(
        node: String, card: String, driver: String, busInfo: String, serial: String?, stableNames: [String],
        modes: [VideoMode], availability: Availability
    ) {
        self.node = node
        self.card = card
        self.driver = driver
        self.busInfo = busInfo
        self.serial = serial
        self.stableNames = stableNames
        self.modes = modes
        self.availability = availability
    }

    /// The node, or why it cannot be looked at; nil if it is no camera (metadata, an output, a codec).
    package static func look(
        at node: String, wish: SourceAddress.V4L2Source? = nil
    ) -> Result<VideoDevice, CodedError>? {
        do throws(CodedError) {
            let handle = try DeviceHandle(DeviceDirectory.target(of: node))
            let capability = try handle.capability()
            guard capability.isCamera else { return nil }
            let isBusy = handle.isBusy
            return .success(
                VideoDevice(
                    node: handle.path, card: capability.card, driver: capability.driver,
                    busInfo: capability.busInfo, serial: DeviceDirectory.system.serial(of: handle.path),
                    stableNames: DeviceDirectory.system.stableNames(of: handle.path),
                    modes: handle.modes(near: ModeWish(wish ?? SourceAddress.V4L2Source(path: node))),
                    availability: isBusy ? .busy(DeviceHolder.all(of: handle.path)) : .free))
        } catch {
            return .failure(error)
        }
    }

    /// Every camera of this machine, by node; and what could not be looked at.
    package static func all() -> [(node: String, outcome: Result<VideoDevice, CodedError>)] {
        DeviceDirectory.system.nodes().compactMap { node in look(at: node).map { (node, $0) } }
    }

    /// What a camera's `source` in the configuration would be: by the name that stays, with the mode that would be
    /// taken. Nil if it has no mode that is read here. A source names whole rates only, so any other is left to the
    /// choice that would be the same.
    package var source: String? {
        let name = stableNames.first ?? node
        guard let choice = ModeChoice.best(for: ModeWish(SourceAddress.V4L2Source(path: name)), among: modes) else {
            return nil
        }
        let rate = choice.rate?.whole.map { "&fps=\($0)" } ?? ""
        return "v4l2://\(name)?size=\(choice.width)x\(choice.height)\(rate)"
    }
}
