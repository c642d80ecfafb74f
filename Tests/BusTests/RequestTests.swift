import Bus
import BusContract
import Domain
import TestSupport
import Testing

/// Commands and their answers, for MQTT 5 and 3.1.1.
@Suite struct RequestTests {
    /// A worker that answers every recording command with what it understood.
    static func answering(_ client: BusClient) -> Task<Void, Never> {
        Task {
            for await input in client.inputs {
                guard case .message(let message) = input, message.topic.hasSuffix("/set") else { continue }
                answer(message, over: client)
            }
        }
    }

    static func answer(_ message: InboundMessage, over client: BusClient) {
        let request = BusCodec.command(message, root: "framekeeper")
        let reply: Reply<RecordingResult>
        do throws(CodedError) {
            let command = try request.command(RecordingCommand.self)
            let isStart = if case .start = command { true } else { false }
            let result = RecordingResult(camera: front, state: isStart ? .recording : .off, session: nil)
            reply = Reply(ok: result, requestID: request.requestID)
        } catch {
            reply = Reply(error, requestID: request.requestID)
        }
        if let address = request.reply {
            client.reply(reply, to: address)
        } else if let error = reply.error {
            client.publish(
                CameraErrorEvent(CodedError(error.code, error.message), requestID: request.requestID), to: front)
        }
    }

    static func worker(_ broker: Broker, _ id: String = "worker") async throws -> (BusClient, Task<Void, Never>) {
        let worker = broker.client(id)
        worker.subscribe([CameraCommandTopic.everyCamera, CameraCommandTopic.everyGroup])
        let loop = answering(worker)
        worker.start()
        try await eventually("the worker is connected") { worker.counters.connects == 1 }
        return (worker, loop)
    }

    @Test(arguments: BrokerKind.allCases)
    func anAskerGetsItsAnswer(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (asker, _) = try await broker.connected("asker")
        let (worker, loop) = try await Self.worker(broker)
        let topic = "cameras/front/recording/set"
        let started = try await eventually("the worker answers") { () -> Reply<RecordingResult>? in
            do throws(CodedError) {
                return try await asker.request(
                    Array("on".utf8), to: topic, expecting: RecordingResult.self, timeout: .seconds(10))
            } catch {
                // Until its subscription stands the broker knows nobody who listens.
                guard error.code == .notReady else { throw error }
                return nil
            }
        }
        #expect(started.status == .ok && started.result?.state == .recording)
        let refused = try await asker.request(
            Array(#"{"command":"start","duration":"-1s","request_id":"7"}"#.utf8), to: topic,
            expecting: RecordingResult.self, timeout: .seconds(10))
        #expect(refused.status == .error && refused.error?.code == .invalidArgument && refused.requestId == "7")
        await asker.stop()
        await worker.stop()
        await loop.value
    }

    @Test(arguments: BrokerKind.allCases)
    func aGroupAnswersWithOneReplyEach(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (asker, heard) = try await broker.connected("asker", to: [CameraCommandTopic.everyGroup])
        var workers: [(BusClient, Task<Void, Never>)] = []
        for index in 0..<3 { workers.append(try await Self.worker(broker, "worker\(index)")) }
        var replies: [Reply<RecordingResult>] = []
        try await eventually("three answers") {
            replies = try await asker.requestAll(
                Array("ON".utf8), to: "groups/all/recording/set", expecting: RecordingResult.self,
                timeout: .seconds(2), count: 3)
            return replies.count == 3
        }
        #expect(replies.allSatisfy { $0.status == .ok })
        #expect(heard.messages.first?.responseTopic == "framekeeper/replies/asker")
        for (worker, loop) in workers {
            await worker.stop()
            await loop.value
        }
        await asker.stop()
    }

    @Test(arguments: BrokerKind.allCases)
    func whereNobodyListensOrNobodyAnswersIsSaid(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (asker, _) = try await broker.connected("asker")
        func ask(_ topic: String, within timeout: Duration) async -> ErrorCode? {
            do throws(CodedError) {
                _ = try await asker.request([], to: topic, expecting: RecordingResult.self, timeout: timeout)
                return nil
            } catch {
                return error.code
            }
        }
        // The broker says so itself, as soon as it comes to it.
        #expect(await ask("cameras/nobody/recording/set", within: .seconds(10)) == .notReady)
        let (silent, _) = try await broker.connected("silent", to: [RecordingCommand.template])
        #expect(await ask("cameras/front/recording/set", within: .milliseconds(300)) == .timeout)
        await broker.crash()
        #expect(await ask("cameras/front/recording/set", within: .milliseconds(300)) == .timeout)
        await silent.stop()
        await asker.stop()
    }

    @Test func aCommandThatNobodyReadInTimeDies() async throws {
        let broker = try await Broker(.mosquitto)
        let persistent = broker.client("away", sessionExpirySeconds: 600)
        let before = BusRecorder(persistent)
        persistent.subscribe([RecordingCommand.template])
        persistent.start()
        try await eventually("connected") { before.connects == 1 }
        await persistent.stop()
        let (asker, _) = try await broker.connected("asker")
        await #expect(throws: CodedError.self) {
            try await asker.request(
                Array("ON".utf8), to: "cameras/front/recording/set", expecting: RecordingResult.self,
                timeout: .milliseconds(900))
        }
        // The broker counts whole seconds: by now at least one has passed since the command; a second makes it sure.
        let end = ContinuousClock.now + .seconds(2)
        try await eventually("the expiry is over") { ContinuousClock.now > end }
        let again = broker.client("away", sessionExpirySeconds: 600)
        let heard = BusRecorder(again)
        again.start()
        try await eventually("connected") { heard.connects == 1 }
        let (other, _) = try await broker.connected("other")
        other.publish(StreamState(state: .idle, leases: .init(), source: "x"), to: front)
        again.subscribe([RecordingCommand.template, StreamState.template])
        try await eventually("something later arrives") { !heard.messages.isEmpty }
        #expect(heard.messages.map(\.topic) == ["cameras/front/stream"])
        for client in [again, asker, other] { await client.stop() }
    }

