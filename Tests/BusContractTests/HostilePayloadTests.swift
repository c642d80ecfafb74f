import Bus
import BusContract
import Domain
import Testing

/// What strangers send: each is refused with its code, and nothing traps.
@Suite struct HostilePayloadTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var payload: [UInt8]
        var code: ErrorCode
        var testDescription: String { String(decoding: payload.prefix(60), as: UTF8.self) }

        init(_ text: String, _ code: ErrorCode) {
            payload = Array(text.utf8)
            self.code = code
        }
        init(bytes: [UInt8], _ code: ErrorCode) {
            payload = bytes
            self.code = code
        }
    }

    static let cases: [Case] = [
        Case(bytes: [UInt8](repeating: UInt8(ascii: "x"), count: 1024 * 1024), .payloadTooLarge),
        Case(bytes: [UInt8](repeating: UInt8(ascii: "x"), count: 64 * 1024 + 1), .payloadTooLarge),
        Case(bytes: [UInt8](repeating: UInt8(ascii: "x"), count: 64 * 1024), .unknownCommand),
        Case(bytes: [0xff, 0xfe], .invalidPayload),
        Case(bytes: Array("ON".utf8) + [0xc3], .invalidPayload),
        Case(bytes: [0xed, 0xa0, 0x80], .invalidPayload),
        Case(bytes: [0xc0, 0x80], .invalidPayload),
        Case(bytes: Array("O\u{0}N".utf8), .invalidPayload),
        Case(bytes: Array(#"{"command":"st\#u{0}art"}"#.utf8), .invalidPayload),
        Case(#"{"command":"\u0000"}"#, .unknownCommand),
        Case("", .unknownCommand),
        Case("   ", .unknownCommand),
        Case("MAYBE", .unknownCommand),
        Case("ON OFF", .unknownCommand),
        Case("$(reboot)", .unknownCommand),
        Case("../../etc/passwd", .unknownCommand),
        Case("NaN", .unknownCommand),
        Case("1", .unknownCommand),
        Case("{", .invalidPayload),
        Case("{}", .invalidPayload),
        Case("{} {}", .invalidPayload),
        Case("[]", .invalidPayload),
        Case("\"ON\"", .invalidPayload),
        Case(String(repeating: "[", count: 10_000), .invalidPayload),
        Case(String(repeating: #"{"a":"#, count: 10_000), .invalidPayload),
        Case(#"{"command":"# + String(repeating: "[", count: 10_000) + "]}", .invalidPayload),
        Case(#"{"command":"start","duration":NaN}"#, .invalidPayload),
        Case(#"{"command":"start","duration":Infinity}"#, .invalidPayload),
        Case(#"{"command":"start","duration":1e999}"#, .invalidPayload),
        Case(#"{"command":"start","duration":-1}"#, .invalidArgument),
        Case(#"{"command":"start","duration":0}"#, .invalidArgument),
        Case(#"{"command":"start","duration":"10 parsecs"}"#, .invalidArgument),
        Case(#"{"command":"start","duration":1e300}"#, .invalidArgument),
        Case(#"{"command":"start","duration":[]}"#, .invalidArgument),
        Case(#"{"command":"start","duraton":"10m"}"#, .invalidArgument),
        Case(#"{"command":"start","holder":""}"#, .invalidArgument),
        Case(#"{"command":"start","holder":"a b"}"#, .invalidArgument),
        Case(#"{"command":"start","holder":"\#(String(repeating: "h", count: 65))"}"#, .invalidArgument),
        Case(#"{"command":"start","holder":7}"#, .invalidArgument),
        Case(#"{"command":"start","preroll":"301s"}"#, .invalidArgument),
        Case(#"{"command":"stop","duration":"10m"}"#, .invalidArgument),
        Case(#"{"command":"selfdestruct"}"#, .unknownCommand),
        Case(#"{"command":null}"#, .invalidPayload),
        Case(#"{"command":["start"]}"#, .invalidArgument),
        Case(#"{"command":"start","request_id":{}}"#, .invalidArgument),
        Case(#"{"command":"start","request_id":"\#(String(repeating: "r", count: 129))"}"#, .invalidArgument),
        Case(#"{"command":"start","response_topic":"framekeeper/cameras/front/recording"}"#, .invalidArgument),
        Case(#"{"command":"start","response_topic":"framekeeper/replies/+"}"#, .invalidArgument),
        Case(#"{"command":"start","response_topic":"framekeeper/replies/a\u0000b"}"#, .invalidArgument),
        Case(#"{"command":"start","response_topic":5}"#, .invalidArgument),
    ]

    private func code(_ inbound: InboundMessage) -> ErrorCode? {
        do throws(CodedError) {
            _ = try BusCodec.command(inbound, root: "framekeeper").command(RecordingCommand.self)
            return nil
        } catch {
            return error.code
        }
    }

    @Test(arguments: cases)
    func isRefusedWithItsCode(_ hostile: Case) {
        let topic = "cameras/front/recording/set"
        #expect(code(InboundMessage(topic: topic, payload: hostile.payload)) == hostile.code)
    }

    @Test func aRefusalIsShortAndNeverQuotesAWholePayload() {
        for hostile in Self.cases {
            let request = BusCodec.command(
                InboundMessage(topic: "x/set", payload: hostile.payload), root: "framekeeper")
            do throws(CodedError) {
                _ = try request.command(RecordingCommand.self)
            } catch {
                #expect(error.description.utf8.count < 300)
            }
        }
    }

    @Test func aRetainedCommandIsRefusedAndItsAskerIsAnswered() {
        let inbound = InboundMessage(
            topic: "cameras/front/recording/set",
            payload: Array(#"{"command":"start","response_topic":"framekeeper/replies/me","request_id":"7"}"#.utf8),
            isRetained: true)
        let request = BusCodec.command(inbound, root: "framekeeper")
        #expect(code(inbound) == .retainedCommand)
        #expect(request.reply == ReplyAddress(topic: "framekeeper/replies/me", correlation: nil))
        #expect(request.requestID == "7")
    }

    @Test func aResponsePropertyMayNotMakeUsSpeakInAnothersName() {
        func request(_ topic: String) -> CommandRequest {
            BusCodec.command(
                InboundMessage(topic: "x/set", payload: Array("ON".utf8), responseTopic: topic, correlation: [1]),
                root: "framekeeper")
        }
        for topic in ["framekeeper/cameras/front/recording", "framekeeper/cameras/front/recording/set", "framekeeper"] {
            #expect(request(topic).reply == nil)
            #expect(throws: CodedError.self) { try request(topic).text.get() }
        }
        for topic in ["framekeeper/replies/me", "home/answers", "framekeeperish/x"] {
            #expect(request(topic).reply == ReplyAddress(topic: topic, correlation: [1]))
            #expect(request(topic).text == .success(.word("ON")))
        }
    }

    @Test func wordsAndFieldsAreReadAsPeopleWriteThem() throws {
        func command(_ text: String) throws -> RecordingCommand {
            try BusCodec.command(InboundMessage(topic: "x/set", payload: Array(text.utf8)), root: "framekeeper")
                .command(RecordingCommand.self)
        }
        for text in ["ON", "on", " On\n", #"{"command":"start"}"#, "\n{\"command\":\"start\",\"holder\":null}"] {
            #expect(try command(text) == .start(holder: .manual, duration: nil, preroll: nil), "\(text)")
        }
        #expect(
            try command(#"{"command":"start","duration":90,"holder":"motion:hall","preroll":"5s"}"#)
                == .start(
                    holder: #require(Holder(rawValue: "motion:hall")), duration: .seconds(90), preroll: .seconds(5)))
        #expect(try command("off") == .stop(holder: nil))
    }

    /// Small changes to good payloads and plain noise: an answer or a refusal, never a trap.
    @Test func noBytesTrap() {
        var generator = SplitMix(state: 20_260_301)
        let seeds = MessageRegistry.all.flatMap(\.examples).map { Array($0.utf8) }
        for round in 0..<10_000 {
            var bytes = seeds[Int.random(in: 0..<seeds.count, using: &generator)]
            if round.isMultiple(of: 4) {
                bytes = (0..<Int.random(in: 0..<200, using: &generator)).map { _ in
                    .random(in: 0...255, using: &generator)
                }
            }
            for _ in 0..<Int.random(in: 0..<8, using: &generator) where !bytes.isEmpty {
                let place = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[place] = .random(in: 0...255, using: &generator)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: bytes.prefix(40), at: place)
                default: bytes.insert(#"{[]},:"0-e.\"#.utf8.randomElement(using: &generator) ?? 0, at: place)
                }
            }
            let refusals = MessageRegistry.all.count { read($0.type, bytes) != nil }
            #expect(refusals <= MessageRegistry.all.count)
        }
    }

    private func read<M: BusMessage>(_ type: M.Type, _ bytes: [UInt8]) -> CodedError? {
        do throws(CodedError) {
            if let command = type as? any BusCommand.Type {
                let inbound = InboundMessage(topic: "x/set", payload: bytes)
                _ = try command.init(try BusCodec.command(inbound, root: "framekeeper").text.get())
            } else {
                _ = try BusCodec.decode(type, from: bytes)
            }
            return nil
        } catch {
            return error
        }
    }

    /// SplitMix64, so that a failing run can be repeated.
    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }
    }
}
