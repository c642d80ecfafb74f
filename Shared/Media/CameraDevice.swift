package import Domain

/// A camera at this machine that hands its pictures over one by one: all that this module knows of `VideoDevices`,
/// which knows nothing of codecs. One thread calls `open`, `next` and `close`; any thread may call the others.
package protocol CameraDevice: AnyObject, Sendable {
    /// Blocks until pictures are on their way.
    ///
    /// Errors: `sourceUnavailable` (no such device, in use, none of the wished formats, interrupted), `unauthorized`.
    func open() throws(CodedError) -> CameraFormat
    /// Blocks for the next picture. Errors as `open`; `timeout` when none came for the stall timeout.
    func next() throws(CodedError) -> CameraPicture
    /// For a camera that encodes; one that cannot be asked ignores it.
    func requestKeyFrame()
    /// A blocked call returns promptly with an error, and so does each one after it.
    func interrupt()
    /// Ends the pictures. Those that are still held stay good; the device is free when the last one has gone.
    func close()
}

/// What a camera has agreed to deliver.
package struct CameraFormat: Sendable, Hashable {
    package enum Coding: Sendable, Hashable {
        case h264, h265, mjpeg
        case raw(RawLayout)
    }

    /// How samples lie in memory, without padding between rows.
    package enum RawLayout: String, Sendable, Hashable, CaseIterable {
        case yuyv422, uyvy422, yvyu422, nv12, nv21, yuv420p, gray, rgb24, bgr24
    }

    package var coding: Coding
    package var width: Int
    package var height: Int
    /// As the device states it; nil where it does not.
    package var frameRate: Double?
    package var input: SourceInput

    package init(coding: Coding, width: Int, height: Int, frameRate: Double?, input: SourceInput) {
        self.coding = coding
        self.width = width
        self.height = height
        self.frameRate = frameRate
        self.input = input
    }
}

/// What a camera delivers and what becomes of it, for states and logs.
package struct SourceInput: Sendable, Hashable {
    /// The node that is open: `/dev/video0`.
    package var device: String
    /// The device's own code for its format: `YUYV`, `MJPG`, `H264`.
    package var format: String
    package var width: Int
    package var height: Int
    package var fps: Double?
    /// What was asked for, if this is not it: `1920x1080 at 30 fps`.
    package var wanted: String?
    /// libavcodec's name of the encoder; nil if the pictures are recorded as they come.
    package var encoder: String?
    /// What the camera did not take of what it was told, in sentences.
    package var remarks: [String] = []

    package init(
        device: String, format: String, width: Int, height: Int, fps: Double?, wanted: String? = nil
    ) {
        self.device = device
        self.format = format
        self.width = width
        self.height = height
        self.fps = fps
        self.wanted = wanted
    }
}

/// One picture in the memory of a device, which gets it back when nobody holds the picture any more.
package final class CameraPicture: Sendable {
    /// Valid and unchanging while this object lives.
    package let bytes: LentBytes
    /// When the camera took it, on the monotonic clock.
    package let arrival: MonotonicTime
    /// How many pictures the device lost right before this one.
    package let lost: Int
    private let giveBack: @Sendable () -> Void

    /// - Parameter giveBack: called once, on whatever thread lets go of the picture last.
    package init(
        bytes: LentBytes, arrival: MonotonicTime, lost: Int, giveBack: @escaping @Sendable () -> Void
    ) {
        self.bytes = bytes
        self.arrival = arrival
        self.lost = lost
        self.giveBack = giveBack
    }

    deinit { giveBack() }
}

/// Memory of somebody else's. Unchecked Sendable: whoever holds the owner may read it, and nobody writes meanwhile.
package struct LentBytes: @unchecked Sendable {
    package let start: UnsafeMutableRawPointer
    package let count: Int

    package init(start: UnsafeMutableRawPointer, count: Int) {
        self.start = start
        self.count = count
    }

    var buffer: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: count) }
}
