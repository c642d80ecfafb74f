internal import Bus
internal import BusContract
internal import ConfigWriterCore
internal import Domain

/// The addresses behind the Core's tokens.
struct ConfigWriterDesk {
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
        return token
    }

    mutating func accept(_ token: CommandToken, _ result: ConfigResult, on bus: BusClient) {
        guard let asker = askers.removeValue(forKey: token), let address = asker.reply else { return }
        bus.reply(Reply(ok: result, requestID: asker.requestID), to: address)
    }

    mutating func refuse(_ token: CommandToken, _ error: CodedError, _ result: ConfigResult? = nil, on bus: BusClient) {
        guard let asker = askers.removeValue(forKey: token), let address = asker.reply else { return }
        bus.reply(Reply(error, requestID: asker.requestID, result: result), to: address)
    }
}
