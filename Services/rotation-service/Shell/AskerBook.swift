internal import Bus
internal import BusContract
internal import Domain
internal import RotationServiceCore

/// The addresses behind the Core's tokens. A refusal that nobody waits for becomes an error event of its camera.
struct AskerBook {
    /// Commands for cameras of this cluster are answered by their workers, so most tokens are never used; the oldest
    /// are forgotten.
    static let askersMax = 1024

    private struct Asker {
        var reply: ReplyAddress?
        var requestID: String?
    }

    private var nextToken: UInt64 = 0
    private var askers: [CommandToken: Asker] = [:]

    mutating func token(for request: CommandRequest) -> CommandToken {
        nextToken += 1
        let token = CommandToken(number: nextToken)
        askers[token] = Asker(reply: request.reply, requestID: request.requestID)
        if nextToken > UInt64(Self.askersMax) {
            askers[CommandToken(number: nextToken - UInt64(Self.askersMax))] = nil
        }
        return token
    }

    mutating func accept(_ token: CommandToken, _ result: StorageResult, on bus: BusClient) {
        guard let asker = askers.removeValue(forKey: token), let address = asker.reply else { return }
        bus.reply(Reply(ok: result, requestID: asker.requestID), to: address)
    }

    mutating func refuse(_ token: CommandToken, _ error: CodedError, camera: CameraID?, on bus: BusClient) {
        guard let asker = askers.removeValue(forKey: token) else { return }
        if let address = asker.reply {
            bus.reply(Reply<StorageResult>(error, requestID: asker.requestID), to: address)
        } else if let camera {
            bus.publish(CameraErrorEvent(error, requestID: asker.requestID), to: camera)
        }
    }
}
