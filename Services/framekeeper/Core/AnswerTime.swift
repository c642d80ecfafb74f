internal import BusContract
package import Domain

/// How long a person's command waits for a camera's answer: longer than the worker takes until it says by itself what
/// is wrong, so that its own sentence arrives.
package enum AnswerTime {
    package enum Wish: Sendable, Hashable, CaseIterable {
        case startRecording, stopRecording, rotate, view, snapshot
    }

    /// The way there and back.
    package static let margin: Duration = .seconds(5)
    /// A picture that has come is still to be decoded and written.
    package static let picture: Duration = .seconds(15)

    /// - Parameter policies: of the cameras that are asked; the most patient one counts.
    package static func within(_ wish: Wish, _ policies: [LifecyclePolicies]) -> Duration {
        (policies.map { answer(to: wish, $0) }.max() ?? answer(to: wish, LifecyclePolicies())) + margin
    }

    private static func answer(to wish: Wish, _ policies: LifecyclePolicies) -> Duration {
        switch wish {
        case .startRecording: policies.recording.startTimeout
        case .stopRecording: CommandLimits.stopAnswerMax
        case .rotate: CommandLimits.rotationAnswerMax
        case .view: policies.viewing.startTimeout
        case .snapshot: policies.snapshot.startTimeout + picture
        }
    }
}
