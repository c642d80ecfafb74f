package import Domain

/// Who of a group has answered a command, and who has not. An answer names its camera; a refusal does not, so that
/// after one it is known how many are silent, but not always which.
package struct GroupAnswers: Sendable, Hashable {
    /// The group by the configuration; other nodes may know more of it.
    private let known: [CameraID]
    private var answered: Set<CameraID> = []
    private var refusals = 0
    private var isUnknown = false

    package init(known: [CameraID]) { self.known = known }

    package mutating func answer(from camera: CameraID) { answered.insert(camera) }
    /// By one of its cameras.
    package mutating func refusal() { refusals += 1 }
    /// Nobody belongs to the group.
    package mutating func unknown() { isUnknown = true }

    /// Whether nobody is left to wait for. Of a group that the configuration does not name, nobody knows.
    package var isComplete: Bool { known.isEmpty ? isUnknown : silentCount == 0 }

    /// What is missing, in words.
    package var silences: [String] {
        guard silentCount > 0 else { return [] }
        guard silentCount < unnamed.count else { return unnamed.map { "no answer from camera \($0)" } }
        return ["no answer from \(silentCount) of the cameras \(unnamed.map(\.rawValue).joined(separator: ", "))"]
    }

    private var unnamed: [CameraID] { known.filter { !answered.contains($0) } }
    private var silentCount: Int { max(unnamed.count - refusals, 0) }
}
