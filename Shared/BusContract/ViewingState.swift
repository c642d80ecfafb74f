package import Domain

/// What a worker says of its camera's live view and of its snapshots.

/// `cameras/<camera>/viewing`: who watches, and where.
package struct ViewingState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/viewing"
    package static let delivery = DeliveryClass.state

    package enum Phase: String, Hashable, Sendable, Codable, CaseIterable {
        /// Nobody holds a lease and nothing is published.
        case off
        /// Leased; the media server does not have the stream yet.
        case starting
        /// The media server has the stream.
        case active
        /// The last lease has ended; the stream stays for its close-after.
        case closing
        /// Leased, and the source or the media server refuses; it is tried again.
        case failed
    }

    package var state: Phase
    package var leases: [RecordingState.Lease]
    /// Readers that the media server counts; nil while nobody can tell.
    package var viewers: Int?
    /// Where a player finds the stream; without credentials.
    package var urls: [String]
    package var closesAt: WallTime?
    package var error: PublishedError?

    package init(
        state: Phase, leases: [RecordingState.Lease] = [], viewers: Int? = nil, urls: [String] = [],
        closesAt: WallTime? = nil, error: PublishedError? = nil
    ) {
        self.state = state
        self.leases = leases
        self.viewers = viewers
        self.urls = urls
        self.closesAt = closesAt
        self.error = error
    }
}

/// `cameras/<camera>/snapshot`: the last snapshot that was taken.
package struct SnapshotState: BusMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/snapshot"
    package static let delivery = DeliveryClass.state

    /// Relative to the storage folder.
    package var file: String
    /// When the camera delivered the picture.
    package var capturedAt: WallTime
    package var width: Int
    package var height: Int
    package var bytes: Int
    /// Of the copy on the bus, where that is coarser than the file, which the bus does not carry.
    package var imageBytes: Int?
    /// From the command to the file.
    package var tookSeconds: Double

    package init(
        file: String, capturedAt: WallTime, width: Int, height: Int, bytes: Int, imageBytes: Int? = nil,
        tookSeconds: Double
    ) {
        self.file = file
        self.capturedAt = capturedAt
        self.width = width
        self.height = height
        self.bytes = bytes
        self.imageBytes = imageBytes
        self.tookSeconds = tookSeconds
    }
}

/// `cameras/<camera>/snapshot/image`: the last snapshot itself, a JPEG file and nothing else.
package struct SnapshotImage: BytesMessage {
    package typealias Address = CameraID
    package static let template: TopicTemplate = "cameras/+/snapshot/image"
    package static let delivery = DeliveryClass.state
    package static let format = PayloadFormat.bytes
    /// Of a larger picture, a coarser copy goes out. One that is too large even so is in its file only, and takes the
    /// place of the last one with nothing.
    package static let bytesMax = 4 * 1024 * 1024

    package var bytes: [UInt8]
    package init(bytes: [UInt8]) { self.bytes = bytes }
}