    @Test(arguments: BrokerKind.allCases)
    func aRetainedCommandIsRefusedLiveAndWhenFoundLater(_ kind: BrokerKind) async throws {
        let broker = try await Broker(kind)
        let (live, liveHeard) = try await broker.connected("live", to: [RecordingCommand.template])
        let raw = try await RawBusClient(broker.network("raw"), clientID: "raw")
        raw.publish(
            Publication(
                topic: "framekeeper/cameras/front/recording/set", payload: Array("ON".utf8), delivery: .state))
        let (later, laterHeard) = try await broker.connected("later", to: [RecordingCommand.template])
        for heard in [liveHeard, laterHeard] {
            try await eventually("it arrives") { heard.messages.count == 1 }
            let request = BusCodec.command(heard.messages[0], root: "framekeeper")
            #expect(throws: CodedError.self) { try request.text.get() }
            guard case .failure(let error) = request.text else { continue }
            #expect(error.code == .retainedCommand)
        }
        await live.stop()
        await later.stop()
    }

    @Test func anMQTT311ClientIsAnsweredWhereItsPayloadSays() async throws {
        let mosquitto = try await MosquittoBroker.start()
        let broker = Broker.mosquitto(mosquitto)
        let (worker, loop) = try await Self.worker(broker)
        let (asker, heard) = try await broker.connected("observer", to: ["replies/+", "cameras/+/error"])
        func publish(_ payload: String) throws -> ChildProcess {
            try ChildProcess([
                "mosquitto_pub", "-V", "311", "-h", "127.0.0.1", "-p", "\(mosquitto.port)", "-q", "1",
                "-t", "framekeeper/cameras/front/recording/set", "-m", payload,
            ])
        }
        let good = try publish(
            #"{"command":"start","response_topic":"framekeeper/replies/shell","request_id":"a1"}"#)
        try await eventually("the answer comes") { !heard.payloads(on: "replies/shell").isEmpty }
        let answer = try BusCodec.value(Reply<RecordingResult>.self, from: heard.messages[0].payload)
        #expect(answer.status == .ok && answer.requestId == "a1")
        let bad = try publish(
            #"{"command":"start","response_topic":"framekeeper/cameras/front/recording","request_id":"a2"}"#)
        try await eventually("the refusal is an event") { !heard.payloads(on: "cameras/front/error").isEmpty }
        let refusal = try #require(heard.decoded(CameraErrorEvent.self).first)
        #expect(refusal.message.code == .invalidArgument && refusal.message.requestId == "a2")
        #expect(heard.messages.count == 2)
        try await eventually("both ended well") { good.exitStatus() == 0 }
        try await eventually("both ended well") { bad.exitStatus() == 0 }
        await worker.stop()
        await loop.value
        await asker.stop()
    }
}
