import Bus
import BusContract
import ClusterConfig
import Domain
import HealthMonitorShell
import Logging
import ServiceKit
import TestSupport
import Testing

/// Two health-monitors and one camera on the broker's twin: one speaks, and the other takes over.
@Suite struct HealthMonitorServiceTests {
    /// A running health-monitor; ends with `stop`.
    private final class Monitor {
        let shutdown = Shutdown()
        private let task: Task<ServiceExit, Never>

        init(_ name: String, _ broker: InMemoryBroker) {
            let configuration = ClusterConfiguration(
                node: NodeID(unchecked: name), stateDir: "/nonexistent", storage: StorageSettings(path: "/nonexistent"))
            let context = ServiceContext(
                service: .healthMonitor, instance: InstanceID(unchecked: name), configuration: configuration,
                logger: Logger(label: "test") { _ in LineLogHandler(service: "test", level: .critical) },
                shutdown: shutdown, startedAt: ServiceClock.now())
            let monitor = HealthMonitor(context: context, network: broker)
            task = Task { await monitor.run() }
        }

        func stop() async -> ServiceExit {
            shutdown.request("the test is over")
            return await task.value
        }
    }

    private func client(_ name: String, _ broker: InMemoryBroker) -> BusClient {
        BusClient(
            settings: BusSettings(
                endpoint: .unixSocket(path: "/nonexistent"), clientID: name,
                reconnect: Backoff(first: .milliseconds(20), most: .milliseconds(200))),
            network: broker, now: { ServiceClock.now().wall },
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private let front = CameraID(unchecked: "front")

    @Test func oneSpeaksAndTheOtherTakesOver() async throws {
        let broker = InMemoryBroker()
        let bus = client("tester", broker)
        let heard = BusRecorder(bus)
        bus.subscribe([HealthLeader.template, CameraHealth.template, RestartCommand.template])
        bus.start()
        bus.publish(CameraAvailability.online, to: front)
        let (attic, barn) = (Monitor("attic", broker), Monitor("barn", broker))
        func leader() -> InstanceID? { heard.decoded(HealthLeader.self).last?.message.instance }
        func verdicts() -> [CameraHealth] { heard.decoded(CameraHealth.self).map(\.message) }
        try await eventually("one of them leads and says what it thinks", within: .seconds(30)) {
            leader() != nil && verdicts().last?.status == .ok
        }
        let first = try #require(leader())
        let (leading, other) = first.rawValue == "attic" ? (attic, barn) : (barn, attic)
        // It goes in order: its farewell brings the takeover forward.
        #expect(await leading.stop() == .done)
        let gone = ContinuousClock.now
        try await eventually("the other takes over", within: .seconds(30)) { leader().map { $0 != first } ?? false }
        #expect(ContinuousClock.now - gone < .seconds(5), "without waiting for the lease to run out")
        bus.publish(CameraAvailability.offline, to: front)
        try await eventually("it speaks", within: .seconds(30)) { verdicts().last?.status == .offline }
        // What the broker has forgotten it says again.
        await broker.crash()
        await broker.restart(isForgetting: true)
        let late = client("late", broker)
        let told = BusRecorder(late)
        late.subscribe([HealthLeader.template, CameraHealth.template])
        late.start()
        try await eventually("the leader is told again", within: .seconds(30)) {
            told.decoded(HealthLeader.self).last.map { $0.message.instance != first } ?? false
        }
        #expect(await other.stop() == .done)
        await bus.stop()
        await late.stop()
    }

    /// Nothing stays retained of a camera whose presence and whose worker's presence were taken back.
    @Test func aCameraThatIsTakenBackLeavesNoVerdict() async throws {
        let broker = InMemoryBroker()
        let bus = client("tester", broker)
        let heard = BusRecorder(bus)
        bus.subscribe([CameraHealth.template, ServiceHealth.template])
        bus.start()
        let worker = ServiceAddress(.captureWorker, InstanceID(unchecked: "front"))
        bus.publish(CameraAvailability.offline, to: front)
        bus.publish(HealthBench.service(.offline, started: 1, session: "a"), to: worker)
        let monitor = Monitor("attic", broker)
        let topics = ["cameras/front/health", "services/capture-worker/front/health"]
        try await eventually("it says what it thinks", within: .seconds(30)) {
            topics.allSatisfy { heard.payloads(on: $0).last?.isEmpty == false }
        }
        bus.clear(CameraAvailability.self, at: front)
        bus.clear(ServiceState.self, at: worker)
        try await eventually("it takes it back", within: .seconds(30)) {
            topics.allSatisfy { heard.payloads(on: $0).last == "" }
        }
        #expect(await monitor.stop() == .done)
        await bus.stop()
    }

    /// A stream that stands still is restarted, with the reason and the count that it was decided on; once, however
    /// many could.
    @Test func aStallIsAnsweredWithARestart() async throws {
        let broker = InMemoryBroker()
        let bus = client("worker", broker)
        let heard = BusRecorder(bus)
        bus.subscribe([RestartCommand.template, CameraHealth.template, HealthLeader.template])
        bus.start()
        bus.publish(CameraAvailability.online, to: front)
        bus.publish(
            StreamState(state: .active, leases: .init(recording: 1), source: "rtsp://a/b", restarts: 2), to: front)
        // In the name that comes later, so that nobody else leads by its name alone.
        let leading = Monitor("barn", broker)
        try await eventually("it leads", within: .seconds(30)) { !heard.decoded(HealthLeader.self).isEmpty }
        let other = Monitor("attic", broker)
        var stats = StreamStats()
        stats.framesTotal = 900
        stats.maxInterarrivalSeconds = 0.04
        var told = ContinuousClock.now
        // Nobody answers it: until the leader says that, the other one has had its time, too.
        try await eventually("it is restarted, and it is said how that went", within: .seconds(90)) {
            // Statistics of a source that has stopped; each is told once, as over a network.
            if ContinuousClock.now - told > .milliseconds(200) {
                told = .now
                bus.publish(stats, to: front)
            }
            return heard.decoded(CameraHealth.self).last?.message.lastRestart?.outcome == .unanswered
        }
        let commands = heard.payloads(on: "cameras/front/restart/set")
        #expect(commands.count == 1, "\(commands)")
        let command = try #require(commands.first)
        #expect(command.contains(#""if_restarts":2"#) && command.contains("no frame for more than"), "\(command)")
        #expect(heard.decoded(CameraHealth.self).last?.message.lastRestart?.reason.code == .stalled)
        #expect(Set(heard.decoded(HealthLeader.self).map(\.message.instance.rawValue)) == ["barn"])
        #expect(await other.stop() == .done)
        #expect(await leading.stop() == .done)
        await bus.stop()
    }
}
