import Bus
import BusContract
import Domain
import TestSupport
import Testing

@Suite("What a config-writer holds a change back for, on a real folder", .timeLimit(.minutes(3)))
struct ConfigWriterWaitTests {
    private typealias Fixture = ConfigWriterFixture

    private let session = SessionID(high: 7, low: 9)
    private let lease = RecordingState.Lease(holder: .manual, since: WallTime(milliseconds: 1), until: nil)

    /// Revision 2 waits for the recording of front.
    private func waiting() async throws -> Fixture {
        let fixture = try await Fixture()
        try await beginWaiting(fixture)
        return fixture
    }

    private func beginWaiting(_ fixture: Fixture) async throws {
        say(.recording, fixture)
        try await fixture.start()
        try await fixture.says("revision 1 is in force") { $0.revision == 1 && $0.valid }
        _ = try await fixture.ask("VALIDATE")
        try fixture.write(Fixture.text(preroll: 2))
        try await fixture.says("it waits for front") { $0.pending?.waitsFor == [Fixture.front] }
    }

    private func say(_ phase: RecordingState.Phase, _ fixture: Fixture) {
        fixture.client.publish(RecordingState(state: phase, session: session, leases: [lease]), to: Fixture.front)
    }

    /// Once more, so that everything from before the first answer has been taken.
    private func stillWaits(_ fixture: Fixture) async throws {
        _ = try await fixture.ask("VALIDATE")
        let reply = try await fixture.ask("VALIDATE")
        #expect(reply.result?.revision == 1 && reply.result?.pending?.waitsFor == [Fixture.front], "\(reply)")
    }

    @Test("A broker that comes back without a memory, while the worker is not back yet")
    func amnesia() async throws {
        let fixture = try await waiting()
        fixture.client.forget(RecordingState.self, at: Fixture.front)
        await fixture.broker.crash()
        await fixture.broker.restart(isForgetting: true)
        try await stillWaits(fixture)
        fixture.record(.off)
        try await fixture.says("it is in force") { $0.revision == 2 && $0.pending == nil }
        await fixture.stop()
    }

    @Test("A broker that comes back with an `off` of before the recording")
    func stale() async throws {
        let fixture = try await Fixture()
        fixture.record(.off)
        let topic = "framekeeper/cameras/front/recording"
        try await eventually("the broker has it") { await fixture.broker.retainedPayload(of: topic) != nil }
        let old = await fixture.broker.retainedPayload(of: topic) ?? []
        try await beginWaiting(fixture)
        fixture.client.forget(RecordingState.self, at: Fixture.front)
        await fixture.broker.crash()
        await fixture.broker.restart(isForgetting: true)
        await fixture.broker.retain(old, on: topic)
        try await stillWaits(fixture)
        await fixture.stop()
    }

    @Test("A camera that blinks: the recording failed, its session is not over")
    func blink() async throws {
        let fixture = try await waiting()
        say(.failed, fixture)
        try await stillWaits(fixture)
        say(.recording, fixture)
        fixture.record(.failed)
        try await fixture.says("given up: it is in force") { $0.revision == 2 && $0.pending == nil }
        await fixture.stop()
    }
}
