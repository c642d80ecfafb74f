package import Domain

/// What the health-monitor says: of each camera, of each service, of each node, and who among several speaks.

/// How something fares, best first.
package enum HealthStatus: String, Hashable, Sendable, Codable, CaseIterable {
    case ok
    /// It does its work; something will cost frames if it goes on so.
    case degraded
    /// It does not do what it was asked to.
    case failing
    /// Its process is not there.
    case offline
    /// Nothing was heard of it yet.
    case unknown
}

/// One thing that is wrong: a word for machines and a sentence for people.
package struct HealthReason: Hashable, Sendable, Codable {
    package enum Code: String, Hashable, Sendable, Codable, CaseIterable {
        // Of a camera.
        case workerOffline = "worker_offline"
        /// The worker is there and says nothing although its stream runs.
        case workerSilent = "worker_silent"
        case sourceFailed = "source_failed"
        /// The stream is said to run and no frame comes.
        case stalled
        /// The source has not begun within the time that it was given, and was not given up either.
        case startingTooLong = "starting_too_long"
        /// Recording is leased and nothing records.
        case notRecording = "not_recording"
        /// Recording is said to go on and the files do not grow.
        case filesNotGrowing = "files_not_growing"
        case storageFull = "storage_full"
        case storageFailed = "storage_failed"
        case storageSlow = "storage_slow"
        case droppingFrames = "dropping_frames"
        /// The media server gets nothing of a stream that it should have.
        case publishingStalled = "publishing_stalled"
        case restartingOften = "restarting_often"
        // Of a service or a node.
        case serviceOffline = "service_offline"
        case rebootLoop = "reboot_loop"
        case clockOffset = "clock_offset"
        case diskFullSoon = "disk_full_soon"
    }

    package var code: Code
    package var message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}

/// What the health-monitor did last, and why.
package struct HealthAction: Hashable, Sendable, Codable {
    package enum Outcome: String, Hashable, Sendable, Codable, CaseIterable {
        /// The worker has restarted its source.
        case done
        /// The worker said no: somebody was faster, or it stops.
        case refused
        case unanswered
    }

    package var at: WallTime
    package var reason: HealthReason
    /// Nil while the answer is awaited.
    package var outcome: Outcome?

    package init(at: WallTime, reason: HealthReason, outcome: Outcome? = nil) {
        self.at = at
        self.reason = reason
        self.outcome = outcome
    }
}

/// `cameras/<camera>/health`: the verdict on one camera.
package struct CameraHealth: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/health"
    package static let delivery = DeliveryClass.state

    package var status: HealthStatus
    /// Worst first; empty exactly for `ok` and `unknown`.
    package var reasons: [HealthReason]
    /// Restarts of the source in the last hour, whoever asked for them.
    package var restarts1h: Int
    /// No restart by the health-monitor before this; nil: none waits.
    package var backoffUntil: WallTime?
    package var breaker: MediaServerState.Breaker
    /// The last restart by the health-monitor.
    package var lastRestart: HealthAction?
    /// 0 to 1; absent while nothing predicts failures.
    package var failureProbability: Double?
    /// What `failureProbability` looks ahead.
    package var horizonSeconds: Double?

    package init(
        status: HealthStatus, reasons: [HealthReason] = [], restarts1h: Int = 0, backoffUntil: WallTime? = nil,
        breaker: MediaServerState.Breaker = .closed, lastRestart: HealthAction? = nil
    ) {
        self.status = status
        self.reasons = reasons
        self.restarts1h = restarts1h
        self.backoffUntil = backoffUntil
        self.breaker = breaker
        self.lastRestart = lastRestart
    }

    enum CodingKeys: String, CodingKey {
        case status, reasons
        case restarts1h = "restarts_1h"
        case backoffUntil, breaker, lastRestart, failureProbability, horizonSeconds
        /// What becomes of `restarts_1h` when keys are read from snake_case.
        case restartsRead = "restarts1H"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        status = try fields.decode(HealthStatus.self, forKey: .status)
        reasons = try fields.decode([HealthReason].self, forKey: .reasons)
        restarts1h = try fields.decode(Int.self, forKey: .restartsRead)
        backoffUntil = try fields.decodeIfPresent(WallTime.self, forKey: .backoffUntil)
        breaker = try fields.decode(MediaServerState.Breaker.self, forKey: .breaker)
        lastRestart = try fields.decodeIfPresent(HealthAction.self, forKey: .lastRestart)
        failureProbability = try fields.decodeIfPresent(Double.self, forKey: .failureProbability)
        horizonSeconds = try fields.decodeIfPresent(Double.self, forKey: .horizonSeconds)
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(status, forKey: .status)
        try fields.encode(reasons, forKey: .reasons)
        try fields.encode(restarts1h, forKey: .restarts1h)
        try fields.encodeIfPresent(backoffUntil, forKey: .backoffUntil)
        try fields.encode(breaker, forKey: .breaker)
        try fields.encodeIfPresent(lastRestart, forKey: .lastRestart)
        try fields.encodeIfPresent(failureProbability, forKey: .failureProbability)
        try fields.encodeIfPresent(horizonSeconds, forKey: .horizonSeconds)
    }
}

