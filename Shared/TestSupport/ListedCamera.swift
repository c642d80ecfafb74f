internal import Dispatch
package import Domain
package import Media
internal import Synchronization

/// A camera at this machine, played by a list of pictures: hands them out, then fails like a camera that is unplugged.
package final class ListedCamera: CameraDevice {
    package struct Item: Sendable {
        package var bytes: [UInt8]
        package var lost = 0
        /// From the start of the list.
        package var at: Duration

        package init(bytes: [UInt8], at: Duration) {
            self.bytes = bytes
            self.at = at
        }
    }

    /// When the list begins, on the stream's own clock.
    package static let start = MonotonicTime(nanoseconds: 1_000_000_000)

    private let format: CameraFormat
    private let items: [Item]
    /// How many pictures may be out at once; a camera with few buffers, whose taker keeps up.
    private let buffers: DispatchSemaphore?
    private let place = Mutex(0)
    private let heldCount = Mutex(0)
    private let keyRequestCount = Mutex(0)

    package init(_ format: CameraFormat, _ items: [Item], buffers: Int? = nil) {
        self.format = format
        self.items = items
        // Disposing of one wants no fewer than at the beginning.
        self.buffers = buffers.map { _ in DispatchSemaphore(value: 0) }
        for _ in 0..<(buffers ?? 0) { self.buffers?.signal() }
    }

    package static func format(
        _ coding: CameraFormat.Coding, width: Int, height: Int, fps: Double = 30
    ) -> CameraFormat {
        CameraFormat(
            coding: coding, width: width, height: height, frameRate: fps,
            input: SourceInput(device: "/dev/video0", format: "TEST", width: width, height: height, fps: fps))
    }

    /// Grey pictures of 64x36 in YUYV.
    package static func grey(_ count: Int, fps: Int = 30) -> [Item] {
        let picture = [UInt8](repeating: 128, count: 64 * 36 * 2)
        return (0..<count).map { Item(bytes: picture, at: .seconds($0) / fps) }
    }

    /// What a worker would make of it.
    package func source(_ encoder: EncoderSettings) -> any MediaSource {
        MediaSources.make(
            .v4l2(SourceAddress.V4L2Source(path: "/dev/video0")), encoder: encoder, audio: false,
            openTimeout: .seconds(5), stallTimeout: .seconds(5), camera: { _ in self })
    }

    package var held: Int { heldCount.withLock { $0 } }
    package var keyRequests: Int { keyRequestCount.withLock { $0 } }

    package func open() throws(CodedError) -> CameraFormat { format }
    package func interrupt() {}
    package func close() {}
    package func requestKeyFrame() { keyRequestCount.withLock { $0 += 1 } }

    package func next() throws(CodedError) -> CameraPicture {
        guard buffers?.wait(timeout: .now() + 10) != .timedOut else {
            throw CodedError(.timeout, "no picture came back")
        }
        let index = place.withLock { place in
            defer { place += 1 }
            return place
        }
        guard index < items.count else { throw CodedError(.sourceUnavailable, "/dev/video0 was unplugged") }
        let item = items[index]
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, item.bytes.count), alignment: 16)
        item.bytes.withUnsafeBytes { bytes in
            if let start = bytes.baseAddress { memory.copyMemory(from: start, byteCount: bytes.count) }
        }
        heldCount.withLock { $0 += 1 }
        let bytes = LentBytes(start: memory, count: item.bytes.count)
        return CameraPicture(bytes: bytes, arrival: Self.start + item.at, lost: item.lost) { [self] in
            bytes.start.deallocate()
            heldCount.withLock { $0 -= 1 }
            buffers?.signal()
        }
    }
}
