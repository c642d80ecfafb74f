internal import BusContract
package import Domain

/// The health-monitor of a fleet as a pure value: event and time in, effects out.
///
/// Owns a watch for each camera, process and host of which anything was heard, the restart plans, and this one's part
/// in who leads. Invariants: only a leader publishes and restarts; it publishes what differs from what it has told
/// since it leads, and nothing on whom the present connection has not told of, since nobody says of what was taken back
/// during an outage that it is gone; every restart has its reason, its wait, and the count of restarts that it was
/// decided on, so that a second opinion of another leader is refused by the worker; the last wake asked for is never
/// later than the first thing that is due. An event costs what it concerns, not the size of the fleet. Called by the
/// Shell's one loop and by the simulation. How a worker recovers by itself does not belong here: it needs nobody.
package struct HealthCore: Hashable, Sendable {
    /// More cameras or hosts, and four times as many processes, are several fleets.
    package static let camerasMax = 4096
    package static let servicesMax = 4 * camerasMax
    package static let nodesMax = camerasMax
    /// What is retained has come long before, and who starts anew has told of itself.
    package static let unheardMax: Duration = .seconds(60)

    struct Camera: Hashable, Sendable {
        var watch = CameraWatch()
        var plan: RestartPlan
        var lastRestart: HealthAction?
        var told: CameraHealth?
        var wakeAt: MonotonicTime?
        /// Whether the present connection has told of its worker.
        var isHeard = false
    }

    struct Service: Hashable, Sendable {
        var watch = ServiceWatch()
        var told: ServiceHealth?
        var wakeAt: MonotonicTime?
        /// Over the present connection.
        var isHeard = false
    }

    struct Node: Hashable, Sendable {
        var watch = NodeWatch()
        var told: NodeHealth?
        var wakeAt: MonotonicTime?
    }

    package let settings: HealthSettings
    private var lease: LeaderLease
    private var isLeading = false
    private var isActing = false
    private var cameras: [CameraID: Camera] = [:]
    private var services: [ServiceAddress: Service] = [:]
    private var nodes: [NodeID: Node] = [:]
    private var changedCameras: Set<CameraID> = []
    private var changedServices: Set<ServiceAddress> = []
    private var changedNodes: Set<NodeID> = []
    /// When those that are not heard by then are no more.
    private var unheardUntil: MonotonicTime?
    private var lastNow: Now?
    private var wakeAt: MonotonicTime?
    private var generator: SplitMix64

    /// - Parameter seed: random, drawn once per process: the spread of claims and waits comes from it.
    package init(_ settings: HealthSettings, own: InstanceID, seed: UInt64) {
        self.settings = settings
        lease = LeaderLease(own: own)
        generator = SplitMix64(state: seed)
    }

    package func leads(at now: MonotonicTime) -> Bool { lease.leads(at: now) }

    package mutating func handle(_ event: HealthEvent, at now: Now) -> [HealthEffect] {
        noteOwnClock(now)
        var effects: [HealthEffect] = []
        switch event {
        case .busConnected:
            for id in cameras.keys { cameras[id]?.watch.reconnected(at: now.monotonic) }
            changedCameras = Set(cameras.keys)
            unheardUntil = now.monotonic + Self.unheardMax
            effects = leaseEffects(.connected, at: now)
        case .busLost:
            for id in cameras.keys { cameras[id]?.isHeard = false }
            for address in services.keys { services[address]?.isHeard = false }
            unheardUntil = nil
            effects = leaseEffects(.disconnected, at: now)
        case .leaderReported(let leader): effects = leaseEffects(.heard(leader), at: now)
        case .availabilityReported(let id, let state):
            update(id) { camera in
                camera.watch.take(state, at: now.monotonic)
                camera.isHeard = true
            }
        case .streamReported(let id, let state): update(id) { $0.watch.take(state, at: now.monotonic) }
        case .recordingReported(let id, let state): update(id) { $0.watch.take(state, at: now.monotonic) }
        case .viewingReported(let id, let state): update(id) { $0.watch.take(state, at: now.monotonic) }
        case .statsReported(let id, let stats, let sentAt):
            update(id) { $0.watch.take(stats, at: now.monotonic) }
            if let node = node(of: id) { noteClock(of: node, sentAt, at: now) }
        case .serviceReported(let address, let state, let sentAt):
            effects = serviceReported(address, state, sentAt, at: now)
        case .storageReported(let node, let state, let sentAt):
            update(node) { $0.watch.take(state, at: now.monotonic) }
            noteClock(of: node, sentAt, at: now)
        case .mediaServerReported(let node, let state): mediaServerReported(node, state, at: now.monotonic)
        case .verdictReported(let id, let health): verdictReported(id, health, at: now)
        case .restartAnswered(let id, let outcome):
            if cameras[id] != nil { update(id) { $0.lastRestart?.outcome = outcome } }
        case .cameraRetired(let id): effects = retire(id)
        case .serviceRetired(let address): effects = retire(address)
        case .woke:
            wakeAt = nil
            effects = leaseEffects(.woke, at: now)
        }
        return effects + settle(at: now)
    }

    // MARK: What is heard

    private mutating func update(_ id: CameraID, _ change: (inout Camera) -> Void) {
        guard cameras[id] != nil || cameras.count < Self.camerasMax else { return }
        let backoff = Backoff(first: settings.backoffFirst, most: settings.backoffMost)
        change(&cameras[id, default: Camera(plan: RestartPlan(backoff: backoff))])
        changedCameras.insert(id)
    }

    private mutating func update(_ id: NodeID, _ change: (inout Node) -> Void) {
        guard nodes[id] != nil || nodes.count < Self.nodesMax else { return }
        change(&nodes[id, default: Node()])
        changedNodes.insert(id)
    }

    private func node(of camera: CameraID) -> NodeID? {
        services[ServiceAddress(.captureWorker, InstanceID(unchecked: camera.rawValue))]?.watch.state?.node
    }

    private mutating func serviceReported(
        _ address: ServiceAddress, _ state: ServiceState, _ sentAt: WallTime?, at now: Now
    ) -> [HealthEffect] {
        guard services[address] != nil || services.count < Self.servicesMax else { return [] }
        services[address, default: Service()].watch.take(state, at: now.monotonic)
        services[address]?.isHeard = true
        changedServices.insert(address)
        if address.service == .configWriter, services[address]?.watch.state?.state == .offline {
            for id in cameras(of: state.node) { update(id) { $0.watch.mediaServerUnknown() } }
        }
        // A last will carries the moment at which it was left with the broker.
        if state.state == .online { noteClock(of: state.node, sentAt, at: now) }
        guard address.service == .healthMonitor, state.state == .offline else { return [] }
        return leaseEffects(.wentOffline(address.instance), at: now)
    }

    /// Who tells of the media server; nil: nothing is known of it.
    private func mediaServerWriter(of node: NodeID) -> ServiceState? {
        services[ServiceAddress(.configWriter, InstanceID(unchecked: node.rawValue))]?.watch.state
    }

    private func cameras(of node: NodeID) -> [CameraID] { cameras.keys.filter { self.node(of: $0) == node } }

    private mutating func noteClock(of node: NodeID, _ sentAt: WallTime?, at now: Now) {
        guard let sentAt else { return }
        update(node) { $0.watch.heard(sentAt: sentAt, at: now) }
    }

    /// It is no longer anybody's camera: a verdict on it would stand for ever.
    private mutating func retire(_ id: CameraID) -> [HealthEffect] {
        changedCameras.remove(id)
        guard cameras.removeValue(forKey: id) != nil, isLeading else { return [] }
        return [.clearCamera(id)]
    }

    private mutating func retire(_ address: ServiceAddress) -> [HealthEffect] {
        changedServices.remove(address)
        guard services.removeValue(forKey: address) != nil, isLeading else { return [] }
        return [.clearService(address)]
    }

    /// What was taken back while this one was away: nothing tells of it, not even that it is gone.
    private mutating func retireUnheard(at now: MonotonicTime) -> [HealthEffect] {
        guard let due = unheardUntil, due <= now else { return [] }
        unheardUntil = nil
        let cameras = cameras.filter { !$0.value.isHeard }.keys.sorted()
        let services = services.filter { !$0.value.isHeard }.keys.sorted(by: Self.isEarlier)
        return cameras.flatMap { retire($0) } + services.flatMap { retire($0) }
    }

    /// A step of this host's own clock must not look like one of all others.
    private mutating func noteOwnClock(_ now: Now) {
        defer { lastNow = now }
        guard let lastNow else { return }
        let step = now.wall - lastNow.wall(at: now.monotonic)
        guard step > ClockOffset.ownStepMax || step < .zero - ClockOffset.ownStepMax else { return }
        for node in nodes.keys { nodes[node]?.watch.clockStepped() }
    }

    private mutating func mediaServerReported(_ node: NodeID, _ state: MediaServerState, at now: MonotonicTime) {
        // What is retained of one that has died says nothing of now.
        let isKnown = state.reachable && mediaServerWriter(of: node)?.state != .offline
        for id in cameras(of: node) {
            update(id) { camera in
                if isKnown {
                    camera.watch.take(path: state.paths[id.rawValue], at: now)
                } else {
                    camera.watch.mediaServerUnknown()
                }
            }
        }
    }

    private mutating func verdictReported(_ id: CameraID, _ health: CameraHealth, at now: Now) {
        // What this one has said itself comes back, too.
        guard !isLeading else { return }
        update(id) { camera in
            camera.plan.adopt(health, at: now)
            camera.lastRestart = health.lastRestart ?? camera.lastRestart
        }
    }

    // MARK: Who leads

    private mutating func leaseEffects(_ event: LeaderLease.Event, at now: Now) -> [HealthEffect] {
        lease.handle(event, at: now.monotonic, chance: generator.unit()).map { effect in
            switch effect {
            case .publish(let leader): .publishLeader(leader)
            case .stepDown: .stepDown
            }
        }
    }

    // MARK: What follows

    private mutating func settle(at now: Now) -> [HealthEffect] {
        let leads = lease.leads(at: now.monotonic)
        let acts = lease.mayAct(at: now.monotonic)
        if acts != isActing {
            isActing = acts
            changedCameras = Set(cameras.keys)
        }
        if leads != isLeading {
            isLeading = leads
            for id in cameras.keys { cameras[id]?.told = nil }
            for address in services.keys { services[address]?.told = nil }
            for node in nodes.keys { nodes[node]?.told = nil }
            changedCameras = Set(cameras.keys)
            changedServices = Set(services.keys)
            changedNodes = Set(nodes.keys)
        }
        var effects = retireUnheard(at: now.monotonic)
        noteDue(at: now.monotonic)
        for id in changedCameras.sorted() { effects += settle(id, at: now) }
        for address in changedServices.sorted(by: Self.isEarlier) { effects += settle(address, at: now) }
        for node in changedNodes.sorted() { effects += settle(node, at: now) }
        changedCameras = []
        changedServices = []
        changedNodes = []
        return effects + wake(at: now.monotonic)
    }

    private static func isEarlier(_ left: ServiceAddress, _ right: ServiceAddress) -> Bool {
        (left.service, left.instance) < (right.service, right.instance)
    }

    private mutating func noteDue(at now: MonotonicTime) {
        for (id, camera) in cameras where camera.wakeAt.map({ $0 <= now }) ?? false { changedCameras.insert(id) }
        for (address, service) in services where service.wakeAt.map({ $0 <= now }) ?? false {
            changedServices.insert(address)
        }
        for (id, node) in nodes where node.wakeAt.map({ $0 <= now }) ?? false { changedNodes.insert(id) }
    }

    private mutating func settle(_ id: CameraID, at now: Now) -> [HealthEffect] {
        guard var camera = cameras[id] else { return [] }
        let assessment = camera.watch.assess(at: now.monotonic)
        var effects = restart(id, &camera, assessment, at: now)
        let until = camera.plan.allowedAt.flatMap { $0 > now.monotonic ? $0 : nil }
        let health = CameraHealth(
            status: assessment.status, reasons: assessment.reasons, restarts1h: assessment.restarts1h,
            backoffUntil: until.map { Self.published($0, now) }, breaker: camera.plan.breaker,
            lastRestart: camera.lastRestart)
        let planned = camera.plan.wakeAt(isNeeded: assessment.restart != nil).flatMap { $0 > now.monotonic ? $0 : nil }
        camera.wakeAt = [camera.watch.wakeAt, planned, until].compactMap { $0 }.min()
        if isLeading, camera.isHeard, health != camera.told {
            if health.status != camera.told?.status || health.reasons != camera.told?.reasons ?? [] {
                effects.append(.tell(id, health.status, health.reasons))
            }
            camera.told = health
            effects.append(.publishCamera(id, health))
        }
        cameras[id] = camera
        return effects
    }

    private mutating func restart(
        _ id: CameraID, _ camera: inout Camera, _ assessment: CameraWatch.Assessment, at now: Now
    ) -> [HealthEffect] {
        guard isActing, camera.isHeard, settings.restart else { return [] }
        guard let reason = assessment.restart else {
            let isWell = assessment.status == .ok || assessment.status == .degraded
            if isWell, camera.watch.isProven {
                camera.plan.notNeeded(at: now.monotonic)
            } else {
                camera.plan.troubled()
            }
            return []
        }
        guard camera.plan.needed(at: now.monotonic, chance: generator.unit()) else { return [] }
        camera.lastRestart = HealthAction(at: Self.published(now.monotonic, now), reason: reason)
        return [.restart(id, RestartCommand(reason: reason.message, ifRestarts: camera.watch.restartsSeen))]
    }

    private mutating func settle(_ address: ServiceAddress, at now: Now) -> [HealthEffect] {
        guard let service = services[address] else { return [] }
        let verdict = service.watch.verdict(at: now.monotonic)
        services[address]?.wakeAt = service.watch.wakeAt(at: now.monotonic)
        guard isLeading, service.isHeard, verdict != service.told else { return [] }
        services[address]?.told = verdict
        return [.publishService(address, verdict)]
    }

    private mutating func settle(_ node: NodeID, at now: Now) -> [HealthEffect] {
        let isConnected = lease.role != .away
        guard let verdict = nodes[node]?.watch.verdict(settings, isConnected: isConnected, at: now) else { return [] }
        nodes[node]?.wakeAt = verdict.diskFullAt.map { _ in now.monotonic + NodeWatch.fillingEvery }
        guard isLeading, verdict != nodes[node]?.told else { return [] }
        nodes[node]?.told = verdict
        return [.publishNode(node, verdict)]
    }

    private mutating func wake(at now: MonotonicTime) -> [HealthEffect] {
        let due = [
            cameras.values.compactMap(\.wakeAt).min(), services.values.compactMap(\.wakeAt).min(),
            nodes.values.compactMap(\.wakeAt).min(), lease.wakeAt(at: now), unheardUntil,
        ]
        let first = due.compactMap { $0 }.min()
        // One that comes too early costs nothing; a new one for every event would.
        if let first, let wakeAt, wakeAt <= first { return [] }
        guard first != wakeAt else { return [] }
        wakeAt = first
        return [.wake(first)]
    }

    /// To the tenth of a second, so that reading the clocks again does not look like a change.
    private static func published(_ moment: MonotonicTime, _ now: Now) -> WallTime {
        WallTime(milliseconds: (now.wall(at: moment).milliseconds + 50).floorDivided(by: 100) * 100)
    }
}
