internal import Bus
internal import BusContract
internal import ClusterConfig
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

/// A command to a camera or a group, and its answers.
struct CameraRequest: Sendable {
    let target: RecordCommand.Target
    let wish: AnswerTime.Wish
    let fields: [String: JSONValue]
    let options: CommandOptions

    private struct Answers<R: CameraAnswer>: Sendable {
        var replies: [Reply<R>] = []
        /// Cameras of the group that should have answered, in words.
        var silences: [String] = []
    }

    func send<R: CameraAnswer>(expecting type: R.Type) async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        let (visit, _) = try await BusVisit.begin(configuration)
        let answers: Result<Answers<R>, CommandFailure>
        do throws(CodedError) {
            let payload = try BusCodec.json(JSONValue.object(fields))
            answers = .success(try await ask(payload, type, visit, configuration))
        } catch {
            answers = .failure(failure(error, configuration))
        }
        await visit.end()
        return try report(try answers.get(), configuration)
    }

    private func ask<R: CameraAnswer>(
        _ payload: [UInt8], _ type: R.Type, _ visit: BusVisit, _ configuration: ClusterConfiguration
    ) async throws(CodedError) -> Answers<R> {
        let timeout = answerWithin(configuration)
        if let camera = target.camera {
            let topic = "cameras/\(camera)/\(noun)/set"
            let reply = try await visit.client.request(payload, to: topic, expecting: type, timeout: timeout)
            return Answers(replies: [reply])
        }
        let group = target.group ?? .all
        let known = members(configuration).map(\.id)
        let replies = try await visit.client.requestAll(
            payload, to: "groups/\(group)/\(noun)/set", expecting: type, timeout: timeout
        ) { GroupAnswers($0, known: known).isComplete }
        guard !replies.isEmpty || !known.isEmpty else {
            throw CodedError(.timeout, "no camera of the group \(group) answers")
        }
        return Answers(replies: replies, silences: GroupAnswers(replies, known: known).silences)
    }

    private var noun: String {
        switch wish {
        case .startRecording, .stopRecording: "recording"
        case .rotate: "rotation"
        case .view: "viewing"
        case .snapshot: "snapshot"
        }
    }

    private func members(_ configuration: ClusterConfiguration) -> [CameraConfiguration] {
        configuration.cameras.filter { camera in
            target.camera.map { $0 == camera.id } ?? camera.belongs(to: target.group ?? .all)
        }
    }

    private func answerWithin(_ configuration: ClusterConfiguration) -> Duration {
        let members = members(configuration).map(\.lifecycle)
        return AnswerTime.within(wish, members.isEmpty ? [configuration.lifecycle] : members)
    }

    private func failure(_ error: CodedError, _ configuration: ClusterConfiguration) -> CommandFailure {
        var failure = CommandFailure(error)
        guard error.code == .timeout || error.code == .notReady else { return failure }
        if let camera = target.camera {
            failure.message =
                error.code == .notReady
                ? "no worker listens for camera \(camera)"
                : "no answer from camera \(camera) within \(answerWithin(configuration).written)"
            let isKnown = configuration.camera(camera) != nil || configuration.cameras.isEmpty
            failure.hint = isKnown ? Self.statusHint : configuration.knownText
        }
        return failure
    }

    private static let statusHint = "framekeeper status shows whether its worker runs"

    /// What to do about a refusal, where that is plain.
    private func hint(_ code: ErrorCode, _ configuration: ClusterConfiguration) -> String? {
        switch code {
        case .unknownCamera:
            configuration.knownText
        case .notReady where wish == .rotate: "framekeeper record start begins a recording"
        case .sourceUnavailable: "check the camera; framekeeper record stop gives the lease back"
        case .storageFull, .storageFailed: "framekeeper status shows the storage"
        case .notReady, .invalidPayload, .invalidArgument, .unknownCommand, .retainedCommand, .expired,
            .payloadTooLarge, .unauthorized, .mediaServerUnavailable, .timeout, .conflict, .internal:
            nil
        }
    }

    private func report<R>(
        _ answers: Answers<R>, _ configuration: ClusterConfiguration
    ) throws(CommandFailure) -> ServiceExit {
        let terminal = Terminal()
        var exit = ServiceExit.done
        for reply in answers.replies {
            if reply.status == .error || reply.result == nil { exit = .failed }
            if options.json {
                try terminal.print(json: reply)
            } else if let result = reply.result {
                terminal.print(result.line)
            } else {
                var failure = CommandFailure(refusal: reply.error)
                failure.hint = hint(failure.code, configuration)
                failure.report(json: false)
            }
        }
        for silence in answers.silences {
            exit = .unavailable
            CommandFailure(
                exit, "\(silence) within \(answerWithin(configuration).written)", hint: Self.statusHint, code: .timeout
            ).report(json: options.json)
        }
        return exit
    }
}

/// A camera's answer to a command, as a person reads it.
protocol CameraAnswer: Codable, Hashable, Sendable {
    var camera: CameraID { get }
    var line: String { get }
}

extension GroupAnswers {
    fileprivate init<R: CameraAnswer>(_ replies: [Reply<R>], known: [CameraID]) {
        self.init(known: known)
        for reply in replies {
            if let result = reply.result {
                answer(from: result.camera)
            } else if reply.error?.code == .unknownCamera {
                unknown()
            } else {
                refusal()
            }
        }
    }
}

extension ClusterConfiguration {
    var knownText: String {
        cameras.isEmpty
            ? "the configuration names no camera"
            : "the configuration knows " + cameras.map(\.id.rawValue).joined(separator: ", ")
    }
}

extension RecordingResult: CameraAnswer {
    var line: String {
        var line = "\(camera): \(state.rawValue)"
        if let session { line += ", session \(session.short)" }
        if let segment { line += ", file \(segment.file)" }
        if let startedInSeconds { line += ", first frame after \(startedInSeconds) s" }
        if let prerollSeconds, prerollSeconds > 0 { line += ", \(prerollSeconds) s from before" }
        return line
    }
}

extension RotationResult: CameraAnswer {
    var line: String {
        "\(camera): \(rotated ? "rotated" : "was rotated already"), session \(session.short), file \(segment.file), "
            + "\(offsetSeconds) s after the wish"
    }
}
