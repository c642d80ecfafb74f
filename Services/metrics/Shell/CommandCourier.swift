internal import Bus
internal import BusContract
internal import Dispatch
internal import Domain
internal import MetricsCore
internal import ServiceKit
internal import Synchronization

/// Carries a command from HTTP to the bus and its answer back. What the command must look like is decided by the same
/// type that reads it from the bus, before anything is sent.
struct CommandCourier: Sendable {
    let bus: BusClient
    let topicRoot: String
    let board: MetricsBoard

    /// A worker answers a recording when its first part is on disk, which may take its start timeout.
    static let patience: Duration = .seconds(15)

    /// Blocks until there is an answer.
    func carry(_ noun: ControlNoun, to camera: CameraID, body: [UInt8]) -> HTTPAnswer {
        do throws(CodedError) {
            try check(noun, body)
        } catch {
            return .refusal(error)
        }
        guard board.current.isKnown(camera) else {
            return .refusal(CodedError(.unknownCamera, "\(camera): no such camera"))
        }
        let started = ServiceClock.now().monotonic
        let result = Self.waitingFor { [bus] () async -> Result<Reply<JSONValue>, CodedError> in
            do throws(CodedError) {
                return .success(
                    try await bus.request(
                        body, to: "cameras/\(camera)/\(noun.rawValue)/set", expecting: JSONValue.self,
                        timeout: Self.patience))
            } catch {
                return .failure(error)
            }
        }
        let answer = answer(result)
        board.take(
            .measured(
                .command(noun, seconds: (ServiceClock.now().monotonic - started).seconds, error: answer.error)))
        return answer.answer
    }

    private func check(_ noun: ControlNoun, _ body: [UInt8]) throws(CodedError) {
        let message = InboundMessage(topic: noun.rawValue, payload: body)
        let request = BusCodec.command(message, root: topicRoot)
        switch noun {
        case .recording: _ = try request.command(RecordingCommand.self)
        case .rotation: _ = try request.command(RotationCommand.self)
        case .snapshot: _ = try request.command(SnapshotCommand.self)
        }
    }

    private func answer(_ result: Result<Reply<JSONValue>, CodedError>) -> (answer: HTTPAnswer, error: ErrorCode?) {
        switch result {
        case .failure(let error): return (.refusal(error), error.code)
        case .success(let reply):
            let code = reply.error?.code
            do throws(CodedError) {
                let text = String(decoding: try BusCodec.json(reply), as: UTF8.self)
                return (.json(text, status: code.map(Self.status) ?? 200), code)
            } catch {
                return (.refusal(error), error.code)
            }
        }
    }

    /// A camera that is there and says `not_ready` is in a state in which it does not do that; that is no failure of a
    /// server.
    private static func status(of code: ErrorCode) -> Int { code == .notReady ? 409 : HTTPAnswer.status(of: code) }

    /// Lets this thread, which is a connection's own, wait for what the pool's threads do.
    private static func waitingFor<Value: Sendable>(_ work: @escaping @Sendable () async -> Value) -> Value {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Value?>(nil)
        Task {
            let value = await work()
            result.withLock { $0 = value }
            done.signal()
        }
        while true {
            done.wait()
            if let value = result.withLock({ $0 }) { return value }
        }
    }
}
