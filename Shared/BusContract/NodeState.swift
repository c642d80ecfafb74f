package import Domain

/// What the services say of themselves and of their node.

/// `cameras/<camera>/rotation`: the plan. Workers follow it, also when nobody reminds them.
package struct RotationState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/rotation"
    package static let delivery = DeliveryClass.state

    package struct Last: Hashable, Sendable, Codable {
        package var at: WallTime
        package var offsetSeconds: Double?
        package init(at: WallTime, offsetSeconds: Double?) {
            self.at = at
            self.offsetSeconds = offsetSeconds
        }
    }

    package var intervalSeconds: Double
    package var align: RotationAlignment
    /// How far this camera's boundaries lie behind the aligned moment, so that many cameras do not write at once.
    package var staggerSeconds: Double
    /// Nil while the camera does not record.
    package var nextAt: WallTime?
    package var last: Last?

    package init(
        intervalSeconds: Double, align: RotationAlignment, staggerSeconds: Double = 0, nextAt: WallTime? = nil,
        last: Last? = nil
    ) {
        self.intervalSeconds = intervalSeconds
        self.align = align
        self.staggerSeconds = staggerSeconds
        self.nextAt = nextAt
        self.last = last
    }
}

/// `storage/<node>`: the folder that holds the recordings.
package struct StorageState: BusMessage {
    package typealias Address = NodeID
    package static let template: TopicTemplate = "storage/+"
    package static let delivery = DeliveryClass.state

    package enum Status: String, Hashable, Sendable, Codable, CaseIterable {
        case ok, low, full, failed
    }

    package var totalBytes: Int64
    package var freeBytes: Int64
    /// What retention keeps free, `min_free` of all folders together; nil where one of them has none.
    package var minFreeBytes: Int64?
    /// By recordings.
    package var usedBytes: Int64
    /// The beginning of the oldest segment.
    package var oldestAt: WallTime?
    package var status: Status
    package var error: PublishedError?

    package init(
        totalBytes: Int64, freeBytes: Int64, minFreeBytes: Int64? = nil, usedBytes: Int64, oldestAt: WallTime?,
        status: Status, error: PublishedError? = nil
    ) {
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
        self.minFreeBytes = minFreeBytes
        self.usedBytes = usedBytes
        self.oldestAt = oldestAt
        self.status = status
        self.error = error
    }

    private enum CodingKeys: String, CodingKey {
        case totalBytes, freeBytes, minFreeBytes, usedBytes, oldestAt, status, error
    }

    package init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        totalBytes = try fields.decode(.totalBytes, in: StateLimits.bytesRange)
        freeBytes = try fields.decode(.freeBytes, in: StateLimits.bytesRange)
        minFreeBytes = try fields.decodeIfPresent(.minFreeBytes, in: StateLimits.bytesRange)
        usedBytes = try fields.decode(.usedBytes, in: StateLimits.bytesRange)
        oldestAt = try fields.decodeIfPresent(WallTime.self, forKey: .oldestAt)
        status = try fields.decode(Status.self, forKey: .status)
        error = try fields.decodeIfPresent(PublishedError.self, forKey: .error)
    }
}

/// `services/<service>/<instance>`: presence. The will carries the same `session` as the birth of its connection, so
/// that a late will of an older connection can be told from the present one.
package struct ServiceState: BusMessage {
    package typealias Address = ServiceAddress
    package static let template: TopicTemplate = "services/+/+"
    package static let delivery = DeliveryClass.state

    package enum Presence: String, Hashable, Sendable, Codable, CaseIterable {
        case online, offline
    }

    package var state: Presence
    package var version: String
    package var node: NodeID
    package var pid: Int32
    package var startedAt: WallTime
    /// Random per connection.
    package var session: String
    /// Only with `offline`: whether it was told to end and says so itself. Absent from a last will.
    package var orderly: Bool?

    package init(
        state: Presence, version: String, node: NodeID, pid: Int32, startedAt: WallTime, session: String,
        orderly: Bool? = nil
    ) {
        self.state = state
        self.version = version
        self.node = node
        self.pid = pid
        self.startedAt = startedAt
        self.session = session
        self.orderly = orderly
    }

    /// Whether it changes nothing of `known`, which was heard before it: a will that is late is of another session than
    /// the birth that it follows; one behind the farewell of its own session knows less than that.
    package func isLate(after known: ServiceState) -> Bool {
        guard state == .offline else { return false }
        return switch known.state {
        case .online: known.session != session
        case .offline: known.session == session && known.orderly == true
        }
    }
}
