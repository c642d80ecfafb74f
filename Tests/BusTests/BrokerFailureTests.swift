import Bus
import BusContract
import Domain
import Logging
import TestSupport
import Testing

/// What only a real broker can do to us: hang, refuse, die under load; and what a round trip costs.
@Suite struct BrokerFailureTests {
    @Test func aBrokerThatHangsIsNoticedByKeepAliveAndFoundAgain() async throws {
        let mosquitto = try await MosquittoBroker.start()
        let client = BusClient(
            settings: mosquitto.settings(clientID: "worker", keepAlive: .seconds(5)), now: wallClock,
            logger: Logger(label: "test"))
        let heard = BusRecorder(client)
        client.start()
        try await eventually("connected") { heard.connects == 1 }
        mosquitto.pause()
        try await eventually("the silence is noticed", within: .seconds(40)) { heard.disconnects.count == 1 }
        for index in 0..<10 { client.publish(try segment(index), to: front) }
        mosquitto.resume()
        try await eventually("connected again", within: .seconds(40)) { heard.connects == 2 }
        try await eventually("the events are delivered") { client.waitingEvents == 0 }
        await client.stop()
    }

    @Test func aStopDoesNotWaitForABrokerThatHangs() async throws {
        let mosquitto = try await MosquittoBroker.start()
        let (client, heard) = try await Broker.mosquitto(mosquitto).connected(
            "worker", presences: [.availability(front)])
        mosquitto.pause()
        client.publish(try segment(1), to: front)
        let before = ContinuousClock.now
        await client.stop()
        #expect(ContinuousClock.now - before < .seconds(15), "its own deadlines are 3 s")
        #expect(heard.connects == 1)
        mosquitto.resume()
    }

    @Test func nobodyThereIsToldOnceAndTriedForEver() async throws {
        let folder = try TestFolder()
        let client = BusClient(
            settings: BusSettings(
                endpoint: .unixSocket(path: folder.path("nothing")), clientID: "worker",
                reconnect: Backoff(first: .milliseconds(1), most: .milliseconds(5))),
            now: wallClock, logger: Logger(label: "test"))
        let heard = BusRecorder(client)
        client.start()
        try await eventually("told") { heard.disconnects.count == 1 }
        guard case .lost = heard.disconnects[0] else {
            Issue.record("expected lost, not \(heard.disconnects[0])")
            return
        }
        await client.stop()
        #expect(heard.disconnects.count == 1)
    }

    @Test func tcpWorksAsTheSocketDoesAndARoundTripIsQuick() async throws {
        let mosquitto = try await MosquittoBroker.start()
        for endpoint in [mosquitto.endpoint, mosquitto.tcpEndpoint] {
            var settings = mosquitto.settings(clientID: "echo")
            settings.endpoint = endpoint
            let client = BusClient(settings: settings, now: wallClock, logger: Logger(label: "test"))
            let heard = BusRecorder(client)
            client.subscribe([GapEvent.template])
            client.start()
            try await eventually("connected") { heard.connects == 1 }
            var took: [Duration] = []
            for index in 0..<200 {
                let gap = GapEvent(
                    session: SessionID(high: 0, low: UInt64(index)), from: WallTime(milliseconds: 0),
                    to: WallTime(milliseconds: 10), cause: .overrun)
                let before = ContinuousClock.now
                client.publish(gap, to: front)
                // Polling every 5 ms would be all that this measures.
                while heard.messages.count <= index, ContinuousClock.now - before < .seconds(20) { await Task.yield() }
                took.append(ContinuousClock.now - before)
            }
            took.sort()
            print("round trip of an event over \(endpoint): p50 \(took[100]), p99 \(took[198])")
            #expect(heard.decoded(GapEvent.self).count == 200)
            await client.stop()
        }
    }

    @Test func aPasswordIsNeverPrinted() {
        let settings = BusSettings(
            endpoint: .tcp(host: "broker", port: 8883, tls: TLSSettings()), username: "u", password: "hunter2",
            clientID: "c")
        var dumped = ""
        dump(settings, to: &dumped)
        for text in [settings.description, "\(settings)", String(reflecting: settings), dumped] {
            #expect(!text.contains("hunter2"))
        }
        #expect(settings.description == "BusSettings(client: c, root: framekeeper, mqtts://broker:8883)")
    }

    @Test func aFilterMatchesAsTheSpecificationSays() {
        let yes = [("a/+/c", "a/b/c"), ("#", "a/b"), ("a/#", "a"), ("a/#", "a/b/c"), ("+", "a"), ("a//b", "a//b")]
        let no = [("a/+", "a"), ("a/+", "a/b/c"), ("+", "$SYS"), ("#", "$SYS/x"), ("a", "a/"), ("a/b", "a")]
        for (filter, topic) in yes { #expect(TopicFilter.matches(filter, topic), "\(filter) \(topic)") }
        for (filter, topic) in no { #expect(!TopicFilter.matches(filter, topic), "\(filter) \(topic)") }
    }
}
