internal import ArgumentParser
internal import Bus
internal import BusContract
internal import Domain
internal import FramekeeperCore
internal import ServiceKit

struct WatchCommand: FramekeeperSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Print messages of the bus as they come.",
        discussion: "Example: framekeeper watch 'cameras/+/segment' --count 3")

    @Argument(help: "A topic below the root; + and # are wildcards.")
    var topic = "#"

    @Option(help: ArgumentHelp("End after so many messages.", valueName: "n"))
    var count: Int?

    @OptionGroup var options: CommandOptions

    mutating func validate() throws {
        guard !topic.isEmpty, !topic.contains("\u{0}"), topic.utf8.count <= ReplyAddress.topicLengthMax else {
            throw ValidationError("not a topic")
        }
        guard TopicFilter.isValid(topic) else {
            throw ValidationError("\(topic): + stands for one whole level, # for all the rest at the end")
        }
        guard count ?? 1 > 0 else { throw ValidationError("--count is 1 or more") }
    }

    private struct Line: Encodable {
        var at: WallTime
        var topic: String
        var retained: Bool
        var payload: JSONValue
    }

    func perform() async throws(CommandFailure) -> ServiceExit {
        let configuration = try options.configuration()
        var (visit, inputs) = try await BusVisit.begin(
            configuration, subscriptions: [TopicTemplate(pattern: topic)])
        let shutdown = Shutdown()
        await ProcessSignals.watch(shutdown, supervised: false)
        let end = Task { [visit] in
            await shutdown.wait()
            await visit.end()
        }
        defer { end.cancel() }
        let terminal = Terminal()
        var left = count ?? .max
        while left > 0, let input = await inputs.next() {
            switch input {
            case .message(let message):
                left -= 1
                try show(message, terminal)
            case .disconnected: LineLogHandler.standardError("the broker is away; waiting for it")
            case .connected, .outboxOverflowed: break
            }
        }
        await visit.end()
        return .done
    }

    private func show(_ message: InboundMessage, _ terminal: Terminal) throws(CommandFailure) {
        let now = ServiceClock.now().wall
        if options.json {
            let text = String(validating: message.payload, as: UTF8.self)
            let isJSON = message.payload.first.map { [UInt8(ascii: "{"), UInt8(ascii: "[")].contains($0) } ?? false
            // What only looks like JSON is a text like any other.
            let value = isJSON ? try? BusCodec.value(JSONValue.self, from: message.payload) : nil
            let payload = value ?? .string(text ?? "\(message.payload.count) bytes")
            try terminal.print(
                json: Line(at: now, topic: message.topic, retained: message.isRetained, payload: payload))
        } else {
            let time = terminal.coloured(String(now.timeText(separator: ":")), .yellow)
            terminal.print("\(time) \(terminal.coloured(message.topic, .bold)) \(Self.text(message.payload))")
        }
    }

    /// Foreign bytes on a terminal.
    private static func text(_ payload: [UInt8]) -> String {
        String(validating: payload, as: UTF8.self)?.withoutControls ?? "(\(payload.count) bytes)"
    }
}
