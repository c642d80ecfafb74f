import Bus
import BusContract
import Domain
import Foundation
import Synchronization
import TestSupport
import Testing

/// People, motion sensors and faults on one camera, at once and in any order.
extension NodeTests {
    @Suite struct InterleavingTests {
        @Test func randomInterleavingsKeepThePromises() async throws {
            let rounds = isFullRun ? 100 : 6
            let short = "lifecycle: {viewing: {close_after: 0s}, snapshot: {close_after: 0s}}"
            try await LiveCluster.run(
                cameras: LiveViewTests.camera, rotation: "1s", extra: short
            ) { cluster, server in
                try await cluster.ready("front")
                try await cluster.readyToView("front")
                var tally = Interleaving.Tally()
                for round in 0..<rounds {
                    var play = Interleaving(cluster: cluster, server: server, seed: UInt64(round))
                    try await play.run(&tally)
                }
                try await cluster.verify()
                #expect(cluster.brokenLeasePromises("front") == [])
                // Whoever was answered that it records has a file of that session.
                try await eventually("every session that was answered has a file", within: .seconds(30)) {
                    tally.sessions.isSubset(of: cluster.closed("front").map(\.session))
                }
                #expect(tally.sessions.count > rounds / 3)
                let gaps = cluster.gaps("front")
                let kills = tally.actions["killWorker"] ?? 0
                #expect(gaps.allSatisfy { $0.cause == .workerDied }, "\(gaps)")
                #expect(gaps.count <= kills, "\(gaps.count) gaps of \(kills) kills")
                #expect((tally.answered["start"] ?? 0) > 0)
                if isFullRun { tally.expectEverything(cluster) }
                print("\(rounds) random interleavings: \(tally)")
            }
        }
    }
}

/// One round: some actions with short pauses, then what was asked for last must hold, then everything ends.
struct Interleaving {
    /// What the rounds did, so that a run that did nothing shows.
    struct Tally: CustomStringConvertible {
        var actions: [String: Int] = [:]
        /// Commands that were answered with a yes.
        var answered: [String: Int] = [:]
        /// Sessions that an answer named.
        var sessions: Set<SessionID> = []

        var description: String {
            func list(_ counts: [String: Int]) -> String {
                counts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            }
            return "\(sessions.count) sessions; did \(list(actions)); answered with yes: \(list(answered))"
        }

        /// Of many rounds: nothing was refused every time, and somebody watched.
        func expectEverything(_ cluster: Cluster) {
            for kind in ["start", "stop", "viewing", "snapshot", "rotation"] {
                #expect((answered[kind] ?? 0) > 0, "no \(kind) was answered with yes")
            }
            let servers = cluster.log.events(MediaServerState.self, at: NodeID(unchecked: "node1"))
            #expect(servers.contains { ($0.paths["front"]?.viewers ?? 0) > 0 }, "no reader was served")
        }
    }

    private enum Action: CaseIterable {
        case record, stopRecording, view, read, snapshot, rotate, killWorker, restartServer

        /// Recording comes up most, since all others happen to it.
        static let drawn = allCases + [.record, .record]
    }

    /// A recording command on its way, with the number of worker deaths before it.
    private struct Wish {
        var isRecording: Bool
        var reply: Task<Reply<RecordingResult>?, Never>
        var deaths: Int
    }

    let cluster: Cluster
    let server: MediaServerProcess
    let seed: UInt64
    private var random: SeededRandom
    private var readers: [ChildProcess] = []
    private var wishes: [Wish] = []
    private var others: [(noun: String, isDone: Task<Bool, Never>)] = []
    private var deaths = 0

    init(cluster: Cluster, server: MediaServerProcess, seed: UInt64) {
        self.cluster = cluster
        self.server = server
        self.seed = seed
        random = SeededRandom(seed: seed)
    }

    mutating func run(_ tally: inout Tally) async throws {
        for _ in 0..<random.int(in: 3...7) {
            let action = random.pick(Action.drawn)
            tally.actions["\(action)", default: 0] += 1
            try await perform(action)
            let pause = random.duration(in: .milliseconds(10) ... .milliseconds(600))
            let until = Date().addingTimeInterval(pause.seconds)
            try await eventually("a moment passes", within: .seconds(5)) { Date() >= until }
        }
        try await settle(&tally)
        for reader in readers { reader.kill() }
        try await insistOnOff("recording", RecordingResult.self)
        try await insistOnOff("viewing", ViewingResult.self)
        try await eventually("round \(seed): the stream closes", within: .seconds(30)) {
            cluster.stream("front")?.state == .idle && cluster.recording("front")?.state == .off
        }
    }

