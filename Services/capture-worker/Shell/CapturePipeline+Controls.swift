internal import BusContract
internal import CaptureWorkerCore
internal import ClusterConfig
internal import Domain
internal import Logging
internal import Media
internal import ServiceKit
internal import VideoDevices

/// A webcam's controls. They are turned on a thread of their own and through a descriptor of their own, whether the
/// camera streams or not.
extension CapturePipeline {
    /// After the camera was opened, and with it what the configuration says of its controls was set.
    func readControls() {
        guard case .v4l2(let source) = camera.source.kind else { return }
        do throws(CodedError) {
            try BlockingThread.attempt("controls") { [webcam, report] in
                switch Self.turn([:], of: source, webcam) {
                case .success(let (state, _)): report(.controlsRead(state))
                case .failure(let error): report(.controlsUnread(error))
                }
            }
        } catch {
            report(.controlsUnread(error))
        }
    }

    func turnControls(_ wishes: [ControlName: ControlSetting], _ token: CommandToken) {
        guard case .v4l2(let source) = camera.source.kind else {
            return report(.controlsTurned(.failure(CodedError(.invalidArgument, "no webcam")), token))
        }
        do throws(CodedError) {
            try BlockingThread.attempt("controls") { [webcam, report] in
                let outcome = Self.turn(wishes, of: source, webcam)
                report(.controlsTurned(outcome.map(\.state), token, refusal: (try? outcome.get())?.refusal))
            }
        } catch {
            report(.controlsTurned(.failure(error), token))
        }
    }

    /// How the controls stand afterwards, and the first refusal of the camera, if there is any.
    private static func turn(
        _ wishes: [ControlName: ControlSetting], of source: SourceAddress.V4L2Source, _ webcam: CameraMemory
    ) -> Result<(state: ControlsState, refusal: CodedError?), CodedError> {
        do throws(CodedError) {
            let (controls, refused) = try CameraControls.turn(wishes, of: source, memory: webcam)
            let standing = webcam.refused
            let refusals = standing.keys.sorted().compactMap { name in
                standing[name].map { ControlsState.Refusal(name: name, message: $0.message) }
            }
            let first = refused.keys.sorted().first.flatMap { refused[$0] }
            return .success((ControlsState(controls: controls, refused: refusals), first))
        } catch {
            return .failure(error)
        }
    }
}

extension StreamFormat {
    func facts(of source: any MediaSource) -> SourceFacts {
        SourceFacts(
            codec: video.codecName, width: video.width, height: video.height, fps: video.frameRate,
            keepsTime: source.paces, input: source.input.map(StreamState.Input.init),
            remarks: source.remarks)
    }
}

extension StreamState.Input {
    init(_ input: SourceInput) {
        self.init(
            device: input.device, format: input.format, width: input.width, height: input.height, fps: input.fps,
            wanted: input.wanted, encoder: input.encoder)
    }
}

extension StreamState.Input {
    /// What the log says of it.
    var logged: Logger.Metadata {
        var metadata: Logger.Metadata = ["device": "\(device)", "camera_format": "\(format)"]
        if let fps { metadata["fps"] = "\(fps)" }
        if let wanted { metadata["wanted"] = "\(wanted)" }
        if let encoder { metadata["encoder"] = "\(encoder)" }
        return metadata
    }
}
