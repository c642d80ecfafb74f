package import BusContract
package import Domain

/// What happens to the rotation-service: the whole input of its Core.
package enum RotationEvent: Hashable, Sendable {
    /// The process is up; ledgers are open.
    case started
    /// Connected and subscribed. Events may have been lost meanwhile.
    case busConnected
    case recordingReported(CameraID, RecordingState)
    case availabilityReported(CameraID, CameraAvailability)
    case segmentReported(CameraID, SegmentEvent)
    case gapReported(CameraID, GapEvent)
    /// The rotation-service of this node (or this one itself) is there, or is gone.
    case peerReported(NodeID, isOnline: Bool)
    /// Somebody commands a camera. Its worker acts; the service minds only whether there is one.
    case cameraCommanded(CommandedCamera, CommandToken)
    case repairCommanded(CommandToken)
    case scanEnded(StorageFolder, ScanScope, Result<ScanCounts, CodedError>)
    case inventoryTaken(StorageFolder, Result<Inventory, CodedError>)
    case deletionEnded(StorageFolder, Result<Int, CodedError>)
    /// Something could not be written to the ledger; it is not written now.
    case ledgerFailed(StorageFolder, CodedError)
    case woke
}

/// What the Shell is to do, in this order.
package enum RotationEffect: Hashable, Sendable {
    case publishPlan(CameraID, RotationState)
    /// Sends `rotation/set` with a boundary. The message expires after `expiry`.
    case commandRotation(CameraID, at: WallTime, expiry: Duration)
    case recordSegment(StorageFolder, CameraID, SegmentEvent)
    /// An event that no worker of the camera would send: it is told in the log and changes nothing.
    case tellImplausible(CameraID, SegmentEvent)
    case recordGap(StorageFolder, CameraID, GapEvent)
    /// No session of the camera goes on but this one.
    case endSessions(StorageFolder, CameraID, except: SessionID?)
    /// Compares files and ledger; answered by `scanEnded`.
    case scan(StorageFolder, ScanScope)
    /// Reads what there is to keep or delete; answered by `inventoryTaken`.
    case takeInventory(StorageFolder)
    /// Deletes files, oldest first, and marks them in the ledger; answered by `deletionEnded`.
    case delete(StorageFolder, [StoredSegment])
    case publishStorage(StorageState)
    case reply(CommandToken, StorageResult)
    /// To the asker, or as an error event of `camera` where nobody waits; to nobody if that is nil.
    case refuse(CommandToken, CodedError, camera: CameraID?)
    /// Replaces every earlier wake; nil: none is needed.
    case wake(MonotonicTime?)
}

/// Stands for the reply that a command wants; the Shell knows the address.
package struct CommandToken: Hashable, Sendable {
    package let number: UInt64
    package init(number: UInt64) { self.number = number }
}

/// Whom a command's topic names.
package enum CommandedCamera: Hashable, Sendable {
    case camera(CameraID)
    /// Not a camera id; kept to be quoted.
    case invalid(String)
    case group(GroupID)
    /// Not a group's name; kept to be quoted.
    case invalidGroup(String)
    /// Another node than this one, of which a repair is wanted.
    case node(NodeID)
    /// Not a node's name; kept to be quoted.
    case invalidNode(String)
}

/// A folder that holds recordings and their ledger, as an absolute path.
package struct StorageFolder: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let path: String
    package init(_ path: String) { self.path = path }
    package var description: String { path }
    package static func < (left: Self, right: Self) -> Bool { left.path < right.path }
}

package enum ScanScope: Hashable, Sendable {
    case everything
    case camera(CameraID)
}

/// What a scan did.
package struct ScanCounts: Hashable, Sendable {
    package var segments = 0
    package var recovered = 0
    package var imported = 0
    package var missing = 0
    package var quarantined = 0
    package init() {}

    package static func + (left: Self, right: Self) -> Self {
        var sum = left
        sum.segments += right.segments
        sum.recovered += right.recovered
        sum.imported += right.imported
        sum.missing += right.missing
        sum.quarantined += right.quarantined
        return sum
    }
}

/// A complete segment whose file is there.
package struct StoredSegment: Hashable, Sendable {
    package var camera: CameraID
    package var session: SessionID
    package var index: Int
    /// Relative to the storage folder.
    package var path: String
    package var startedAt: WallTime
    /// Age counts from the end of a segment.
    package var endedAt: WallTime
    package var bytes: Int64

    package init(
        camera: CameraID, session: SessionID, index: Int, path: String, startedAt: WallTime, endedAt: WallTime,
        bytes: Int64
    ) {
        self.camera = camera
        self.session = session
        self.index = index
        self.path = path
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.bytes = bytes
    }
}

/// What a storage folder holds at one moment. Open segments are not in it: they are nobody's to delete.
package struct Inventory: Hashable, Sendable {
    package struct Camera: Hashable, Sendable {
        package var camera: CameraID
        /// Of all its closed segments, also those that are not in `oldest`.
        package var bytes: Int64
        /// The beginning of the newest segment.
        package var newestAt: WallTime
        /// The oldest closed segments, oldest first, at most `RetentionPlan.deletionsMax`.
        package var oldest: [StoredSegment]

        package init(camera: CameraID, bytes: Int64, newestAt: WallTime, oldest: [StoredSegment]) {
            self.camera = camera
            self.bytes = bytes
            self.newestAt = newestAt
            self.oldest = oldest
        }
    }

    package var cameras: [Camera]
    /// Of the file system.
    package var totalBytes: Int64
    /// Of the file system, for this user.
    package var freeBytes: Int64

    package init(cameras: [Camera], totalBytes: Int64, freeBytes: Int64) {
        self.cameras = cameras
        self.totalBytes = totalBytes
        self.freeBytes = freeBytes
    }

    package var usedBytes: Int64 { cameras.reduce(Int64(0)) { $0.addingClamped($1.bytes) } }
    package var oldestAt: WallTime? { cameras.compactMap { $0.oldest.first?.startedAt }.min() }
    package var newestAt: WallTime? { cameras.map(\.newestAt).max() }
}