    private mutating func perform(_ action: Action) async throws {
        switch action {
        case .record: wish(isRecording: true)
        case .stopRecording: wish(isRecording: false)
        case .view: say(#"{"command":"start","duration":"2s"}"#, "viewing", ViewingResult.self)
        case .read: readers.append(try server.read("front"))
        case .snapshot: say("PRESS", "snapshot", SnapshotResult.self)
        case .rotate: say("ROTATE", "rotation", RotationResult.self)
        case .killWorker: try await killWorker()
        case .restartServer:
            server.kill()
            try await server.start()
        }
    }

    private mutating func killWorker() async throws {
        // Without its file it is just being started, and needs no killing.
        guard let pid = try? cluster.pid(of: "capture-worker.front") else { return }
        deaths += 1
        kill(pid, SIGKILL)
        // A command that nobody hears is no command; the next one must find a worker.
        try await eventually("the worker is back", within: .seconds(15)) {
            guard let next = try? cluster.pid(of: "capture-worker.front"), next != pid else { return false }
            return cluster.log.state(CameraAvailability.self, at: CameraID(unchecked: "front")) == .online
                && ProcessTable.isAlive(next)
        }
    }

    /// The newest recording command that was answered decides, unless a later one went down with its worker unanswered:
    /// then nobody can know whether that one was heard.
    private mutating func settle(_ tally: inout Tally) async throws {
        var expected: Bool? = false
        for (index, wish) in wishes.enumerated() {
            let reply = await wish.reply.value
            guard reply?.status == .ok else {
                // A start that a stop overtakes before its first frame has nothing to show.
                let isStopped = wishes[(index + 1)...].contains { !$0.isRecording }
                #expect(
                    wish.deaths < deaths || isStopped,
                    "round \(seed): no yes, and no worker died: \(String(describing: reply))")
                expected = nil
                continue
            }
            expected = wish.isRecording
            tally.answered[wish.isRecording ? "start" : "stop", default: 0] += 1
            if wish.isRecording, let session = reply?.result?.session { tally.sessions.insert(session) }
        }
        for other in others where await other.isDone.value { tally.answered[other.noun, default: 0] += 1 }
        guard let expected else { return }
        try await eventually("round \(seed): it \(expected ? "records" : "is off")", within: .seconds(15)) {
            cluster.recording("front")?.state == (expected ? .recording : .off)
        }
    }

    private mutating func wish(isRecording: Bool) {
        let reply = Task { [bus = cluster.bus] in
            try? await bus.request(
                Array((isRecording ? "ON" : "OFF").utf8), to: "cameras/front/recording/set",
                expecting: RecordingResult.self, timeout: .seconds(15))
        }
        wishes.append(Wish(isRecording: isRecording, reply: reply, deaths: deaths))
    }

    /// Others may be refused: there is no picture of a worker that dies, and no rotation without a recording.
    private mutating func say<R: Codable & Hashable & Sendable>(_ payload: String, _ noun: String, _ type: R.Type) {
        let isDone = Task { [bus = cluster.bus] in
            let reply = try? await bus.request(
                Array(payload.utf8), to: "cameras/front/\(noun)/set", expecting: type, timeout: .seconds(15))
            return reply?.status == .ok
        }
        others.append((noun, isDone))
    }

    /// A command that comes while the worker is being started again reaches nobody.
    private func insistOnOff<R: Codable & Hashable & Sendable>(_ noun: String, _ type: R.Type) async throws {
        try await eventually("round \(seed): \(noun) is off", within: .seconds(30)) {
            let reply = try? await cluster.ask(
                "OFF", on: "cameras/front/\(noun)/set", expecting: type, within: .seconds(3))
            return reply?.status == .ok
        }
    }
}

extension Cluster {
    /// Everything that the stream's states ever said against the promise that it runs while somebody holds a lease.
    func brokenLeasePromises(_ camera: String) -> [String] {
        log.events(StreamState.self, at: CameraID(unchecked: camera)).compactMap { stream in
            let held = stream.leases.recording + stream.leases.viewing + stream.leases.snapshot
            switch stream.state {
            case .idle, .closing: return held > 0 ? "\(stream.state) with \(stream.leases)" : nil
            case .starting, .active, .failed: return nil
            }
        }
    }
}
