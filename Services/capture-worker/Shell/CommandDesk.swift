internal import Bus
internal import BusContract
internal import CaptureWorkerCore
internal import ClusterConfig
internal import Domain

/// Takes commands in from the bus and hands answers back.
///
/// Owns the addresses behind the Core's tokens. A command that is refused before the Core sees it is answered here.
struct CommandDesk {
    private let camera: CameraConfiguration
    private let root: String
    private var nextToken: UInt64 = 0
    private var senders: [CommandToken: Sender] = [:]

    private struct Sender: Hashable {
        var reply: ReplyAddress?
        var requestID: String?
    }

    init(camera: CameraConfiguration, root: String) {
        self.camera = camera
        self.root = root
    }

    /// What the worker subscribes to for its commands.
    var subscriptions: [TopicTemplate] {
        let groups = ["all"] + camera.groups.map(\.rawValue)
        return [TopicTemplate(pattern: "cameras/\(camera.id)/+/set")]
            + groups.map { TopicTemplate(pattern: "groups/\($0)/+/set") }
    }

    /// The command in a message and the token that stands for its sender; nil if it is no command for this camera.
    mutating func receive(
        _ message: InboundMessage
    ) -> (token: CommandToken, command: Result<CameraCommand, CodedError>)? {
        guard let topic = CameraCommandTopic(topic: message.topic) else { return nil }
        // How a retained message is cleared, which is what a refusal of one asks for.
        if message.isRetained, message.payload.isEmpty { return nil }
        let request = BusCodec.command(message, root: root)
        nextToken += 1
        let sender = Sender(reply: request.reply, requestID: request.requestID)
        let token = CommandToken(number: nextToken, isAwaited: sender != Sender())
        // Whom nobody could answer is not kept: not every such command is ever refused.
        if token.isAwaited { senders[token] = sender }
        do throws(CodedError) {
            return (token, .success(try CameraCommand(noun: topic.noun, try request.text.get())))
        } catch {
            return (token, .failure(error))
        }
    }

    mutating func accept(_ token: CommandToken, _ result: CommandResult, on bus: BusClient) {
        guard let sender = senders.removeValue(forKey: token), let address = sender.reply else { return }
        switch result {
        case .recording(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .viewing(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .snapshot(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .rotation(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .controls(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .restart(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        case .storage(let result): bus.reply(Reply(ok: result, requestID: sender.requestID), to: address)
        }
    }

    /// A refusal that nobody waits for is told to everybody.
    mutating func refuse(_ token: CommandToken, _ error: CodedError, on bus: BusClient) {
        let sender = senders.removeValue(forKey: token) ?? Sender()
        if let address = sender.reply {
            bus.reply(Reply<RecordingResult>(error, requestID: sender.requestID), to: address)
        } else {
            bus.publish(CameraErrorEvent(error, requestID: sender.requestID), to: camera.id)
        }
    }
}
