import BusContract
import Domain
import Foundation
import Ledger
import TestSupport
import Testing

/// A campaign under way: does one fault after the other to a node that records.
struct Campaign {
    static let cameras = ["c0", "c1", "c2", "c3"]
    static let fps = 15.0

    let cluster: Cluster
    let server: MediaServerProcess
    var random: SeededRandom
    /// Processes that a fault has ended; the kernel may take a moment for it, and their numbers are given again.
    private var ended: Set<ProcessTable.Identity> = []
    /// The beginnings of all gaps so far, by camera.
    private(set) var gapsSeen: [String: Set<WallTime>] = [:]

    init(cluster: Cluster, server: MediaServerProcess, seed: UInt64) {
        self.cluster = cluster
        self.server = server
        random = SeededRandom(seed: seed)
    }

    mutating func run(_ fault: Fault) async throws -> FaultCost {
        try await pass(seconds: 0.2 + 2.8 * random.unit())
        let camera = self.random.pick(Self.cameras)
        let begun = Date()
        let ended = try await perform(fault, camera)
        let settled: Date
        do {
            settled = try await settle(since: ended, after: fault, of: camera)
        } catch {
            throw CodedError(.internal, "\(fault) of \(camera): \(error)")
        }
        var cost = try await cost(of: fault, of: camera, since: begun)
        cost.recoverySeconds = settled.timeIntervalSince(ended)
        return cost
    }

    private func pass(seconds: Double) async throws {
        let end = Date().addingTimeInterval(seconds)
        try await eventually("time passes", within: .seconds(60)) { Date() >= end }
    }

    // MARK: Faults

    /// Returns when the fault was over: when whoever brings the process back could begin.
    private mutating func perform(_ fault: Fault, _ camera: String) async throws -> Date {
        switch fault.target {
        case .mediaServer: return try await performOnServer(fault)
        case .supervisor: return try await performOnSupervisor(fault)
        case .broker, .worker, .rotation, .configWriter, .monitor, .metrics: break
        }
        let name = child(fault.target, camera)
        let pid = try cluster.pid(of: name)
        guard let process = ProcessTable.identity(of: pid) else { throw CodedError(.internal, "\(name) does not run") }
        switch fault.kind {
        case .killed:
            try cluster.signal(name, SIGKILL)
            ended.insert(process)
            return Date()
        case .held:
            // Long enough for a worker to have missed frames, too short for the supervisor to mind: what hangs for 10 s
            // since its last beat is ended, and beats come every 3 s or a little later.
            try cluster.signal(name, SIGSTOP)
            try await pass(seconds: 2 + 3 * random.unit())
            try cluster.signal(name, SIGCONT)
            return Date()
        case .hung:
            try cluster.signal(name, SIGSTOP)
            // A hang is over when the process has been ended for it.
            try await eventually("the supervisor ends \(name)", within: .seconds(40)) { !ProcessTable.isAlive(pid) }
            ended.insert(process)
            return Date()
        }
    }

    private func child(_ target: Fault.Target, _ camera: String) -> String {
        target == .worker ? "capture-worker.\(camera)" : target.rawValue
    }

    private mutating func performOnServer(_ fault: Fault) async throws -> Date {
        if fault.kind == .killed {
            server.kill()
            try await pass(seconds: 2 * random.unit())
            try await server.start()
        } else {
            server.pause()
            try await pass(seconds: 1 + 5 * random.unit())
            server.resume()
        }
        return Date()
    }

    private mutating func performOnSupervisor(_ fault: Fault) async throws -> Date {
        let pid = cluster.supervisor
        guard fault.kind == .killed else {
            kill(pid, SIGSTOP)
            try await pass(seconds: 1 + 5 * random.unit())
            kill(pid, SIGCONT)
            return Date()
        }
        let children = try Self.cameras.map { try cluster.pid(of: "capture-worker.\($0)") }
        kill(pid, SIGKILL)
        try await eventually("the workers end by themselves", within: .seconds(20)) {
            children.allSatisfy { !ProcessTable.isAlive($0) }
        }
        try cluster.launch()
        return Date()
    }

    // MARK: What it came to

    /// Waits until everything is as it should be, and was said to be so after `moment`.
    @discardableResult
    func settle(since moment: Date, after fault: Fault?, of camera: String = "") async throws -> Date {
        let floor = WallTime(milliseconds: Int64(moment.timeIntervalSince1970 * 1000))
        var missing = ""
        do {
            try await eventually("everything is as before", within: .seconds(40)) {
                missing = try await whatIsMissing(since: floor, after: fault, of: camera) ?? ""
                return missing.isEmpty
            }
        } catch let error as DeadlinePassed {
            throw CodedError(.internal, "\(error): \(missing)")
        }
        return Date()
    }

    private func whatIsMissing(since floor: WallTime, after fault: Fault?, of camera: String) async throws -> String? {
        for name in Self.cameras {
            let id = CameraID(unchecked: name)
            guard cluster.log.state(CameraAvailability.self, at: id) == .online else { return "\(name) is offline" }
            guard cluster.stream(name)?.state == .active else { return "\(name)'s stream" }
            guard let recording = cluster.recording(name), recording.state == .recording, recording.segment != nil
            else { return "\(name)'s recording" }
            guard try isOnline(.captureWorker, name, "capture-worker.\(name)") else { return "\(name)'s worker" }
            guard cluster.log.state(CameraHealth.self, at: id)?.status == .ok || fault == nil else {
                let reasons = cluster.log.state(CameraHealth.self, at: id)?.reasons.map(\.code.rawValue) ?? []
                return "\(name)'s health: \(reasons)"
            }
        }
        let services: [(ServiceName, String)] = [
            (.rotationService, "rotation-service"), (.configWriter, "config-writer"),
            (.healthMonitor, "health-monitor"), (.metrics, "metrics"),
        ]
        for (service, child) in services where try !isOnline(service, "node1", child) { return child }
        guard cluster.log.state(StorageState.self, at: NodeID(unchecked: "node1"))?.status == .ok else {
            return "the storage's state"
        }
        guard let media = cluster.log.state(MediaServerState.self, at: NodeID(unchecked: "node1")), media.reachable,
            Self.cameras.allSatisfy({ media.paths[$0]?.ready == true })
        else { return "the media server's paths" }
        guard let fault else { return nil }
        return try await freshness(since: floor, after: fault, of: camera)
    }

