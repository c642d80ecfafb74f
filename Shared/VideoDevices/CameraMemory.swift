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

        package init(stableName: String?, card: String, busInfo: String) {
            self.stableName = stableName
            self.card = card
            self.busInfo = busInfo
        }

        /// Whether `other` is the same camera, perhaps in another port. Without two stable names, card and port
        /// decide: udev gives the name a moment after the node, and cameras of a kind cannot be told apart otherwise.
        package func matches(_ other: Identity) -> Bool {
            if let stableName, let otherName = other.stableName { return stableName == otherName }
            return card == other.card && busInfo == other.busInfo
        }

        /// Whether `other` cannot be the same camera, whatever port it is in.
        package func isCertainlyNot(_ other: Identity) -> Bool {
            if let stableName, let otherName = other.stableName { return stableName != otherName }
            return card != other.card
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

    /// Holds from now on, over later openings too.
    func take(_ wishes: [ControlName: ControlSetting]) {
        content.withLock { $0.controls.merge(wishes) { _, new in new } }
    }

    func noteRefused(_ refused: [ControlName: CodedError]) { content.withLock { $0.refused = refused } }
}