/// `services/<service>/<instance>/health`: the verdict on one process.
package struct ServiceHealth: BusMessage {
    package typealias Address = ServiceAddress
    package static let template: TopicTemplate = "services/+/+/health"
    package static let delivery = DeliveryClass.state

    package var status: HealthStatus
    package var reasons: [HealthReason]
    /// Starts of the process that were seen in the last hour, its first one and those after an orderly end aside.
    package var restarts1h: Int

    package init(status: HealthStatus, reasons: [HealthReason] = [], restarts1h: Int = 0) {
        self.status = status
        self.reasons = reasons
        self.restarts1h = restarts1h
    }

    enum CodingKeys: String, CodingKey {
        case status, reasons
        case restarts1h = "restarts_1h"
        case restartsRead = "restarts1H"
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        status = try fields.decode(HealthStatus.self, forKey: .status)
        reasons = try fields.decode([HealthReason].self, forKey: .reasons)
        restarts1h = try fields.decode(Int.self, forKey: .restartsRead)
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(status, forKey: .status)
        try fields.encode(reasons, forKey: .reasons)
        try fields.encode(restarts1h, forKey: .restarts1h)
    }
}

/// `health/nodes/<node>`: the verdict on a host.
package struct NodeHealth: BusMessage {
    package typealias Address = NodeID
    package static let template: TopicTemplate = "health/nodes/+"
    package static let delivery = DeliveryClass.state

    package var status: HealthStatus
    package var reasons: [HealthReason]
    /// The node's clock minus the health-monitor's, to the tenth of a second; nil until it is known.
    package var clockOffsetSeconds: Double?
    /// When the storage will be full if it goes on as it did, to the minute; nil where it does not fill.
    package var diskFullAt: WallTime?

    package init(
        status: HealthStatus, reasons: [HealthReason] = [], clockOffsetSeconds: Double? = nil,
        diskFullAt: WallTime? = nil
    ) {
        self.status = status
        self.reasons = reasons
        self.clockOffsetSeconds = clockOffsetSeconds
        self.diskFullAt = diskFullAt
    }
}

/// `health/leader`: which of several health-monitors speaks and acts. It renews its lease by saying so again; nobody
/// reads anybody's clock.
package struct HealthLeader: BusMessage {
    package typealias Address = FleetAddress
    package static let template: TopicTemplate = "health/leader"
    package static let delivery = DeliveryClass.state

    package var instance: InstanceID
    /// Grows with every change of the leader. The higher one holds; of two equal ones that of the lesser name.
    package var term: UInt64
    /// Grows with every renewal within a term.
    package var renewal: UInt64
    /// How long the lease holds after it was heard.
    package var leaseSeconds: Double

    package init(instance: InstanceID, term: UInt64, renewal: UInt64, leaseSeconds: Double) {
        self.instance = instance
        self.term = term
        self.renewal = renewal
        self.leaseSeconds = leaseSeconds
    }
}