    /// The process that runs now says `online` itself.
    private func isOnline(_ service: ServiceName, _ instance: String, _ child: String) throws -> Bool {
        let address = ServiceAddress(service, InstanceID(unchecked: instance))
        guard let state = cluster.log.state(ServiceState.self, at: address), state.state == .online else {
            return false
        }
        // Between the end of a process and its note, there is none.
        guard let pid = try? cluster.pid(of: child), let process = ProcessTable.identity(of: pid) else { return false }
        return state.pid == pid && !ended.contains(process) && ProcessTable.isAlive(pid)
    }

    /// States may be those from before the fault: what was hit has to have shown since that it works.
    private func freshness(since floor: WallTime, after fault: Fault, of camera: String) async throws -> String? {
        switch fault.target {
        case .worker:
            let opened = cluster.log.events(SegmentEvent.self, at: CameraID(unchecked: camera)).contains {
                $0.event == .opened && $0.startedAt >= floor
            }
            guard opened || fault.kind == .held else { return "\(camera)'s next segment" }
            return isHeard(camera, since: floor) ? nil : "\(camera)'s statistics"
        case .broker, .supervisor:
            return Self.cameras.allSatisfy { isHeard($0, since: floor) } ? nil : "statistics"
        case .rotation:
            let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: floor)
            let closed = try ledger.segments(LedgerQuery(states: [.closed]))
            let isWritten = closed.contains { $0.endedAt ?? floor > floor }
            return isWritten ? nil : "a segment in the ledger"
        case .configWriter: return await look() == nil ? "a look at the media server" : nil
        case .monitor:
            let isHeard = cluster.log.stamped(HealthLeader.self, at: FleetAddress()).contains { $0 > floor }
            return isHeard ? nil : "the health-monitor's lease"
        case .metrics:
            let request = "GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            let answer = try? await RawHTTP.exchange(request, port: cluster.http)
            return answer?.hasPrefix("HTTP/1.1 200") ?? false ? nil : "an answer over HTTP"
        case .mediaServer:
            let before = await look() ?? [:]
            // Some frames.
            try await pass(seconds: 0.5)
            let after = await look() ?? [:]
            let isGrowing = Self.cameras.allSatisfy { after[$0]?.bytes ?? 0 > before[$0]?.bytes ?? .max }
            return isGrowing ? nil : "streams at the media server"
        }
    }

    /// What the config-writer sees at the media server now; nil if one of them does not answer.
    private func look() async -> [String: MediaServerState.Path]? {
        let reply = try? await cluster.ask("LOOK", on: "mediamtx/node1/set", expecting: MediaServerResult.self)
        return reply?.result?.paths
    }

    private func isHeard(_ camera: String, since floor: WallTime) -> Bool {
        cluster.log.stamped(StreamStats.self, at: CameraID(unchecked: camera)).contains { $0 > floor }
    }

    /// The gaps that were told since the last fault. A worker tells its own with its next segment.
    private mutating func cost(of fault: Fault, of camera: String, since begun: Date) async throws -> FaultCost {
        if fault.mayCostFrames {
            for name in fault.stopsAll ? Self.cameras : [camera] { try await waitForGap(name) }
        }
        var cost = FaultCost()
        for name in Self.cameras {
            for gap in try gaps(name) where gapsSeen[name, default: []].insert(gap.from).inserted {
                let seconds = Double(gap.to.milliseconds - gap.from.milliseconds) / 1000
                cost.gapSeconds += seconds
                cost.framesLost += gap.framesLost.map(Int.init) ?? Int((seconds * Self.fps).rounded())
                let before = begun.timeIntervalSince1970 - Double(gap.from.milliseconds) / 1000
                cost.lostBefore = max(cost.lostBefore, before)
                if name != camera, !fault.stopsAll {
                    Issue.record("\(fault) of \(camera) cost \(name) a gap: \(gap)\n\(try words(of: name))")
                }
            }
        }
        return cost
    }

    /// What the node's log said last of a camera's worker.
    private func words(of camera: String) throws -> String {
        let lines = try cluster.upLog().split(separator: "\n").filter { $0.contains("capture-worker.\(camera)") }
        return lines.suffix(20).joined(separator: "\n")
    }

    private func waitForGap(_ camera: String) async throws {
        try await eventually("\(camera) tells its gap", within: .seconds(30)) {
            try gaps(camera).contains { !(gapsSeen[camera]?.contains($0.from) ?? false) }
        }
    }

    /// As the ledger has them: while the node's broker was away, the test heard as little as anybody.
    private func gaps(_ camera: String) throws -> [GapRecord] {
        let ledger = try LedgerStore(storage: cluster.storage, access: .reader, now: WallTime(milliseconds: 0))
        return try ledger.gaps(LedgerQuery(camera: CameraID(unchecked: camera)))
    }
}
