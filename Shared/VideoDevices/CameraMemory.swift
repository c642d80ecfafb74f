package import Domain
internal import Synchronization

/// What a worker keeps of its camera from one opening to the next: which device it was, and how its controls are to be
/// set. Any thread may use it.
package final class CameraMemory: Sendable {
    /// What tells one camera from another of its kind.
    package struct Identity: Hashable, Sendable {
        /// Its name in /dev/v4l/by-id, if udev gives it one.
        package var stableName: String?
        package var card: String
        /// The port that it is in.
        package var busInfo: String
        /// Nil where it has none of its own.
        package var serial: String?

        package init(stableName: String?, card: String, busInfo: String, serial: String? = nil) {
            self.stableName = stableName
            self.card = card
            self.busInfo = busInfo
            self.serial = serial
        }

        /// Whether `other` is the same camera, perhaps in another port. Without two serial numbers or stable names,
        /// card and port decide: udev gives the name a moment after the node, and cameras of a kind cannot be told
        /// apart otherwise.
        package func matches(_ other: Identity) -> Bool {
            if let serial, let otherSerial = other.serial { return serial == otherSerial && card == other.card }
            if let stableName, let otherName = other.stableName { return stableName == otherName }
            return card == other.card && busInfo == other.busInfo
        }

        /// Whether `other` cannot be the same camera, whatever port it is in.
        package func isCertainlyNot(_ other: Identity) -> Bool {
            if serial != nil, other.serial != nil { return !matches(other) }
            if let stableName, let otherName = other.stableName { return stableName != otherName }
            return card != other.card
        }

        /// Whether `found`, to which the configured name led, may be another camera of the same kind: in by-id, cameras
        /// without serial numbers of their own share one name, and it leads to the one that was plugged in last.
        package func mayBeTwin(_ found: Identity, under path: String) -> Bool {
            path.hasPrefix("/dev/v4l/by-id/") && found.serial == nil && busInfo != found.busInfo && !matches(found)
        }
    }

    private struct Content {
        var identity: Identity?
        var node: String?
        var controls: [ControlName: ControlSetting]
        var refused: [ControlName: CodedError] = [:]
    }

    private let content: Mutex<Content>

    /// - Parameter controls: of the configuration.
    package init(controls: [ControlName: ControlSetting] = [:]) { content = Mutex(Content(controls: controls)) }

    /// The camera that was open last.
    package var identity: Identity? { content.withLock { $0.identity } }
    /// Where it was open last.
    package var node: String? { content.withLock { $0.node } }
    package var controls: [ControlName: ControlSetting] { content.withLock { $0.controls } }
    /// What of the controls the camera did not take when they were set last.
    package var refused: [ControlName: CodedError] { content.withLock { $0.refused } }

    func remember(_ identity: Identity, at node: String) {
        content.withLock { content in
            content.identity = identity
            content.node = node
        }
    }

    /// What the camera took of these wishes holds from now on, over later openings too.
    package func take(_ wishes: [ControlName: ControlSetting], refused: [ControlName: CodedError]) {
        content.withLock { content in
            for (name, wish) in wishes {
                content.refused[name] = refused[name]
                if refused[name] == nil { content.controls[name] = wish }
            }
        }
    }

    func noteRefused(_ refused: [ControlName: CodedError]) { content.withLock { $0.refused = refused } }
}
