internal import CV4L2
internal import CV4LShim
internal import Domain
internal import Glibc
internal import Media
internal import Synchronization

/// The buffers through which a device hands its pictures over, while it streams.
///
/// Owns the mappings of the device's memory, and the device while any of them is lent. Invariants: a buffer is either
/// with the driver, lent to one picture, or waits to be queued again after the driver refused it; memory is unmapped
/// only when no picture refers to it. One thread dequeues; pictures come back on any thread.
final class DeviceStream: Sendable {
    /// What is asked for; a driver may give more or fewer.
    static let buffersWanted: UInt32 = 8
    /// A driver with fewer has to drop pictures.
    static let buffersKept = 3

    private let handle: DeviceHandle
    private let buffers: [LentBytes]
    private let state: Mutex<State>

    private struct State {
        var isStreaming = true
        var lent = 0
        /// Back from their pictures, and refused by the driver since.
        var waiting: [UInt32] = []
    }

    /// A picture as the driver gives it.
    struct Taken {
        var index: UInt32
        var bytes: LentBytes
        var sequence: UInt32
        /// By the driver, on the monotonic clock; nil if it counts on another.
        var stamp: MonotonicTime?
        /// The driver says that the content is damaged.
        var isDamaged: Bool
    }

    init(_ handle: DeviceHandle) throws(CodedError) {
        self.handle = handle
        var request = v4l2_requestbuffers()
        request.count = Self.buffersWanted
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        request.memory = V4L2_MEMORY_MMAP.rawValue
        var code = cv4l_request_buffers(handle.descriptor, &request)
        guard code == 0 else { throw DeviceFault.streaming(handle.path, code, "gives no buffers") }
        var mapped: [LentBytes] = []
        do throws(CodedError) {
            for index in 0..<request.count { mapped.append(try Self.map(index, of: handle)) }
            for index in 0..<request.count {
                code = Self.queue(index, to: handle)
                guard code == 0 else { throw DeviceFault.streaming(handle.path, code, "takes no buffers") }
            }
            code = cv4l_stream_on(handle.descriptor)
            guard code == 0 else { throw DeviceFault.streaming(handle.path, code, "does not stream") }
        } catch {
            Self.release(mapped, of: handle)
            throw error
        }
        buffers = mapped
        state = Mutex(State())
    }

    deinit {
        stop()
        Self.release(buffers, of: handle)
    }

    /// No more pictures; those that are lent stay good.
    func stop() {
        let wasStreaming = state.withLock { state in
            defer { state.isStreaming = false }
            return state.isStreaming
        }
        if wasStreaming { _ = cv4l_stream_off(handle.descriptor) }
    }

    /// How many buffers the driver has to fill.
    var queued: Int { state.withLock { buffers.count - $0.lent - $0.waiting.count } }

    /// The next picture, if one is there: nil if not. The caller gives it back.
    ///
    /// Errors: `sourceUnavailable` if the device is gone or gives nothing any more.
    func take() throws(CodedError) -> Taken? {
        queueAgain()
        var raw = Self.buffer()
        let code = cv4l_dequeue_buffer(handle.descriptor, &raw)
        if code == EAGAIN { return nil }
        guard code == 0 else {
            throw DeviceFault.streaming(handle.path, code, "broke off")
        }
        state.withLock { $0.lent += 1 }
        let index = Int(raw.index)
        guard index < buffers.count else { throw CodedError(.internal, "\(handle.path) names a buffer that is not") }
        let isMonotonic = raw.flags & UInt32(V4L2_BUF_FLAG_TIMESTAMP_MASK) == UInt32(V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC)
        let stamp = Int64(raw.timestamp.tv_sec) * 1_000_000_000 + Int64(raw.timestamp.tv_usec) * 1000
        return Taken(
            index: raw.index,
            bytes: LentBytes(start: buffers[index].start, count: min(Int(raw.bytesused), buffers[index].count)),
            sequence: raw.sequence, stamp: isMonotonic && stamp > 0 ? MonotonicTime(nanoseconds: stamp) : nil,
            isDamaged: raw.flags & UInt32(V4L2_BUF_FLAG_ERROR) != 0)
    }

    /// To be filled again.
    func giveBack(_ index: UInt32) {
        state.withLock { state in
            state.lent -= 1
            guard state.isStreaming else { return }
            if Self.queue(index, to: handle) != 0 { state.waiting.append(index) }
        }
    }

    /// What the driver refused once it may take now; a device that is gone says so with its next picture.
    private func queueAgain() {
        state.withLock { state in
            guard state.isStreaming, !state.waiting.isEmpty else { return }
            state.waiting.removeAll { Self.queue($0, to: handle) == 0 }
        }
    }

    // MARK: Calls

    private static func buffer() -> v4l2_buffer {
        var raw = v4l2_buffer()
        raw.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        raw.memory = V4L2_MEMORY_MMAP.rawValue
        return raw
    }

    private static func map(_ index: UInt32, of handle: DeviceHandle) throws(CodedError) -> LentBytes {
        var raw = buffer()
        raw.index = index
        let code = cv4l_query_buffer(handle.descriptor, &raw)
        guard code == 0 else { throw DeviceFault.streaming(handle.path, code, "does not show its buffers") }
        let start = v4l2_mmap(
            nil, Int(raw.length), PROT_READ | PROT_WRITE, MAP_SHARED, handle.descriptor, Int64(raw.m.offset))
        guard let start, start != MAP_FAILED else {
            throw DeviceFault.streaming(handle.path, errno, "does not lend its buffers")
        }
        return LentBytes(start: start, count: Int(raw.length))
    }

    private static func queue(_ index: UInt32, to handle: DeviceHandle) -> Int32 {
        var raw = buffer()
        raw.index = index
        return cv4l_queue_buffer(handle.descriptor, &raw)
    }

    /// A device is free for others when it has its buffers back.
    private static func release(_ buffers: [LentBytes], of handle: DeviceHandle) {
        for buffer in buffers { v4l2_munmap(buffer.start, buffer.count) }
        var request = v4l2_requestbuffers()
        request.type = V4L2_BUF_TYPE_VIDEO_CAPTURE.rawValue
        request.memory = V4L2_MEMORY_MMAP.rawValue
        _ = cv4l_request_buffers(handle.descriptor, &request)
    }
}
