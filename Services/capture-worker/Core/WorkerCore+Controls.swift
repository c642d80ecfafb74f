internal import BusContract
internal import Domain

/// A webcam's controls: the Shell turns them, since only the device knows what it takes.
extension WorkerCore {
    mutating func turnControls(_ command: ControlsCommand, token: CommandToken) -> [WorkerEffect] {
        guard settings.hasControls else {
            return [
                .refuse(
                    token,
                    CodedError(.invalidArgument, "\(settings.camera) has no controls: its source is not v4l2://"))
            ]
        }
        guard turning < Self.turningMax else {
            return [.refuse(token, CodedError(.conflict, "\(Self.turningMax) changes of controls are under way"))]
        }
        turning += 1
        return [.turnControls(command.settings, token)]
    }

    /// What a camera took of a command that it refuses in part is how it stands now.
    mutating func controlsTurned(
        _ outcome: Result<ControlsState, CodedError>, _ refusal: CodedError?, token: CommandToken
    ) -> [WorkerEffect] {
        turning -= 1
        switch outcome {
        case .failure(let error): return [.refuse(token, error)]
        case .success(let state):
            let result = ControlsResult(camera: settings.camera, controls: state.controls)
            return [.publishControls(state), refusal.map { .refuse(token, $0) } ?? .reply(token, .controls(result))]
        }
    }
}
